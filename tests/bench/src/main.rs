//! Figures, run by hand and written into docs/figures.md: timings are no tests.
//!
//! `cargo run --release -p bench -- sandbox | memory | worker | records | links | start BINARY...`

mod links;
mod memory;
mod meter;
mod records;
mod sandbox;
mod start;
mod worker;

use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    lua_host::sandbox_entry();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sandbox"] => as_a_function(sandbox::measure()),
        ["memory"] => as_a_function(memory::measure()),
        ["worker"] => runtime(Builder::new_multi_thread()).block_on(worker::measure()),
        ["links"] => runtime(Builder::new_multi_thread()).block_on(links::measure()),
        ["records"] => runtime(Builder::new_multi_thread()).block_on(records::measure()),
        ["start", ref binaries @ ..] if !binaries.is_empty() => {
            for binary in binaries {
                as_a_function(start::measure(binary));
            }
        }
        _ => {
            eprintln!("say what to measure: sandbox, memory, worker, records, links, or start BINARY...");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// On one thread, as the mains of the functions run.
fn as_a_function(measure: impl Future<Output = ()>) {
    runtime(Builder::new_current_thread()).block_on(measure);
}

fn runtime(mut builder: Builder) -> Runtime {
    builder.enable_all().build().expect("a runtime can be made")
}

/// Prints minimum, median, 99th percentile and maximum of `samples`, in microseconds.
fn spread(what: &str, samples: &mut [f64]) {
    samples.sort_by(f64::total_cmp);
    let at = |part: f64| samples[((samples.len() - 1) as f64 * part) as usize];
    println!(
        "{what}: min {:.1} us, p50 {:.1} us, p99 {:.1} us, max {:.1} us",
        at(0.0),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

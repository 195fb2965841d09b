//! Figures, run by hand and written into docs/figures.md: timings are no tests.
//!
//! `cargo run --release -p bench -- sandbox | worker | start BINARY...`

mod sandbox;
mod start;
mod worker;

use std::process::ExitCode;

fn main() -> ExitCode {
    lua_host::sandbox_entry();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sandbox"] => runtime.block_on(sandbox::measure()),
        ["worker"] => runtime.block_on(worker::measure()),
        ["start", ref binaries @ ..] if !binaries.is_empty() => {
            for binary in binaries {
                runtime.block_on(start::measure(binary));
            }
        }
        _ => {
            eprintln!("say what to measure: sandbox, worker, or start BINARY...");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
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

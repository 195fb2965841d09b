//! The command line: what can be said to `queuelink`, and what it says back.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bootstrap::{Environment, init_tracing};
use clap::Parser;
use domain::Clock;
use tokio::signal::unix::{SignalKind, signal};

use crate::engines::dynamodb::Durability;
use crate::house::{House, Options};

/// Tables, queues and Lua workers on this machine.
///
/// One process: the HTTP API, DynamoDB and SQS engines that the real AWS SDKs talk to, the worker that runs the Lua
/// handlers, and a mailbox that catches every mail they send. All of it listens on this machine only and keeps its
/// data in one folder, so deleting that folder starts anew.
///
/// The first start makes an admin API key and two sample queues, and prints three commands to try.
#[derive(Debug, Parser)]
#[command(
    name = "queuelink",
    version,
    after_help = "Press Ctrl-C to stop; messages in work are finished first.\n\
    The environment variable LOG_LEVEL (error, warn, info, debug) says how much is told on standard error."
)]
struct Args {
    /// The address of the HTTP API; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,

    /// The folder that keeps everything: databases, keys, mails; made if it is absent
    #[arg(long, value_name = "FOLDER", default_value = ".queuelink")]
    data_dir: PathBuf,

    /// The folder of the Lua handlers: a sub-folder is a package, a file in it a handler
    #[arg(long, value_name = "FOLDER", default_value = "infra/handlers")]
    handlers_dir: PathBuf,

    /// Make no sample queues at the first start
    #[arg(long)]
    no_samples: bool,

    /// Do not wait for the disk at each write to a table: some forty times faster, still safe against a killed process,
    /// but not against a loss of power
    #[arg(long)]
    fast: bool,
}

/// The whole program after the sandbox entry: reads the command line, runs the house until Ctrl-C or SIGTERM.
pub fn run() -> ExitCode {
    let args = Args::parse();
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "queuelink: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    init_tracing(&Environment::from_process())?;
    let options = Options {
        listen: args.listen,
        data_dir: args.data_dir,
        handlers_dir: args.handlers_dir,
        sandbox_program: std::env::current_exe()?,
        samples: !args.no_samples,
        durability: if args.fast { Durability::Fast } else { Durability::Safe },
        clock: Clock::system(),
    };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        // Before the start, so that Ctrl-C during the start is not the end of a half-made folder.
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let house = House::start(options).await?;
        say(&house.greeting())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        say("\nStopping: messages in work are finished first. Ctrl-C again stops at once.\n")?;
        tokio::select! {
            () = house.stop() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    })
}

/// Writes to standard output; one that is closed (`queuelink | head`) is no reason to stop.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound_and_its_defaults_are_the_documented_ones() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["queuelink"]).unwrap();
        assert_eq!(args.listen.to_string(), "127.0.0.1:8787");
        assert_eq!(args.data_dir, PathBuf::from(".queuelink"));
        assert_eq!(args.handlers_dir, PathBuf::from("infra/handlers"));
        assert!(!args.no_samples && !args.fast);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for wrong in [
            &["--listen", "8787"][..],
            &["--listen", "localhost"],
            &["--samples"],
            &["extra"],
            &["--data-dir"],
        ] {
            assert!(Args::try_parse_from([&["queuelink"], wrong].concat()).is_err(), "{wrong:?}");
        }
    }
}

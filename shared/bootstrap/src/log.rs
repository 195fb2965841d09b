use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::Environment;

/// Whoever uses these says himself what matters. They would write frames down, in which users and passwords stand.
const UNHEARD: [&str; 2] = ["lapin", "rdkafka"];

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `LOG_LEVEL` is not a filter.
    #[error("LOG_LEVEL is wrong: say error, warn, info, debug, trace, off, or module=level,...")]
    Filter(#[source] Option<ParseError>),
    /// A log is already set up.
    #[error("the log is set up twice in one process")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sets up the log of this process, by `LOG_LEVEL` (default `info`): JSON lines on Lambda, where a machine reads them,
/// plain lines elsewhere, both on standard error.
pub fn init_tracing(environment: &Environment) -> Result<(), LogError> {
    let levels = levels(environment.get("LOG_LEVEL").unwrap_or("info"))?;
    // The levels stand in front; the writer behind them keeps whatever they let through.
    let log = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(std::io::stderr)
        .with_target(false);
    let done = if environment.get("AWS_LAMBDA_FUNCTION_NAME").is_some() {
        log.json().flatten_event(true).with_current_span(false).finish().with(levels).try_init()
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).finish().with(levels).try_init()
    };
    done.map_err(|error| LogError::Twice(error.into()))
}

/// A word alone must be a level: the parser would take a misspelt one for a module, and the log would fall silent.
fn levels(text: &str) -> Result<Targets, LogError> {
    // No word at all would be taken for a level.
    let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let misspelt = |part: &str| !part.contains('=') && !is_level(part.trim());
    if text.split(',').any(misspelt) {
        return Err(LogError::Filter(None));
    }
    let levels: Targets = text.parse().map_err(|error| LogError::Filter(Some(error)))?;
    Ok(levels.with_targets(UNHEARD.map(|target| (target, LevelFilter::OFF))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_refused_not_silent() {
        let check = |text: &str, good: bool| assert_eq!(levels(text).is_ok(), good, "{text}");
        check("info", true);
        check("WARN", true);
        check("off", true);
        check("warn,queue=debug", true);
        check("loud", false);
        check("info,loud", false);
        check("queue=loud", false);
        check("info,", false);
    }

    #[test]
    fn who_would_write_passwords_down_is_never_heard() {
        for text in ["trace", "info", "lapin=trace,info"] {
            let levels = levels(text).expect("it is a filter");
            for target in ["lapin", "lapin::frames", "rdkafka::client"] {
                assert!(!levels.would_enable(target, &tracing::Level::ERROR), "{text} {target}");
            }
            assert!(levels.would_enable("queue::rabbitmq", &tracing::Level::INFO), "{text}");
        }
    }
}

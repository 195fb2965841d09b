use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::Environment;

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `LOG_LEVEL` is not a filter.
    #[error("LOG_LEVEL is wrong: say error, warn, info, debug, trace, or module=level,...")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// A log is already set up.
    #[error("the log is set up twice in one process")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sets up the log of this process, by `LOG_LEVEL` (default `info`): JSON lines on Lambda, where a machine reads them,
/// plain lines elsewhere, both on standard error.
pub fn init_tracing(environment: &Environment) -> Result<(), LogError> {
    let level = environment.get("LOG_LEVEL").unwrap_or("info");
    let filter = EnvFilter::try_new(level).map_err(LogError::Filter)?;
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if environment.get("AWS_LAMBDA_FUNCTION_NAME").is_some() {
        log.json().flatten_event(true).with_current_span(false).try_init().map_err(LogError::Twice)
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).try_init().map_err(LogError::Twice)
    }
}

//! What is kept of a handler's log.

use lua_host::{LogLevel, LogLine, Report, Verdict};

/// So much of the end of a log is kept with a dead letter, bytes.
pub(crate) const MAX_LOG_BYTES: usize = 16 * 1024;

/// The end of a run's log as text, one line per line, the traceback of what was thrown last; before it the `release` that ran.
pub(crate) fn tail(report: &Report, release: &str) -> String {
    let head = format!("RELEASE {release}\n");
    let room = MAX_LOG_BYTES.saturating_sub(head.len());
    head + &last_bytes(lines(report), room)
}

fn lines(report: &Report) -> String {
    let mut text = String::new();
    if report.log_truncated {
        text.push_str("... earlier lines were dropped\n");
    }
    for line in &report.log {
        text.push_str(&line_text(line));
    }
    if let Verdict::Failed(error) = &report.verdict
        && let Some(traceback) = &error.traceback
    {
        text.push_str("TRACE ");
        text.push_str(traceback.trim_end());
        text.push('\n');
    }
    text
}

/// Passes a handler's lines on to our own log: what they hold is the handler's choice.
pub(crate) fn emit(report: &Report, message_id: &str, handler: &str, release: &str) {
    for LogLine { level, message, fields } in &report.log {
        let fields = fields.as_ref().map(tracing::field::display);
        match level {
            LogLevel::Info => {
                tracing::info!(
                    message.id = message_id,
                    handler.name = handler,
                    handler.release = release,
                    fields,
                    "{message}"
                )
            }
            LogLevel::Warn => {
                tracing::warn!(
                    message.id = message_id,
                    handler.name = handler,
                    handler.release = release,
                    fields,
                    "{message}"
                )
            }
            LogLevel::Error => {
                tracing::error!(
                    message.id = message_id,
                    handler.name = handler,
                    handler.release = release,
                    fields,
                    "{message}"
                )
            }
        }
    }
}

fn line_text(line: &LogLine) -> String {
    let level = line.level.as_str().to_ascii_uppercase();
    match &line.fields {
        Some(fields) => format!("{level} {} {fields}\n", line.message),
        None => format!("{level} {}\n", line.message),
    }
}

/// The last `max_bytes` of `text` at most, beginning at a whole character.
fn last_bytes(mut text: String, max_bytes: usize) -> String {
    if text.len() > max_bytes {
        let cut = text.ceil_char_boundary(text.len() - max_bytes);
        text.drain(..cut);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use lua_host::{FailureKind, HandlerError, LogLevel};
    use serde_json::json;

    fn report(log: Vec<LogLine>, traceback: Option<&str>) -> Report {
        let error = HandlerError {
            kind: FailureKind::Threw,
            code: None,
            message: "boom".to_owned(),
            retryable: None,
            traceback: traceback.map(str::to_owned),
        };
        Report { verdict: Verdict::Failed(error), log, log_truncated: false, cpu_ms: 0.0, run_ms: 0.0 }
    }

    fn line(message: &str) -> LogLine {
        LogLine { level: LogLevel::Warn, message: message.to_owned(), fields: Some(json!({"n": 1})) }
    }

    #[test]
    fn a_log_reads_line_by_line_with_the_trace_at_its_end() {
        let text = tail(&report(vec![line("a"), line("b")], Some("at signup:3\n")), "shop@3");
        assert_eq!(text, "RELEASE shop@3\nWARN a {\"n\":1}\nWARN b {\"n\":1}\nTRACE at signup:3\n");
    }

    #[test]
    fn of_a_flood_the_end_is_kept_in_whole_characters() {
        let lines = (0..3000).map(|n| line(&format!("é{n}"))).collect();
        let text = tail(&report(lines, None), "shop@shipped");
        assert!(text.len() <= MAX_LOG_BYTES && text.len() > MAX_LOG_BYTES - 4, "{}", text.len());
        assert!(text.starts_with("RELEASE shop@shipped\n"));
        assert!(text.ends_with("WARN é2999 {\"n\":1}\n"));
    }
}

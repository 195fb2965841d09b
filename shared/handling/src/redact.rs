//! Secrets that a handler wrote where people read.

use std::collections::BTreeMap;

use domain::{Secret, SecretName};
use lua_host::{Report, Verdict};
use serde_json::Value;

/// Shorter secrets stand in ordinary words by chance; to take them out would spoil every log.
const MIN_BYTES: usize = 6;

/// Puts a secret's name where its value stands in what a run left behind: its log, its reason, its error. What handlers write is
/// theirs, but it ends in our log and in dead letters, and an error message quotes more than its author thought of.
pub(crate) fn redact(report: &mut Report, secrets: &BTreeMap<SecretName, Secret>) {
    let values: Vec<(&str, String)> = secrets
        .iter()
        .filter(|(_, secret)| secret.expose().len() >= MIN_BYTES)
        .map(|(name, secret)| (secret.expose(), format!("[secret {name}]")))
        .collect();
    if values.is_empty() {
        return;
    }
    for line in &mut report.log {
        clean(&mut line.message, &values);
        line.fields.iter_mut().for_each(|fields| clean_value(fields, &values));
    }
    match &mut report.verdict {
        Verdict::Rejected { reason } => clean(reason, &values),
        Verdict::Failed(error) => {
            clean(&mut error.message, &values);
            error.code.iter_mut().chain(&mut error.traceback).for_each(|text| clean(text, &values));
        }
        Verdict::Acked | Verdict::RetryAsked { .. } | Verdict::Returned { .. } => {}
    }
}

fn clean(text: &mut String, values: &[(&str, String)]) {
    for (value, name) in values {
        if text.contains(value) {
            *text = text.replace(value, name);
        }
    }
}

fn clean_value(value: &mut Value, values: &[(&str, String)]) {
    match value {
        Value::String(text) => clean(text, values),
        Value::Array(items) => items.iter_mut().for_each(|item| clean_value(item, values)),
        Value::Object(entries) => {
            let cleaned = std::mem::take(entries).into_iter().map(|(mut key, mut value)| {
                clean(&mut key, values);
                clean_value(&mut value, values);
                (key, value)
            });
            *entries = cleaned.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use lua_host::{FailureKind, HandlerError, LogLevel, LogLine};
    use serde_json::json;

    #[test]
    fn a_secret_leaves_no_run_in_its_log_or_error() {
        let line = LogLine {
            level: LogLevel::Info,
            message: "with sk_live_1 and sk_live_1".into(),
            fields: Some(json!({"a": ["sk_live_1", 1], "sk_live_1": {"b": "xsk_live_1x"}, "c": "abc"})),
        };
        let error = HandlerError {
            kind: FailureKind::Threw,
            code: Some("sk_live_1".into()),
            message: "no: sk_live_1".into(),
            retryable: None,
            traceback: Some("at sk_live_1".into()),
        };
        let mut report = Report {
            verdict: Verdict::Failed(error),
            log: vec![line],
            log_truncated: false,
            cpu_ms: 0.0,
            run_ms: 0.0,
        };
        let secret = |name: &str, value: &str| (SecretName::parse(name).unwrap(), Secret::new(value));
        redact(&mut report, &BTreeMap::from([secret("KEY", "sk_live_1"), secret("SHORT", "abc")]));
        let said = format!("{report:?}");
        assert!(!said.contains("sk_live_1"), "{said}");
        assert_eq!(report.log[0].message, "with [secret KEY] and [secret KEY]");
        assert!(said.contains("abc"), "what is too short to be told from a word stays");
    }

    /// What `text` is as the message of a log line, with these secrets.
    fn said(text: &str, secrets: &[(&str, &str)]) -> String {
        let line = LogLine { level: LogLevel::Info, message: text.to_owned(), fields: None };
        let (log, log_truncated) = (vec![line], false);
        let mut report = Report { verdict: Verdict::Acked, log, log_truncated, cpu_ms: 0.0, run_ms: 0.0 };
        let named =
            secrets.iter().map(|(name, value)| (SecretName::parse(name).unwrap(), Secret::new(*value)));
        redact(&mut report, &named.collect());
        report.log.remove(0).message
    }

    #[test]
    fn a_secret_written_as_json_is_found_too() {
        let key = "-----BEGIN KEY-----\nab/c\"d\\e\n\u{1}-----END KEY-----";
        let dumped = json!({ "KEY": key }).to_string();
        assert_eq!(said(&dumped, &[("KEY", key)]), r#"{"KEY":"[secret KEY]"}"#);
        let twice = json!({ "context": dumped }).to_string();
        assert!(!said(&twice, &[("KEY", key)]).contains("BEGIN"), "JSON in JSON");
    }

    #[test]
    fn of_a_secret_that_begins_with_another_nothing_is_left() {
        let secrets = [("A", "abcdef"), ("B", "abcdef-tail")];
        assert_eq!(said("1 abcdef-tail 2 abcdef 3", &secrets), "1 [secret B] 2 [secret A] 3");
    }

    #[test]
    fn a_secret_that_was_cut_where_a_text_ended_is_found_too() {
        let key = "k".repeat(40) + &"e".repeat(2000) + "y";
        let secrets = [("KEY", key.as_str())];
        assert_eq!(said(&format!("no: {}", &key[..1000]), &secrets), "no: [secret KEY]");
        assert_eq!(said(&format!("no: {}…", &key[..1000]), &secrets), "no: [secret KEY]…");
        assert_eq!(said("sick", &secrets), "sick", "what is too short to be told from a word stays");
    }
}

//! Secrets that a handler wrote where people read.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use domain::{Secret, SecretName};
use lua_host::{Report, Verdict};
use serde_json::Value;

/// Shorter secrets stand in ordinary words by chance; to take them out would spoil every log.
const MIN_BYTES: usize = 6;

/// Stands where a text was cut.
const CUT: char = '…';

/// A secret as it may stand in a text, and what stands there instead.
struct Canary {
    text: String,
    name: String,
}

/// Puts a secret's name where its value stands in what a run left behind: its log, its reason, its error. What handlers write is
/// theirs, but it ends in our log and in dead letters, and an error message quotes more than its author thought of. A value is found as
/// it is, as it is written in JSON (also in JSON within JSON), and where the end of a text cut it off.
pub(crate) fn redact(report: &mut Report, secrets: &BTreeMap<SecretName, Secret>) {
    let mut canaries: Vec<Canary> = secrets
        .iter()
        .filter(|(_, secret)| secret.expose().len() >= MIN_BYTES)
        .flat_map(|(name, secret)| forms(secret.expose()).map(|text| Canary { text, name: name.to_string() }))
        .collect();
    if canaries.is_empty() {
        return;
    }
    // Of two that begin alike the longer one is looked for first.
    canaries.sort_by_key(|canary| Reverse(canary.text.len()));
    for line in &mut report.log {
        clean(&mut line.message, &canaries);
        line.fields.iter_mut().for_each(|fields| clean_value(fields, &canaries));
    }
    match &mut report.verdict {
        Verdict::Rejected { reason } => clean(reason, &canaries),
        Verdict::Failed(error) => {
            clean(&mut error.message, &canaries);
            error.code.iter_mut().chain(&mut error.traceback).for_each(|text| clean(text, &canaries));
        }
        Verdict::Acked | Verdict::RetryAsked { .. } | Verdict::Returned { .. } => {}
    }
}

/// A secret as it is, within a JSON text, and within one that is itself within another.
fn forms(secret: &str) -> impl Iterator<Item = String> {
    let once = escaped(secret);
    let twice = escaped(&once);
    let mut forms = vec![secret.to_owned(), once, twice];
    forms.dedup();
    forms.into_iter()
}

fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn clean(text: &mut String, canaries: &[Canary]) {
    for Canary { text: secret, name } in canaries {
        if text.contains(secret) {
            *text = text.replace(secret, &format!("[secret {name}]"));
        }
    }
    // What is too long is cut before it comes here, mostly with a sign that it was.
    let whole = text.trim_end_matches(CUT);
    let longest = canaries.iter().filter_map(|canary| Some((cut_off(whole, &canary.text)?, canary)));
    if let Some((bytes, canary)) = longest.max_by_key(|(bytes, _)| *bytes) {
        let (from, to) = (whole.len() - bytes, whole.len());
        text.replace_range(from..to, &format!("[secret {}]", canary.name));
    }
}

/// How many bytes of the beginning of `secret` stand at the end of `text`, if they are too many for chance.
fn cut_off(text: &str, secret: &str) -> Option<usize> {
    let longest = secret.len().min(text.len());
    let mut lengths = (MIN_BYTES..=longest).rev().filter(|bytes| secret.is_char_boundary(*bytes));
    lengths.find(|bytes| text.ends_with(&secret[..*bytes]))
}

fn clean_value(value: &mut Value, canaries: &[Canary]) {
    match value {
        Value::String(text) => clean(text, canaries),
        Value::Array(items) => items.iter_mut().for_each(|item| clean_value(item, canaries)),
        Value::Object(entries) => {
            let cleaned = std::mem::take(entries).into_iter().map(|(mut key, mut value)| {
                clean(&mut key, canaries);
                clean_value(&mut value, canaries);
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

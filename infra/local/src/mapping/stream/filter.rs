//! What of a stream a function is to see: Lambda's filter patterns, as far as exact values go.

use serde_json::Value;

/// A pattern: `{"eventName":["INSERT"],"dynamodb":{"NewImage":{"state":{"S":["due"]}}}}`. Every key must be met; a list is met
/// by each of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Value);

/// A pattern that is none, or asks for more than exact values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a filter pattern of exact values")]
pub struct FilterError(String);

impl Filter {
    /// Reads a pattern as the template has it.
    ///
    /// # Errors
    /// [`FilterError`], also for what Lambda knows beyond exact values (`prefix`, `numeric`, `exists`).
    pub fn parse(pattern: &str) -> Result<Filter, FilterError> {
        let read =
            serde_json::from_str(pattern).ok().filter(|read: &Value| read.is_object() && is_exact(read));
        read.map(Filter).ok_or_else(|| FilterError(pattern.to_owned()))
    }

    /// Whether `record`, as the function would get it, passes.
    pub(super) fn passes(&self, record: &Value) -> bool {
        meets(record, &self.0)
    }
}

fn is_exact(pattern: &Value) -> bool {
    match pattern {
        Value::Object(keys) => !keys.is_empty() && keys.values().all(is_exact),
        Value::Array(values) => {
            !values.is_empty() && values.iter().all(|value| !value.is_object() && !value.is_array())
        }
        _ => false,
    }
}

fn meets(value: &Value, pattern: &Value) -> bool {
    match pattern {
        Value::Object(keys) => keys.iter().all(|(key, inner)| meets(&value[key.as_str()], inner)),
        Value::Array(values) => values.contains(value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pattern_is_met_by_every_key_and_any_value() {
        let check = |record: Value, expect: bool| {
            let pattern =
                r#"{"eventName":["INSERT","MODIFY"],"dynamodb":{"NewImage":{"state":{"S":["due"]}}}}"#;
            assert_eq!(Filter::parse(pattern).unwrap().passes(&record), expect, "{record}");
        };
        let image = |state: Value| json!({"NewImage": {"state": state, "more": {"N": "1"}}});
        check(json!({"eventName": "INSERT", "dynamodb": image(json!({"S": "due"}))}), true);
        check(json!({"eventName": "MODIFY", "dynamodb": image(json!({"S": "due"}))}), true);
        check(json!({"eventName": "REMOVE", "dynamodb": image(json!({"S": "due"}))}), false);
        check(json!({"eventName": "INSERT", "dynamodb": image(json!({"S": "held"}))}), false);
        check(json!({"eventName": "INSERT", "dynamodb": image(json!({"N": "due"}))}), false);
        check(json!({"eventName": "INSERT", "dynamodb": {"NewImage": {}}}), false);
        check(json!({"eventName": "INSERT"}), false);
        check(json!(null), false);
    }

    #[test]
    fn a_pattern_that_would_be_read_wrongly_is_refused() {
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"eventName":"INSERT"}"#,
            r#"{"eventName":[]}"#,
            r#"{"eventName":[{"prefix":"IN"}]}"#,
            r#"{"dynamodb":{}}"#,
        ] {
            assert!(Filter::parse(wrong).is_err(), "{wrong}");
        }
    }
}

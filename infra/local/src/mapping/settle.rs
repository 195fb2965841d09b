//! What Lambda deletes from a queue after a function answered, to the letter of its documentation ("Handling errors
//! for an SQS event source in Lambda", with `ReportBatchItemFailures`).

use serde_json::Value;

/// Which messages of a batch are deleted; the others come back after their visibility timeout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// The batch was a success.
    All,
    /// The batch was a failure.
    None,
    /// Some failed: these, by message id, did not.
    These(Vec<String>),
}

/// Reads `answer` to a batch of these message ids. `Ok(None)` is an empty answer; an `Err` is a thrown error, an answer
/// that is no JSON, or a timeout.
///
/// Two rules are traps, and kept on purpose, so that they are met here and not first on AWS: a wrong key at the top
/// means success for all, and one unknown id means failure for all.
pub fn settle<E>(batch: &[&str], answer: Result<Option<Value>, E>) -> Deletion {
    let Ok(answer) = answer else { return Deletion::None };
    let answer = match answer {
        None | Some(Value::Null) => return Deletion::All,
        Some(Value::Object(answer)) => answer,
        // Not documented for text, numbers and lists; keeping the messages is the side that loses nothing.
        Some(_) => return Deletion::None,
    };
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Deletion::All,
        Some(Value::Array(failures)) if failures.is_empty() => return Deletion::All,
        Some(Value::Array(failures)) => failures,
        Some(_) => return Deletion::None,
    };
    let mut kept: Vec<&str> = batch.to_vec();
    for failure in failures {
        let id = failure.get("itemIdentifier").and_then(Value::as_str);
        let Some(id) = id.filter(|id| batch.contains(id)) else { return Deletion::None };
        kept.retain(|kept| *kept != id);
    }
    if kept.is_empty() {
        Deletion::None
    } else {
        Deletion::These(kept.into_iter().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_shape_of_an_answer_is_read_as_lambda_reads_it() {
        let check = |case: &str, answer: Result<Option<Value>, &str>, expect: Deletion| {
            assert_eq!(settle(&["a", "b", "c"], answer), expect, "{case}");
        };
        let these = |ids: &[&str]| Deletion::These(ids.iter().map(|id| (*id).to_owned()).collect());
        let failed = |ids: Value| Ok(Some(json!({ "batchItemFailures": ids })));

        check("no answer", Ok(None), Deletion::All);
        check("null", Ok(Some(Value::Null)), Deletion::All);
        check("an empty object", Ok(Some(json!({}))), Deletion::All);
        check("an empty list", failed(json!([])), Deletion::All);
        check("a null list", failed(Value::Null), Deletion::All);
        check("another key", Ok(Some(json!({"statusCode": 200}))), Deletion::All);
        check(
            "a wrong top-level key",
            Ok(Some(json!({"batch_item_failures": [{"itemIdentifier": "a"}]}))),
            Deletion::All,
        );

        check("a thrown error", Err("thrown"), Deletion::None);
        check("invalid JSON", Err("not JSON"), Deletion::None);
        check("an empty id", failed(json!([{"itemIdentifier": ""}])), Deletion::None);
        check("a null id", failed(json!([{"itemIdentifier": null}])), Deletion::None);
        check(
            "an unknown id beside a known one",
            failed(json!([{"itemIdentifier": "a"}, {"itemIdentifier": "z"}])),
            Deletion::None,
        );
        check("a wrong item key", failed(json!([{"item_identifier": "a"}])), Deletion::None);
        check("a list of bare ids", failed(json!(["a"])), Deletion::None);
        check("a non-list", failed(json!({"itemIdentifier": "a"})), Deletion::None);
        check("an answer that is no object", Ok(Some(json!("done"))), Deletion::None);

        check("one failure", failed(json!([{"itemIdentifier": "b"}])), these(&["a", "c"]));
        check(
            "the same failure twice",
            failed(json!([{"itemIdentifier": "b"}, {"itemIdentifier": "b"}])),
            these(&["a", "c"]),
        );
        let all = json!([{"itemIdentifier": "c"}, {"itemIdentifier": "a"}, {"itemIdentifier": "b"}]);
        check("every one failed", failed(all), Deletion::None);
    }
}

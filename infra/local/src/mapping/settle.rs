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

/// What a function reported of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reported {
    /// It did all of it.
    Success,
    /// The batch failed as a whole.
    Failure,
    /// These failed: their places in the batch, at least one.
    These(Vec<usize>),
}

/// Reads `answer` to a batch of these message ids. `Ok(None)` is an empty answer; an `Err` is a thrown error, an answer
/// that is no JSON, or a timeout.
pub fn settle<E>(batch: &[&str], answer: Result<Option<Value>, E>) -> Deletion {
    let failed = match reported(batch, answer) {
        Reported::Success => return Deletion::All,
        Reported::Failure => return Deletion::None,
        Reported::These(failed) => failed,
    };
    let kept = batch.iter().enumerate().filter(|(at, _)| !failed.contains(at));
    let kept: Vec<String> = kept.map(|(_, id)| (*id).to_owned()).collect();
    if kept.is_empty() { Deletion::None } else { Deletion::These(kept) }
}

/// Reads `answer` to a batch of these ids: message ids of a queue, sequence numbers of a stream.
///
/// Two rules are traps, and kept on purpose, so that they are met here and not first on AWS: a wrong key at the top
/// means success for all, and one unknown id means failure for all.
pub(super) fn reported<E>(batch: &[&str], answer: Result<Option<Value>, E>) -> Reported {
    let Ok(answer) = answer else { return Reported::Failure };
    let answer = match answer {
        None | Some(Value::Null) => return Reported::Success,
        Some(Value::Object(answer)) => answer,
        // Not documented for text, numbers and lists; keeping the messages is the side that loses nothing.
        Some(_) => return Reported::Failure,
    };
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Reported::Success,
        Some(Value::Array(failures)) if failures.is_empty() => return Reported::Success,
        Some(Value::Array(failures)) => failures,
        Some(_) => return Reported::Failure,
    };
    let place = |failure: &Value| {
        let id = failure.get("itemIdentifier")?.as_str()?;
        batch.iter().position(|known| *known == id)
    };
    failures.iter().map(place).collect::<Option<_>>().map_or(Reported::Failure, Reported::These)
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

//! What of a Kafka batch comes again after a function answered, by Lambda's documentation ("Configuring error handling
//! controls for Kafka event sources", with `ReportBatchItemFailures`).

use std::collections::BTreeMap;

use queue::local::KafkaRecord;
use serde_json::Value;

use super::event::name;

/// From which offset on each partition comes again; a partition that is not in it is done. `Ok(None)` is an empty answer; an `Err`
/// is a thrown error, an answer that is no JSON, or a timeout.
///
/// As for queues and streams: a wrong key at the top means success for all, and one unknown or empty item means failure for all.
pub(super) fn settle<E>(batch: &[KafkaRecord], answer: Result<Option<Value>, E>) -> BTreeMap<i32, i64> {
    let failed = match failures(answer) {
        Some(failures) => failures.iter().map(|failure| place(batch, failure)).collect::<Option<Vec<_>>>(),
        None => None,
    };
    let all = || batch.iter().map(|record| (record.partition, record.offset)).collect();
    let mut again: BTreeMap<i32, i64> = BTreeMap::new();
    for (partition, offset) in failed.unwrap_or_else(all) {
        again.entry(partition).and_modify(|first| *first = (*first).min(offset)).or_insert(offset);
    }
    again
}

/// The items that the answer names; `None` where the batch failed as a whole.
fn failures<E>(answer: Result<Option<Value>, E>) -> Option<Vec<Value>> {
    match answer.ok()? {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Object(mut answer)) => match answer.remove("batchItemFailures") {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(failures)) => Some(failures),
            Some(_) => None,
        },
        // Not documented for text, numbers and lists; bringing the records again is the side that loses nothing.
        Some(_) => None,
    }
}

/// Where an item lies, if it is one of the batch.
fn place(batch: &[KafkaRecord], failure: &Value) -> Option<(i32, i64)> {
    let item = failure.get("itemIdentifier")?;
    let (partition, offset) = (item.get("partition")?.as_str()?, item.get("offset")?.as_i64()?);
    let found = batch.iter().find(|record| record.offset == offset && name(record) == partition)?;
    Some((found.partition, found.offset))
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::at;
    use super::*;
    use serde_json::json;

    #[test]
    fn every_shape_of_an_answer_is_read_as_lambda_reads_it() {
        let batch = [at(0, 5), at(0, 6), at(0, 9), at(1, 2)];
        let check = |case: &str, answer: Result<Option<Value>, &str>, expect: &[(i32, i64)]| {
            assert_eq!(settle(&batch, answer), expect.iter().copied().collect(), "{case}");
        };
        let all = &[(0, 5), (1, 2)][..];
        let failed = |items: Value| Ok(Some(json!({ "batchItemFailures": items })));
        let item = |partition: &str, offset: i64| json!({"itemIdentifier": {"partition": partition, "offset": offset}});

        check("no answer", Ok(None), &[]);
        check("null", Ok(Some(Value::Null)), &[]);
        check("an empty object", Ok(Some(json!({}))), &[]);
        check("an empty list", failed(json!([])), &[]);
        check("a null list", failed(Value::Null), &[]);
        check("a wrong top-level key", Ok(Some(json!({"batch_item_failures": [item("orders-0", 6)]}))), &[]);

        check("one", failed(json!([item("orders-0", 6)])), &[(0, 6)]);
        check("the lowest of two", failed(json!([item("orders-0", 9), item("orders-0", 6)])), &[(0, 6)]);
        check("one of each", failed(json!([item("orders-0", 9), item("orders-1", 2)])), &[(0, 9), (1, 2)]);

        check("thrown", Err("thrown"), all);
        check("a text", Ok(Some(json!("done"))), all);
        check("no list", failed(json!("orders-0")), all);
        check("an offset that was not in it", failed(json!([item("orders-0", 7)])), all);
        check("another partition", failed(json!([item("orders-0", 6), item("orders-2", 2)])), all);
        check("another topic", failed(json!([item("other-0", 6)])), all);
        check("no offset", failed(json!([{"itemIdentifier": {"partition": "orders-0"}}])), all);
        check("as for a queue", failed(json!([{"itemIdentifier": "orders-0-6"}])), all);
        check("an empty item", failed(json!([{"itemIdentifier": ""}])), all);
        check("null", failed(json!([null])), all);
    }
}

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;
use proptest::prelude::*;
use serde_json::json;

const RETRY: &str = "arn:aws:sqs:eu-west-1:123456789012:stack-retry";

fn records(event: Value) -> Result<Vec<Record>, EventError> {
    super::records(event, RETRY)
}

fn raw(id: &str) -> Value {
    json!({
        "messageId": id,
        "receiptHandle": format!("handle of {id}"),
        "body": "{\"handler\":\"signup\"}",
        "attributes": {
            "ApproximateReceiveCount": "3", "SentTimestamp": "1700000000123", "SenderId": "AIDA",
            "ApproximateFirstReceiveTimestamp": "1700000000200", "MessageGroupId": "g1"
        },
        "messageAttributes": {
            "message-id": {"stringValue": "0BF1", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
            "round": {"stringValue": "2", "dataType": "Number"},
            "tenant": {"stringValue": "t1", "binaryValue": null, "stringListValues": null, "dataType": "String"},
            "blob": {"binaryValue": "not base64 at all", "dataType": "Binary"}
        },
        "md5OfBody": "0", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:orders.fifo",
        "awsRegion": "eu-west-1", "somethingNew": {"a": [1]}
    })
}

fn batch(records: Vec<Value>) -> Value {
    json!({ "Records": records })
}

#[test]
fn a_record_is_read_whole() {
    let record = records(batch(vec![raw("m1")])).unwrap().remove(0);
    let received = record.message.unwrap();
    assert_eq!((record.id.as_str(), record.group.as_deref()), ("m1", Some("g1")));
    assert_eq!((received.receive_count, received.round, received.id()), (3, 2, "0BF1"));
    assert_eq!(received.sent_at.unwrap().as_millisecond(), 1_700_000_000_123);
    assert_eq!(received.group.as_deref(), Some("g1"));
    assert_eq!(received.attributes, BTreeMap::from([("tenant".to_owned(), "t1".to_owned())]));
}

#[test]
fn a_group_on_a_standard_queue_is_no_order() {
    let mut standard = raw("m1");
    standard["eventSourceARN"] = json!("arn:aws:sqs:eu-west-1:123456789012:orders");
    let record = records(batch(vec![standard])).unwrap().remove(0);
    assert_eq!((record.group, record.message.unwrap().group), (None, None));
}

#[test]
fn a_broken_record_is_broken_alone() {
    for (field, value) in [
        ("body", Value::Null),
        ("body", json!(7)),
        ("eventSourceARN", json!([])),
        ("attributes", json!("x")),
        ("attributes", json!({"ApproximateReceiveCount": "many"})),
        ("messageAttributes", json!([1])),
    ] {
        let mut broken = raw("bad");
        broken[field] = value.clone();
        let records = records(batch(vec![raw("good"), broken])).unwrap();
        assert!(records[0].message.is_ok());
        assert!(records[1].message.is_err(), "{field} = {value}");
        assert_eq!(records[1].id, "bad");
    }
}

#[test]
fn what_may_be_missing_may_be_missing_or_null() {
    for empty in [None, Some(Value::Null), Some(json!({}))] {
        let mut record = raw("m1");
        for field in ["attributes", "messageAttributes"] {
            match &empty {
                None => drop(record.as_object_mut().unwrap().remove(field)),
                Some(value) => record[field] = value.clone(),
            }
        }
        let received = records(batch(vec![record])).unwrap().remove(0).message.unwrap();
        assert_eq!((received.id(), received.round, received.sent_at), ("m1", 0, None));
        assert!(received.receive_count > 1, "failures must be looked up");
    }
}

#[test]
fn an_id_that_is_none_is_not_believed() {
    for id in ["", "a#b", "a b", "é", &"x".repeat(129)] {
        let mut record = raw("m1");
        record["messageAttributes"]["message-id"]["stringValue"] = json!(id);
        let received = records(batch(vec![record])).unwrap().remove(0).message.unwrap();
        assert_eq!(received.id(), "m1", "{id:?}");
    }
}

/// A record of the retry queue: with these attributes instead of those that every one has.
fn put_off(change: &[(&str, Option<&str>)]) -> Result<Received, String> {
    let mut raw = raw("m1");
    raw["eventSourceARN"] = json!(RETRY);
    let mut attributes = json!({});
    let ours = [
        ("message-id", "orders-0-7"),
        ("round", "2"),
        ("queue-id", "0AV01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("engine-id", "orders-0-7"),
    ];
    let ours = ours.iter().map(|(name, value)| (*name, Some(*value)));
    for (name, value) in ours.chain(change.iter().copied()) {
        attributes[name] =
            value.map_or(Value::Null, |value| json!({ "stringValue": value, "dataType": "String" }));
    }
    raw["messageAttributes"] = attributes;
    let record = records(batch(vec![raw])).unwrap().remove(0);
    // The retry queue keeps no order, whatever order was kept before.
    assert_eq!((record.group, record.queue_arn.as_deref()), (None, Some(RETRY)));
    record.message
}

#[test]
fn a_message_of_the_retry_queue_is_as_its_broker_gave_it() {
    let queue = "0AV01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let received = put_off(&[]).unwrap();
    assert_eq!(received.source, Source::Retry { queue, not_before: None });
    assert_eq!((received.id(), received.engine_id.as_str(), received.round), ("orders-0-7", "orders-0-7", 2));
    assert_eq!(received.receive_count, 4, "the broker's receipt counts, too");
    assert_eq!((received.group, received.sent_at), (None, None));
    assert_eq!(received.body, Body::Text(r#"{"handler":"signup"}"#.to_owned()));
    let received = put_off(&[
        ("not-before", Some("1700000900")),
        ("sent-at", Some("1700000000123")),
        ("ordering-key", Some("customer 1")),
        ("body-at", Some("orders-0-7#00ff")),
        ("attributes", Some(r#"{"tenant":"t1","held":"x"}"#)),
        ("of-somebody-else", Some("1")),
    ]);
    let received = received.unwrap();
    let time = Timestamp::from_second(1_700_000_900).unwrap();
    assert_eq!(received.source, Source::Retry { queue, not_before: Some(time) });
    assert_eq!(received.sent_at.unwrap().as_millisecond(), 1_700_000_000_123);
    assert_eq!(
        (received.group.as_deref(), received.body),
        (Some("customer 1"), Body::Kept("orders-0-7#00ff".to_owned()))
    );
    let own = [("held", "x"), ("tenant", "t1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(received.attributes, own.into());
}

#[test]
fn what_others_put_on_the_retry_queue_is_broken_alone() {
    for (name, value, part) in [
        ("queue-id", None, "no attribute queue-id"),
        ("queue-id", Some("orders"), "queue-id that is none of ours"),
        ("message-id", None, "no attribute message-id"),
        ("round", Some("two"), "round"),
        ("engine-id", None, "engine-id"),
        ("not-before", Some("soon"), "not-before"),
        ("not-before", Some("9223372036854775807"), "no time at all"),
        ("attributes", Some("[1]"), "attributes"),
    ] {
        let error = put_off(&[(name, value)]).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_batch_that_cannot_be_answered_one_by_one_is_refused_whole() {
    let check = |event: Value, part: &str| {
        let error = records(event).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    check(json!(null), "not an SQS event");
    check(json!([]), "not an SQS event");
    check(json!({}), "no list of Records");
    check(json!({"Records": {}}), "no list of Records");
    let (mut unnamed, mut empty) = (raw("x"), raw("y"));
    unnamed["messageId"] = Value::Null;
    empty["messageId"] = json!("");
    check(
        batch(vec![raw("a"), unnamed, raw("b"), empty, json!(7)]),
        "records [2, 4, 5] of 5 have no messageId",
    );
}

#[test]
fn a_message_delivered_twice_is_one_record_with_the_later_handle() {
    let mut again = raw("a");
    again["receiptHandle"] = json!("later");
    let records = records(batch(vec![raw("a"), raw("b"), again])).unwrap();
    let found: Vec<_> =
        records.iter().map(|r| (r.id.as_str(), r.receipt_handle.as_deref().unwrap())).collect();
    assert_eq!(found, [("a", "later"), ("b", "handle of b")]);
}

#[test]
fn an_empty_batch_is_a_batch() {
    assert!(records(batch(vec![])).unwrap().is_empty());
}

proptest! {
    /// Whatever a record's fields hold, there is a verdict and no panic.
    #[test]
    fn no_record_brings_it_down(field in 0_usize..6, value in "[\\[\\]{}\":,0-9a-z ]{0,30}") {
        let mut record = raw("m1");
        let name = ["messageId", "body", "attributes", "messageAttributes", "eventSourceARN", "receiptHandle"][field];
        record[name] = serde_json::from_str(&value).unwrap_or(Value::String(value));
        let _ = records(batch(vec![record, raw("m2")]));
    }
}

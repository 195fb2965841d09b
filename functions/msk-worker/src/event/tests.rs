#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;
use proptest::prelude::*;
use serde_json::json;

/// `tests/events/<name>.json`.
fn event(name: &str) -> Value {
    let path = format!("{}/../../tests/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// A record in one line: what the answer calls it, where it goes, its id and round, its body, and what else there is.
fn line(record: Record) -> String {
    let named = record.id.map_or("nameless".to_owned(), |id| format!("{}@{}", id.partition, id.offset));
    let received = match record.message {
        Ok(received) => received,
        Err(topic) => return format!("{named}: no queue can be called {topic}"),
    };
    assert_eq!(received.receive_count, 1);
    let body = match &received.body {
        Body::Text(text) => text.clone(),
        Body::Bytes(bytes) => format!("bytes {}", bytes.escape_ascii()),
        Body::Kept(at) => panic!("nothing is kept at {at} yet"),
    };
    let mut line = format!("{named} -> {}: {}#{} {body}", received.source, received.id(), received.round);
    if let Some(key) = &received.group {
        line.push_str(&format!(" key {key}"));
    }
    for (name, value) in &received.attributes {
        line.push_str(&format!(" {name}={value}"));
    }
    line
}

fn check(name: &str, expect: &[&str]) {
    let found: Vec<String> = records(event(name)).unwrap().into_iter().map(line).collect();
    assert_eq!(found, expect, "{name}");
}

#[test]
fn records_of_msk_are_read_whole() {
    check(
        "kafka-msk-two-partitions",
        &[
            r#"orders-0@15 -> orders: 0BF01JD8XG2H3K4M5N6P7Q8R9S01#0 {"handler":"ack","n":15} key customer-7 tenant=loja-São-João"#,
            r#"orders-0@16 -> orders: 0BF01JD8XG2H3K4M5N6P7Q8R9S02#0 {"handler":"ack","n":16} key customer-7"#,
            r#"orders-0@17 -> orders: 0BF01JD8XG2H3K4M5N6P7Q8R9S03#0 {"handler":"ack","n":17} key customer-8"#,
            r#"orders-3@9007199254740993 -> orders: 0BF01JD8XG2H3K4M5N6P7Q8R9S04#0 {"handler":"ack","n":1} key customer-7"#,
        ],
    );
}

#[test]
fn order_is_kept_per_key_within_a_partition() {
    let records = records(event("kafka-msk-two-partitions")).unwrap();
    let same: Vec<bool> = records.iter().map(|record| record.group == records[0].group).collect();
    assert_eq!(same, [true, true, false, false]);
}

#[test]
fn a_record_without_ids_or_key_is_called_by_its_place() {
    check("kafka-self-managed", &[r#"orders-0@0 -> orders: orders-0-0#0 {"handler":"ack"}"#]);
    check("kafka-null-headers", &[r#"orders-0@20 -> orders: orders-0-20#0 {"handler":"ack"}"#]);
    let record = records(event("kafka-self-managed")).unwrap().remove(0);
    assert_eq!((record.group, record.message.unwrap().group), (None, None));
}

#[test]
fn of_headers_the_last_counts_and_what_is_no_text_is_left_out() {
    check("kafka-odd-headers", &[r#"orders-0@21 -> orders: order-1#2 {"handler":"ack"} none= tenant=t2"#]);
}

#[test]
fn a_tombstone_is_the_json_null() {
    check("kafka-tombstone", &["orders-0@22 -> orders: orders-0-22#0 null key customer-7"]);
}

#[test]
fn a_record_has_its_time_or_none() {
    let sent_at = |name| records(event(name)).unwrap().remove(0).message.unwrap().sent_at;
    assert_eq!(sent_at("kafka-tombstone").unwrap().as_millisecond(), 1_763_764_800_123);
    assert_eq!(sent_at("kafka-without-times"), None);
}

#[test]
fn what_is_no_text_is_kept_as_bytes_and_a_key_in_base64() {
    check("kafka-binary", &[r"orders-0@24 -> orders: orders-0-24#0 bytes \x00\xff\xfe\x01 key /wAB"]);
}

#[test]
fn a_broken_record_is_broken_alone_and_is_still_a_message() {
    check(
        "kafka-broken-base64",
        &[
            r#"orders-0@25 -> orders: orders-0-25#0 {"handler":"ack"}"#,
            "orders-0@26 -> orders: orders-0-26#0 bytes %%% not base64 %%%",
            "orders-0@27 -> orders: orders-0-27#0 bytes 7",
            r#"orders-0@28 -> orders: orders-0-28#0 {"handler":"ack"}"#,
        ],
    );
}

#[test]
fn a_record_that_is_there_twice_is_one() {
    check(
        "kafka-same-record-twice",
        &[
            r#"orders-0@29 -> orders: 0BF01JD8XG2H3K4M5N6P7Q8R9S05#0 {"handler":"ack"} key customer-7"#,
            r#"orders-0@30 -> orders: orders-0-30#0 {"handler":"ack"}"#,
        ],
    );
}

#[test]
fn a_topic_that_can_be_no_queues_name_is_said() {
    check("kafka-topic-with-dots", &["orders.v2-0@31: no queue can be called orders.v2"]);
}

#[test]
fn what_is_no_record_is_a_message_all_the_same() {
    let found = records(event("kafka-misshapen")).unwrap();
    let bodies: Vec<_> = found.iter().map(|record| record.message.as_ref().unwrap().body.clone()).collect();
    let bytes = |text: &str| Body::Bytes(text.as_bytes().to_vec());
    let null = || Body::Text("null".to_owned());
    assert_eq!(bodies[1..], [bytes("7"), bytes("null"), null(), null(), null()]);
    assert_eq!(found.iter().filter(|record| record.id.is_none()).count(), 5);
    for record in &found {
        let id = record.message.as_ref().unwrap().id();
        assert!(id.starts_with("orders-") && id.len() < 128, "{id}");
    }
}

#[test]
fn what_is_no_batch_is_refused() {
    let check = |event: Value, part: &str| {
        let error = records(event).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    check(json!(null), "no JSON object");
    check(json!([]), "no JSON object");
    check(json!({"Records": []}), "no records by partition");
    check(json!({"records": []}), "no records by partition");
    assert!(records(json!({"records": {}})).unwrap().is_empty());
}

/// Any JSON, often with the names that matter.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z0-9+/=%.é-]{0,12}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "topic",
        "partition",
        "offset",
        "timestamp",
        "key",
        "value",
        "headers",
        "message-id",
        "round",
    ]);
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    /// Whatever a partition's list holds, each record of it is there once, by its own name where it has one.
    #[test]
    fn every_record_is_read_and_none_twice(list in prop::collection::vec(any_json(), 0..8), partition in "[a-z.]{0,6}(-[0-9]{1,2})?") {
        let offsets: HashSet<i64> = list.iter().filter_map(|raw| raw["offset"].as_i64()).collect();
        let nameless = list.iter().filter(|raw| raw["offset"].as_i64().is_none()).count();
        let records = records(json!({ "records": { partition.clone(): list } })).unwrap();
        prop_assert_eq!(records.len(), offsets.len() + nameless);
        let named: HashSet<i64> = records.iter().filter_map(|record| record.id.as_ref().map(|id| id.offset)).collect();
        prop_assert_eq!(named, offsets);
        prop_assert!(records.iter().filter_map(|record| record.id.as_ref()).all(|id| id.partition == partition));
        for id in records.iter().filter_map(|record| Some(record.message.as_ref().ok()?.id())) {
            let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            prop_assert!(plain && (1..=128).contains(&id.len()), "{id}");
        }
    }

    #[test]
    fn no_event_brings_it_down(event in any_json()) {
        let _ = records(event.clone());
        let _ = records(json!({ "records": event }));
    }
}

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;
use proptest::prelude::*;
use serde_json::json;

/// `tests/events/<name>.json`.
fn event(name: &str) -> Value {
    let path = format!("{}/../../tests/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// A batch, whose nameless messages are called `new-1`, `new-2` and so on.
fn read(event: Value) -> Result<Vec<Result<Received, String>>, EventError> {
    let mut count = 0;
    messages(event, || {
        count += 1;
        format!("new-{count}")
    })
}

/// A message in one line: where it goes, its id and round, its receipts, its body, and what else there is.
fn line(message: Result<Received, String>) -> String {
    let received = match message {
        Ok(received) => received,
        Err(queue) => return format!("no queue can be called {queue}"),
    };
    assert_eq!(received.group, None, "RabbitMQ keeps no order here");
    assert_eq!(received.engine_id, received.id());
    let body = match &received.body {
        Body::Text(text) => text.clone(),
        Body::Bytes(bytes) => format!("bytes {}", bytes.escape_ascii()),
        Body::Kept(at) => panic!("nothing is kept at {at} yet"),
    };
    let id = received.id();
    let mut line = format!("{}: {id}#{} x{} {body}", received.source, received.round, received.receive_count);
    if let Some(at) = received.sent_at {
        line.push_str(&format!(" at {at}"));
    }
    for (name, value) in &received.attributes {
        line.push_str(&format!(" {name}={value}"));
    }
    line
}

fn check(name: &str, expect: &[&str]) {
    let found: Vec<String> = read(event(name)).unwrap().into_iter().map(line).collect();
    assert_eq!(found, expect, "{name}");
}

fn ids(name: &str) -> Vec<String> {
    read(event(name)).unwrap().into_iter().map(|message| message.unwrap().id().to_owned()).collect()
}

#[test]
fn a_message_of_ours_has_our_ids() {
    check(
        "rabbitmq-of-ours",
        &[r#"orders: 0BF01JD8XG2H3K4M5N6P7Q8R9S01#1 x1 {"handler":"ack"} tenant=loja-São-João"#],
    );
}

#[test]
fn properties_of_every_kind_are_read() {
    check(
        "rabbitmq-all-properties",
        &[
            r#"orders: order-17#0 x1 {"handler":"ack"} at 1970-01-01T00:33:41Z attempts=3 plain=text region=eu table={"a":[1,2]} urgent=true"#,
        ],
    );
}

#[test]
fn a_redelivered_message_has_been_received_before() {
    check("rabbitmq-redelivered", &[r#"orders: order-18#0 x2 {"handler":"ack"} at 2025-11-21T22:40:00Z"#]);
}

#[test]
fn a_message_without_an_id_that_can_be_a_key_is_given_a_new_one() {
    check("rabbitmq-nulls", &[r#"orders: new-1#0 x1 {"handler":"ack"}"#]);
    for odd in ["", "é", "a b", &"x".repeat(129), "a/b"] {
        let mut named = event("rabbitmq-nulls");
        named["rmqMessagesByQueue"]["orders::/"][0]["basicProperties"]["messageId"] = json!(odd);
        assert_eq!(read(named).unwrap().remove(0).unwrap().id(), "new-1", "{odd}");
    }
}

#[test]
fn what_is_no_text_is_kept_as_bytes_and_nothing_is_an_empty_text() {
    check(
        "rabbitmq-empty-and-binary",
        &["orders: a#0 x1 ", "orders: b#0 x1 ", r"orders: c#0 x1 bytes \x00\xff"],
    );
}

#[test]
fn a_broken_message_is_broken_alone_and_is_still_a_message() {
    check(
        "rabbitmq-broken-base64",
        &[r#"orders: good#0 x1 {"handler":"ack"}"#, "orders: bad#0 x1 bytes %%% not base64 %%%"],
    );
}

/// The broker tells no delivery from another, so each is handled: at least once.
#[test]
fn a_message_that_is_there_twice_has_one_id() {
    assert_eq!(ids("rabbitmq-same-message-twice"), ["order-19", "order-19"]);
}

#[test]
fn what_is_no_message_is_one_all_the_same() {
    check(
        "rabbitmq-misshapen",
        &[
            "orders: new-1#0 x1 bytes 7",
            "orders: new-2#0 x1 bytes null",
            "orders: new-3#0 x1 ",
            "orders: new-4#0 x1 ",
            "third: new-5#0 x1 null",
        ],
    );
}

#[test]
fn a_queue_that_cannot_be_registered_is_said() {
    check("rabbitmq-queue-with-dots", &["no queue can be called orders.v2"]);
}

#[test]
fn what_is_no_batch_is_refused() {
    let check = |event: Value, part: &str| {
        let error = read(event).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    check(json!(null), "no JSON object");
    check(json!({"messages": []}), "no messages by queue");
    check(json!({"rmqMessagesByQueue": []}), "no messages by queue");
    assert!(read(json!({"rmqMessagesByQueue": {}})).unwrap().is_empty());
}

/// Any JSON, often with the names that matter.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z0-9+/=%.é, :-]{0,24}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "basicProperties",
        "headers",
        "messageId",
        "timestamp",
        "redelivered",
        "data",
        "bytes",
        "message-id",
        "round",
    ]);
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    /// Whatever a queue's list holds, each of it is a message, under an id that can be a key.
    #[test]
    fn every_message_is_read(list in prop::collection::vec(any_json(), 0..8)) {
        let count = list.len();
        let messages = read(json!({ "rmqMessagesByQueue": { "orders::/": list } })).unwrap();
        prop_assert_eq!(messages.len(), count);
        for message in messages {
            let received = message.unwrap();
            prop_assert!((1..=128).contains(&received.id().len()));
        }
    }

    #[test]
    fn no_event_brings_it_down(event in any_json()) {
        let _ = read(event.clone());
        let _ = read(json!({ "rmqMessagesByQueue": event }));
    }
}

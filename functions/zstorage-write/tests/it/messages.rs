//! What the answer to a write says of the messages of its links.

use domain::LinkMode;
use serde_json::{Value, json};

use crate::engine::Mood;
use crate::house::House;
use crate::kafka::Kafka;
use crate::tables::Design;

const NEW: &str = r#"{"apiName":"Thing","fields":{"code":"a"}}"#;
const CHANGE: &str = r#"{"fields":{"code":"b"}}"#;

/// A house whose table Thing has one link to the queue `orders`.
async fn linked(mode: LinkMode) -> House {
    let house = House::start().await;
    let queue = house.queue("orders").await;
    house.tables.table("Thing", Design::new().text("code").linked(queue, mode)).await;
    house
}

/// The one message that an answer tells of: its id and that of SQS.
fn message(document: &Value) -> (String, String) {
    message_of(document, "sqs-id")
}

/// The one message that an answer tells of: its id and the engine's, under that name.
fn message_of(document: &Value, name: &str) -> (String, String) {
    let messages = document["messages"].as_array().unwrap_or_else(|| panic!("{document}"));
    assert_eq!(messages.len(), 1, "{document}");
    let mut keys: Vec<_> = messages[0].as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let mut expect = ["message-id", "queue-id", name];
    expect.sort_unstable();
    assert_eq!(keys, expect, "{document}");
    let text = |key: &str| messages[0][key].as_str().unwrap().to_owned();
    (text("message-id"), text(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_write_is_on_its_queue_when_the_answer_comes() {
    let house = linked(LinkMode::Strict).await;
    let made = house.ask("POST /record/new", &[], NEW).await;
    assert_eq!((made.status, &made.headers["etag"]), (201, &"\"1\"".parse().unwrap()), "{}", made.text);
    let (message_id, _) = message(&made.json());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let changed = house.ask(&format!("PUT /record/{id}"), &[("link-depth", "7")], CHANGE).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    message(&changed.json());
    let removed = house.ask(&format!("DELETE /record/{id}"), &[], "").await;
    assert_eq!((removed.status, &removed.json()["id"]), (200, &json!(id)), "{}", removed.text);
    message(&removed.json());
    let sent = house.engine.messages("ql-orders");
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[0]["MessageAttributes"]["message-id"]["StringValue"], message_id);
    // What its handler writes is one deeper.
    assert_eq!(sent[1]["MessageAttributes"]["link-depth"]["StringValue"], "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_write_to_kafka_tells_where_its_record_lies_and_without_kafka_leaves_nothing() {
    let kafka = Kafka::start(&["events"]);
    let house = House::beside(kafka.own()).await;
    let queue = house.topic("events").await;
    house.tables.table("Thing", Design::new().text("code").linked(queue, LinkMode::Strict)).await;
    let key = [("idempotency-key", "k")];
    let made = house.ask("POST /record/new", &key, NEW).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let told = message_of(&made.json(), "kafka-id");
    assert_eq!(told.1, "events-0-0");
    let record = kafka.records("events").pop().unwrap();
    assert!(record.headers.contains(&("message-id".to_owned(), told.0.clone())), "{record:?}");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(record.key.as_deref(), Some(id.as_str()));
    let again = house.ask("POST /record/new", &key, NEW).await;
    assert_eq!(message_of(&again.json(), "kafka-id"), told);
    kafka.is_away(true);
    // So soon after another record librdkafka's counters do not tell the two apart; of the next one they do.
    assert_eq!(house.ask("POST /record/new", &[], NEW).await.problem(), 503);
    let refused = house.ask(&format!("PUT /record/{id}"), &[], CHANGE).await;
    assert_eq!(refused.problem(), 503, "{}", refused.text);
    assert_eq!(refused.json()["outcome"], Value::Null);
    kafka.is_away(false);
    let changed = house.ask(&format!("PUT /record/{id}"), &[("if-match", "1")], CHANGE).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(message_of(&changed.json(), "kafka-id").1, "events-0-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_write_that_is_asked_for_again_tells_its_message_again() {
    let house = linked(LinkMode::Strict).await;
    let key = [("idempotency-key", "k")];
    let first = house.ask("POST /record/new", &key, NEW).await;
    let again = house.ask("POST /record/new", &key, NEW).await;
    assert_eq!(
        (again.status, again.headers.contains_key("idempotent-replayed")),
        (201, true),
        "{}",
        again.text
    );
    assert_eq!(message(&first.json()), message(&again.json()));
    assert_eq!(house.engine.messages("ql-orders").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_write_whose_queue_refuses_is_503_and_leaves_nothing() {
    let house = linked(LinkMode::Strict).await;
    let made = house.ask("POST /record/new", &[], NEW).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    house.engine.mood(Mood::Refusing);
    for (line, body) in [
        ("POST /record/new".to_owned(), NEW),
        (format!("PUT /record/{id}"), CHANGE),
        (format!("DELETE /record/{id}"), ""),
    ] {
        let answer = house.ask(&line, &[], body).await;
        assert_eq!(answer.problem(), 503, "{line}: {}", answer.text);
        assert!(answer.headers.contains_key("retry-after"), "{line}");
        assert_eq!(answer.json()["outcome"], Value::Null, "{line}");
    }
    house.engine.mood(Mood::Fine);
    let changed = house.ask(&format!("PUT /record/{id}"), &[("if-match", "1")], CHANGE).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_write_without_an_answer_has_an_unknown_outcome_and_holds_its_record() {
    let house = linked(LinkMode::Strict).await;
    let made = house.ask("POST /record/new", &[], NEW).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    house.engine.mood(Mood::Silent);
    let line = format!("PUT /record/{id}");
    let key = [("idempotency-key", "k")];
    let answer = house.ask(&line, &key, CHANGE).await;
    assert_eq!(answer.problem(), 503, "{}", answer.text);
    assert_eq!(answer.json()["outcome"], "unknown");
    assert!(answer.json()["message-id"].as_str().is_some_and(|id| id.starts_with("0BF")), "{}", answer.text);
    let other = house.ask(&line, &[], CHANGE).await;
    assert_eq!(other.problem(), 409, "{}", other.text);
    assert!(other.headers.contains_key("retry-after"));
    let again = house.ask(&line, &key, CHANGE).await;
    assert_eq!(again.problem(), 409, "{}", again.text);
    assert_eq!(again.json()["type"], "urn:queuelink:problem:in-flight");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_tells_the_messages_of_each_operation() {
    let house = linked(LinkMode::Strict).await;
    let made = house.ask("POST /record/new", &[], NEW).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let batch = |atomic: bool| {
        let create: Value = serde_json::from_str(NEW).unwrap();
        json!({"atomic": atomic, "operations": [{"create": create}, {"delete": {"id": id}}]}).to_string()
    };
    let refused = house.ask("POST /record/batch", &[], &batch(true)).await;
    assert_eq!(refused.problem(), 422, "{}", refused.text);
    let done = house.ask("POST /record/batch", &[], &batch(false)).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let results = done.json()["results"].clone();
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!(201), &json!(200)));
    message(&results[0]);
    message(&results[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waits_for_nothing_says_nothing_of_messages() {
    let house = linked(LinkMode::Outbox).await;
    let made = house.ask("POST /record/new", &[], NEW).await;
    assert_eq!((made.status, &made.json()["messages"]), (201, &Value::Null), "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(house.ask(&format!("DELETE /record/{id}"), &[], "").await.status, 204);
    // Without links there is nothing to wait for.
    house.tables.table("Plain", Design::new().text("code")).await;
    let made = house.ask("POST /record/new?wait=published", &[], &NEW.replace("Thing", "Plain")).await;
    assert_eq!((made.status, &made.json()["messages"]), (201, &json!([])), "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let removed = house.ask(&format!("DELETE /record/{id}?wait=published"), &[], "").await;
    assert_eq!((removed.status, removed.json()), (200, json!({"id": id, "messages": []})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_of_links_and_parameters_that_are_none_are_refused_by_name() {
    let house = linked(LinkMode::Outbox).await;
    let check = async |line: &str, headers: &[(&str, &str)], faults: &[(&str, &str)]| {
        let answer = house.ask(line, headers, NEW).await;
        assert_eq!(answer.problem(), 422, "{line}: {}", answer.text);
        let found = answer.faults();
        let found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
        assert_eq!(found, faults, "{line}");
    };
    check(
        "POST /record/new?wait=processed&more=1",
        &[("link-depth", "deep")],
        &[("link-depth", "type"), ("wait", "value"), ("more", "unknown-parameter")],
    )
    .await;
    let answer = house.ask("POST /record/new", &[("link-depth", "8")], NEW).await;
    assert_eq!(answer.problem(), 422, "{}", answer.text);
    assert_eq!(answer.faults()[0].1, "link-depth", "{}", answer.text);
}

//! What the answer to a write says of the messages of its links.

use domain::LinkMode;
use serde_json::{Value, json};

use crate::engine::Mood;
use crate::house::House;
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

/// The one message that an answer tells of: its id and the engine's.
fn message(document: &Value) -> (String, String) {
    let messages = document["messages"].as_array().unwrap_or_else(|| panic!("{document}"));
    assert_eq!(messages.len(), 1, "{document}");
    let mut keys: Vec<_> = messages[0].as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["message-id", "queue-id", "sqs-id"], "{document}");
    let text = |key: &str| messages[0][key].as_str().unwrap().to_owned();
    (text("message-id"), text("sqs-id"))
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

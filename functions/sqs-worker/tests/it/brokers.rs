//! What came from Kafka or RabbitMQ: from its broker to the retry queue, and from there to its end.

use std::time::{Duration, Instant};

use domain::{Engine, Letter, LetterBody, Outcome, QueueName};
use handling::{Body, Received, Source};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use worker::Budget;
use zstorage::Messages;

use crate::bench::{Bench, names, place, record, record_of, visibilities};

/// Message 7 of partition 0 of the topic `orders`, as msk-worker reads it.
fn received(body: Body) -> Received {
    Received {
        engine_id: "orders-0-7".to_owned(),
        source: Source::Broker { engine: Engine::Kafka, queue: QueueName::parse("orders").unwrap() },
        receive_count: 1,
        sent_at: None,
        group: Some("customer 1".to_owned()),
        message_id: None,
        round: 0,
        body,
        attributes: [("tenant".to_owned(), "t\u{1}".to_owned())].into(),
    }
}

fn text(body: &str) -> Body {
    Body::Text(body.to_owned())
}

/// What SQS took in these calls, as it hands it to `sqs-worker` from the queue `sqs_name`, received `count` times.
fn handed_over(calls: &[(String, Value)], sqs_name: &str, count: u32) -> Value {
    let sent: Vec<&Value> =
        calls.iter().filter(|(name, _)| name == "SendMessage").map(|(_, sent)| sent).collect();
    let [sent] = sent[..] else { panic!("one message, not {sent:?}") };
    assert!(sent["QueueUrl"].as_str().unwrap().ends_with(&format!("/{sqs_name}")), "{sent}");
    let mut record = record_of(sqs_name, "sqs-1", sent["MessageBody"].as_str().unwrap(), count);
    for (name, attribute) in sent["MessageAttributes"].as_object().unwrap() {
        record["messageAttributes"][name] =
            json!({ "stringValue": attribute["StringValue"], "dataType": "String" });
    }
    record
}

impl Bench {
    async fn first_receipt(&self, received: &Received) -> Outcome {
        let live = self.live().await;
        self.double.calls();
        self.broker.handle(Some(&live), received, Instant::now() + Duration::from_secs(60)).await
    }

    /// The message as it stands on the retry queue once it is put off.
    async fn put_off(&self, received: &Received, after_secs: u32) -> Value {
        self.double.calls();
        assert_eq!(self.broker.put_off(received, after_secs).await, Outcome::Ack);
        handed_over(&self.double.calls(), "stack-retry", 1)
    }

    async fn letter(&self) -> Letter {
        let letters = self.letters("orders-0-7").await;
        let [letter] = &letters[..] else { panic!("one letter, not {letters:?}") };
        letter.clone()
    }
}

#[tokio::test]
async fn what_succeeds_at_once_costs_no_aws_call_and_goes_nowhere() {
    let bench = Bench::with_topic(|_| {}).await;
    for _ in 0..2 {
        assert_eq!(bench.first_receipt(&received(text(r#"{"handler":"ack"}"#))).await, Outcome::Ack);
    }
    assert_eq!(names(&bench.double.calls()), Vec::<&str>::new());
}

#[tokio::test]
async fn what_fails_goes_on_from_the_retry_queue_with_all_it_had_and_dies_at_its_third_failure() {
    let bench = Bench::with_topic(|_| {}).await;
    let body = r#"{ "handler":"throw", "é": 1.10 }"#;
    assert_eq!(bench.first_receipt(&received(text(body))).await, Outcome::Ack);
    let calls = bench.double.calls();
    assert_eq!(names(&calls), ["UpdateItem", "SendMessage"]);
    assert!((1..=2).contains(&calls[1].1["DelaySeconds"].as_i64().unwrap()), "the first backoff");
    let first = handed_over(&calls, "stack-retry", 1);
    assert_eq!(bench.run(vec![first]).await, ["sqs-1"]);
    let second = bench.double.calls();
    assert_eq!(names(&second), ["GetItem", "Query", "UpdateItem", "ChangeMessageVisibilityBatch"]);
    assert!((2..=4).contains(&visibilities(&second)[0].1), "the second backoff");
    assert!(bench.run(vec![handed_over(&calls, "stack-retry", 2)]).await.is_empty());
    let last = bench.double.calls();
    assert_eq!(names(&last), ["GetItem", "Query", "UpdateItem", "TransactWriteItems", "SendMessage"]);
    let dead = handed_over(&last, "stack-retry-dead", 1);
    assert_eq!(
        (dead["body"].as_str(), dead["messageAttributes"].as_object().unwrap().len()),
        (Some(body), 2)
    );
    let letter = bench.letter().await;
    assert_eq!(
        (letter.reason.code.as_str(), letter.attempts, letter.queue_name.as_str()),
        ("failed", 3, "orders")
    );
    assert_eq!((letter.ordering_key.as_deref(), letter.body), (Some("customer 1"), None));
}

#[tokio::test]
async fn a_handler_sees_the_same_message_by_way_of_the_retry_queue() {
    // What SQS could not carry, and what it could.
    for extra in ["\u{FFFE}", "é", &"x".repeat(1_200_000)] {
        let bench = Bench::with_topic(|_| {}).await;
        let body = json!({ "handler": "waver", "extra": extra }).to_string();
        let mut healed = received(text(&body));
        healed.attributes.insert("healed".to_owned(), "yes".to_owned());
        let put_off = bench.put_off(&healed, 0).await;
        assert_eq!(put_off["messageAttributes"]["body-at"].is_null(), extra == "é");
        assert!(bench.run(vec![put_off]).await.is_empty());
        assert_eq!(bench.letters("orders-0-7").await, [], "it was acknowledged by its handler");
    }
}

#[tokio::test]
async fn what_is_no_text_is_a_dead_letter_that_shows_it_byte_for_byte() {
    let bodies = [Body::Bytes(vec![0xff, 0, 1]), Body::Bytes(vec![0xfe; 700_000]), text(""), text("\u{1}")];
    for body in bodies {
        let bytes = match &body {
            Body::Text(text) => text.clone().into_bytes(),
            Body::Bytes(bytes) => bytes.clone(),
            Body::Kept(_) => unreachable!(),
        };
        for by_way in [false, true] {
            let bench = Bench::with_topic(|_| {}).await;
            let received = received(body.clone());
            let calls = if by_way {
                let put_off = bench.put_off(&received, 0).await;
                assert!(bench.run(vec![put_off]).await.is_empty());
                bench.double.calls()
            } else {
                assert_eq!(bench.first_receipt(&received).await, Outcome::Ack);
                bench.double.calls()
            };
            let dead = handed_over(&calls, "stack-retry-dead", 1);
            let at = Messages::body_address("orders-0-7", &bytes);
            assert_eq!(dead["messageAttributes"]["body-at"]["stringValue"], json!(at));
            assert_eq!(dead["body"], "{}");
            assert!(bench.messages.body(&at).await.unwrap() == Some(bytes.clone()));
            let letter = bench.letter().await;
            assert_eq!((letter.reason.code.as_str(), letter.attempts), ("bad-body", 0));
            assert!(letter.body == Some(LetterBody::of(bytes.clone())));
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_with_what_travels_beside_it_lies_elsewhere() {
    let bench = Bench::with_topic(|_| {}).await;
    bench.double.take_bodies_of(100);
    let body = json!({ "handler": "ack", "x": "y".repeat(200) }).to_string();
    bench.double.calls();
    assert_eq!(bench.broker.put_off(&received(text(&body)), 0).await, Outcome::Ack);
    let calls = bench.double.calls();
    assert_eq!(names(&calls), ["SendMessage", "PutItem", "SendMessage"]);
    let put_off = handed_over(&calls[1..], "stack-retry", 1);
    assert!(bench.run(vec![put_off]).await.is_empty());
    assert_eq!(bench.letters("orders-0-7").await, []);
}

#[tokio::test]
async fn a_longer_wait_than_sqs_knows_is_waited_out_without_a_run() {
    let bench = Bench::with_topic(|_| {}).await;
    bench.double.calls();
    assert_eq!(bench.broker.put_off(&received(text(r#"{"handler":"throw"}"#)), 5000).await, Outcome::Ack);
    let calls = bench.double.calls();
    assert_eq!(calls[0].1["DelaySeconds"], 900);
    let put_off = handed_over(&calls, "stack-retry", 1);
    assert_eq!(bench.run(vec![put_off]).await, ["sqs-1"]);
    let calls = bench.double.calls();
    assert_eq!(names(&calls), ["ChangeMessageVisibilityBatch"]);
    assert!((4990..=5000).contains(&visibilities(&calls)[0].1), "{calls:?}");
    // Its time has come.
    assert_eq!(bench.broker.put_off(&received(text(r#"{"handler":"ack"}"#)), 5000).await, Outcome::Ack);
    let mut ripe = handed_over(&bench.double.calls(), "stack-retry", 2);
    ripe["messageAttributes"]["not-before"]["stringValue"] = json!("1700000000");
    assert!(bench.run(vec![ripe]).await.is_empty());
}

#[tokio::test]
async fn what_the_retry_queue_refuses_stays_with_its_broker() {
    let bench = Bench::with_topic(|_| {}).await;
    bench.double.refuse(&["SendMessage"]);
    let stays = |outcome: Outcome| matches!(outcome, Outcome::Retry { .. });
    let failing = received(text(r#"{"handler":"throw"}"#));
    assert!(stays(bench.first_receipt(&failing).await));
    assert!(stays(bench.broker.put_off(&failing, 1).await));
    // Also what cannot be kept, and what no queue is registered for; that is not even run.
    bench.double.refuse(&["PutItem"]);
    assert!(stays(bench.broker.put_off(&received(Body::Bytes(vec![0xff])), 1).await));
    bench.double.refuse(&[]);
    let mut unknown = failing.clone();
    for (engine, queue) in [(Engine::Kafka, "others"), (Engine::RabbitMq, "orders")] {
        unknown.source = Source::Broker { engine, queue: QueueName::parse(queue).unwrap() };
        assert!(stays(bench.first_receipt(&unknown).await), "{engine:?} {queue}");
    }
    assert!(!names(&bench.double.calls()).contains(&"SendMessage"));
    // A worker that knows no handlers yet puts off what it knows the queue of.
    assert_eq!(bench.broker.handle(None, &failing, Instant::now()).await, Outcome::Ack);
    handed_over(&bench.double.calls(), "stack-retry", 1);
}

#[tokio::test]
async fn a_topic_is_not_taken_for_an_sqs_queue_of_its_name() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    let outcome = bench.first_receipt(&received(text(r#"{"handler":"ack"}"#))).await;
    assert!(matches!(outcome, Outcome::Retry { strike: false, .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_message_of_a_queue_that_is_gone_comes_back_until_the_redrive_policy_takes_it() {
    let bench = Bench::with_topic(|_| {}).await;
    let mut put_off = bench.put_off(&received(text(r#"{"handler":"throw"}"#)), 0).await;
    put_off["messageAttributes"]["queue-id"]["stringValue"] = json!("0AV01ARZ3NDEKTSV4RRFFQ69G5FAV");
    let mut nobodys = record_of("stack-retry", "sqs-2", r#"{"handler":"throw"}"#, 1);
    nobodys["eventSourceARN"] = json!(place("stack-retry").arn());
    assert_eq!(bench.run(vec![put_off, nobodys]).await, ["sqs-1", "sqs-2"]);
    assert_eq!(names(&bench.double.calls()), ["GetItem", "ChangeMessageVisibilityBatch"]);
}

#[tokio::test]
async fn a_message_whose_body_was_lost_is_a_dead_letter_that_says_so() {
    let bench = Bench::with_topic(|_| {}).await;
    let put_off = bench.put_off(&received(text("\u{1}")), 0).await;
    let (pk, sk) = bench.double.keys().into_iter().find(|(_, sk)| sk.starts_with("b#")).unwrap();
    bench.double.lose(&pk, &sk);
    assert!(bench.run(vec![put_off.clone()]).await.is_empty());
    let dead = handed_over(&bench.double.calls(), "stack-retry-dead", 1);
    assert_eq!(dead["messageAttributes"]["body-at"], put_off["messageAttributes"]["body-at"]);
    let letter = bench.letter().await;
    assert_eq!((letter.reason.code.as_str(), letter.body), ("lost-body", None));
    assert!(letter.reason.message.contains("was kept at orders-0-7#"), "{}", letter.reason.message);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_now_costs_its_message_no_strike() {
    let bench = Bench::with_topic(|_| {}).await;
    let put_off = bench.put_off(&received(text("\u{1}")), 0).await;
    bench.double.refuse(&["GetItem"]);
    assert_eq!(bench.run(vec![put_off.clone()]).await, ["sqs-1"]);
    assert!(!names(&bench.double.calls()).contains(&"UpdateItem"));
    bench.double.refuse(&[]);
    assert!(bench.run(vec![put_off]).await.is_empty());
}

/// A letter says that its message died: were the message handled after all, the letter would stand open for ever.
#[tokio::test]
async fn what_was_kept_at_its_broker_and_not_forwarded_is_forwarded_from_the_retry_queue_and_not_run() {
    let bench = Bench::with_topic(|_| {}).await;
    let rejected = received(text(r#"{"handler":"waver"}"#));
    bench.double.refuse(&["SendMessage"]);
    assert!(matches!(bench.first_receipt(&rejected).await, Outcome::Retry { .. }));
    bench.double.refuse(&[]);
    let mut again = bench.put_off(&rejected, 0).await;
    again["messageAttributes"]["attributes"]["stringValue"] = json!(r#"{"healed":"yes"}"#);
    assert!(bench.run(vec![again]).await.is_empty());
    let calls = bench.double.calls();
    assert_eq!(names(&calls), ["GetItem", "Query", "SendMessage"]);
    handed_over(&calls, "stack-retry-dead", 1);
    assert_eq!(bench.letter().await.reason.code, "rejected");
}

/// How often its broker brought it, nobody has counted: a failure of an earlier receipt says nothing about a later one.
#[tokio::test]
async fn what_failed_once_and_was_kept_at_its_brokers_next_receipt_is_not_run_either() {
    let bench = Bench::with_topic(|_| {}).await;
    bench.double.refuse(&["SendMessage"]);
    for handler in ["throw", "waver"] {
        let came = received(text(&json!({ "handler": handler }).to_string()));
        assert!(matches!(bench.first_receipt(&came).await, Outcome::Retry { .. }));
    }
    bench.double.refuse(&[]);
    let mut healed = received(text(r#"{"handler":"waver"}"#));
    healed.attributes.insert("healed".to_owned(), "yes".to_owned());
    let again = bench.put_off(&healed, 0).await;
    assert!(bench.run(vec![again]).await.is_empty());
    let calls = bench.double.calls();
    assert_eq!(names(&calls), ["GetItem", "Query", "SendMessage"]);
    handed_over(&calls, "stack-retry-dead", 1);
    assert_eq!(bench.letter().await.reason.code, "rejected");
}

#[tokio::test]
async fn what_its_broker_brings_again_is_not_run_beside_its_letter() {
    let bench = Bench::with_topic(|_| {}).await;
    assert_eq!(bench.first_receipt(&received(text(r#"{"handler":"waver"}"#))).await, Outcome::Ack);
    let mut again = received(text(r#"{"handler":"waver"}"#));
    again.attributes.insert("healed".to_owned(), "yes".to_owned());
    again.receive_count = 2;
    for _ in 0..2 {
        assert_eq!(bench.first_receipt(&again).await, Outcome::Ack);
        handed_over(&bench.double.calls(), "stack-retry-dead", 1);
    }
    assert_eq!(bench.letter().await.reason.code, "rejected");
}

/// A topic that is made anew counts its records from 0 again.
#[tokio::test]
async fn a_letter_that_is_older_than_a_message_is_not_its_own() {
    let bench = Bench::with_topic(|_| {}).await;
    assert_eq!(bench.first_receipt(&received(text(r#"{"handler":"waver"}"#))).await, Outcome::Ack);
    let mut newer = received(text(r#"{"handler":"throw"}"#));
    newer.receive_count = 2;
    newer.sent_at = Timestamp::now().checked_add(SignedDuration::from_hours(1)).ok();
    assert_eq!(bench.first_receipt(&newer).await, Outcome::Ack);
    handed_over(&bench.double.calls(), "stack-retry", 1);
}

#[tokio::test]
async fn a_message_that_is_not_settled_in_time_comes_back_at_once() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    bench.double.leave_unanswered(&["UpdateItem"]);
    let event = json!({ "Records": [record("late", "throw", 1), record("done", "ack", 1)] });
    // Less than the store's own client waits for an answer, and time enough for all that comes after.
    let now = Instant::now();
    let settle_until = now + Duration::from_secs(4);
    let budget = Budget { settle_until, ..Budget::new(now, Duration::from_secs(80)) };
    let answer = bench.worker.handle_within(event, &budget).await.unwrap();
    assert_eq!(
        serde_json::to_value(answer).unwrap(),
        json!({ "batchItemFailures": [{ "itemIdentifier": "late" }] })
    );
    assert_eq!(visibilities(&bench.double.calls()), [("handle-late".to_owned(), 1)]);
}

#[tokio::test]
async fn where_one_failure_is_all_the_first_receipt_is_the_last() {
    let bench = Bench::with_topic(|queue| queue.max_failures = 1).await;
    assert_eq!(bench.first_receipt(&received(text(r#"{"handler":"throw"}"#))).await, Outcome::Ack);
    handed_over(&bench.double.calls(), "stack-retry-dead", 1);
    assert_eq!(bench.letter().await.attempts, 1);
}

/// Its limit may be lower than that of the queue the message came from.
#[tokio::test]
async fn a_dead_letter_that_its_queue_finds_too_large_lies_elsewhere() {
    let bench = Bench::with_topic(|_| {}).await;
    bench.double.take_bodies_of(100);
    let body = json!({ "handler": "reject", "x": "y".repeat(200) }).to_string();
    assert_eq!(bench.first_receipt(&received(text(&body))).await, Outcome::Ack);
    let calls = bench.double.calls();
    let dead = handed_over(&calls[calls.len() - 1..], "stack-retry-dead", 1);
    let at = Messages::body_address("orders-0-7", body.as_bytes());
    assert_eq!(dead["messageAttributes"]["body-at"]["stringValue"], json!(at));
    assert!(bench.messages.body(&at).await.unwrap() == Some(body.into_bytes()));
}

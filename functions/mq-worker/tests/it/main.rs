//! Batches from event to verdict: real handlers in a real sandbox, real AWS clients, a stand-in for AWS.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../../shared/handling/tests/doubles/broker_bench.rs"]
mod broker_bench;
#[allow(dead_code, reason = "it is the double of more tests than these")]
#[path = "../../../sqs-worker/tests/it/double.rs"]
mod double;
#[path = "../../../../shared/domain/tests/doubles/queue.rs"]
mod registered;

use std::time::Duration;

use broker_bench::{BrokerBench, buried, event, names};
use domain::{Clock, Destination, HandlerName, Queue, RabbitMqQueue};
use mq_worker::{EventError, MqWorker};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mq-worker");

async fn bench_with(change: impl FnOnce(&mut Queue)) -> BrokerBench {
    BrokerBench::with_queue(PROGRAM, Destination::RabbitMq(RabbitMqQueue { broker: None }), change).await
}

async fn bench() -> BrokerBench {
    bench_with(|_| {}).await
}

async fn handle(bench: &BrokerBench, event: Value, secs: u64) -> Result<(), EventError> {
    MqWorker::new(bench.broker.clone(), Clock::system()).handle(event, Duration::from_secs(secs)).await
}

#[tokio::test]
async fn messages_that_are_done_cost_no_aws_call_once_the_queue_is_known() {
    let bench = bench().await;
    for round in 0..3 {
        handle(&bench, event("rabbitmq-of-ours"), 20).await.unwrap();
        let calls = bench.double.calls();
        assert!(round == 0 || calls.is_empty(), "{:?}", names(&calls));
    }
}

#[tokio::test]
async fn of_ten_the_two_that_failed_wait_on_the_retry_queue_and_the_batch_is_done() {
    let bench = bench().await;
    handle(&bench, event("rabbitmq-two-of-ten-fail"), 20).await.unwrap();
    let put = bench.put_off();
    let ids: Vec<&str> = put.iter().map(|message| message.message_id.as_str()).collect();
    assert_eq!(ids, ["0BF01JD8XG2H3K4M5N6P7Q8R9S23", "0BF01JD8XG2H3K4M5N6P7Q8R9S27"]);
    assert_eq!(put[1].body, r#"{"handler":"throw","n":7}"#);
    assert_eq!(put[1].attribute("ordering-key"), None);
}

/// The message of a strict write whose writer may be gone: while that cannot be looked at, it waits and is not run.
#[tokio::test]
async fn a_message_whose_write_cannot_be_let_stand_yet_is_put_off_without_a_strike() {
    let bench = bench().await;
    let mut of_strict = event("rabbitmq-of-ours");
    handle(&bench, of_strict.clone(), 20).await.unwrap();
    bench.double.refuse(&["GetItem", "Query"]);
    bench.double.calls();
    let held = "A04301M7ZTJCATXWZ2XSHZF3G869J5.0ALA04000001.1";
    let messages = of_strict["rmqMessagesByQueue"].as_object_mut().unwrap().values_mut();
    for message in messages.flat_map(|all| all.as_array_mut().unwrap()) {
        for (name, value) in [("message-id", "0BF01ARZ3NDEKTSV4RRFFQ69G5FAV"), ("held", held)] {
            message["basicProperties"]["headers"][name] = json!({ "bytes": value.as_bytes() });
        }
    }
    handle(&bench, of_strict, 20).await.unwrap();
    let calls = bench.double.calls();
    assert!(!names(&calls).contains(&"UpdateItem"), "no strike: {calls:?}");
    let put = BrokerBench::put_off_in(&calls);
    assert!(!put.is_empty(), "{calls:?}");
    for message in put {
        let own: Value = serde_json::from_str(message.attribute("attributes").unwrap()).unwrap();
        assert_eq!(own["held"], held, "whoever takes it from there knows of the write, too");
    }
}

#[tokio::test]
async fn when_the_retry_queue_refuses_one_the_whole_batch_comes_back() {
    let bench = bench().await;
    bench.double.refuse(&["SendMessage"]);
    let error = handle(&bench, event("rabbitmq-two-of-ten-fail"), 20).await.unwrap_err();
    assert!(error.to_string().starts_with("2 of 10 messages"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_decoded_is_buried_and_its_neighbours_are_handled() {
    let bench = bench().await;
    for (name, dead) in
        [("rabbitmq-broken-base64", &["bad"][..]), ("rabbitmq-empty-and-binary", &["a", "b", "c"])]
    {
        handle(&bench, event(name), 20).await.unwrap();
        assert_eq!(buried(&bench.double.calls()).len(), dead.len(), "{name}");
        for id in dead {
            assert_eq!(bench.letters(id).await[0].reason.code, "bad-body", "{id}");
        }
    }
}

#[tokio::test]
async fn a_message_that_is_there_twice_is_handled_at_least_once() {
    let bench = bench_with(|queue| queue.default_handler = HandlerName::parse("ack").ok()).await;
    handle(&bench, event("rabbitmq-same-message-twice"), 20).await.unwrap();
    assert!(!names(&bench.double.calls()).contains(&"SendMessage"));
}

/// Nothing tells them apart, but neither dies of what the other did.
#[tokio::test]
async fn messages_alike_to_which_nobody_gave_an_id_share_no_failures() {
    let bench = bench().await;
    let mut alike = event("rabbitmq-nulls");
    // {"handler":"throw"}
    alike["rmqMessagesByQueue"]["orders::/"][0]["data"] = json!("eyJoYW5kbGVyIjoidGhyb3cifQ==");
    for _ in 0..4 {
        handle(&bench, alike.clone(), 20).await.unwrap();
        assert_eq!(bench.put_off().len(), 1, "it failed for the first time");
    }
}

#[tokio::test]
async fn without_time_nothing_is_started_and_the_batch_comes_back() {
    let bench = bench().await;
    let error = handle(&bench, event("rabbitmq-two-of-ten-fail"), 0).await.unwrap_err();
    assert_eq!(error, EventError::Refused { refused: 10, total: 10 });
    assert!(!names(&bench.double.calls()).contains(&"UpdateItem"), "no strike");
}

/// Nobody knows which handlers it has, nor whose dead letter it would be: it stays with its broker until its queue is registered.
#[tokio::test]
async fn a_queue_that_is_not_registered_keeps_its_messages() {
    let bench = BrokerBench::new(PROGRAM).await;
    for name in ["rabbitmq-of-ours", "rabbitmq-queue-with-dots"] {
        let error = handle(&bench, event(name), 20).await.unwrap_err();
        assert_eq!(error, EventError::Refused { refused: 1, total: 1 }, "{name}");
    }
    assert!(!names(&bench.double.calls()).contains(&"SendMessage"));
}

#[tokio::test]
async fn what_is_no_batch_is_refused_before_anything_runs() {
    let bench = bench().await;
    assert!(matches!(handle(&bench, json!({"messages": []}), 20).await, Err(EventError::NotABatch(_))));
    assert!(bench.double.calls().is_empty());
}

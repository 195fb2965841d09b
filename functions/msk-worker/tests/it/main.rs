//! Batches from event to answer: real handlers in a real sandbox, real AWS clients, a stand-in for AWS.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../../shared/handling/tests/doubles/broker_bench.rs"]
mod broker_bench;
#[allow(dead_code, reason = "it is the double of more tests than these")]
#[path = "../../../sqs-worker/tests/it/double.rs"]
mod double;
#[path = "../../../../shared/domain/tests/doubles/queue.rs"]
mod registered;
mod repetitions;
mod slow;

use std::time::Duration;

use broker_bench::{BrokerBench, buried, event, names};
use domain::{Destination, HandlerName, KafkaTopic, LetterState, Queue};
use msk_worker::{EventError, FailedRecords, MskWorker};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_msk-worker");

async fn bench_with(change: impl FnOnce(&mut Queue)) -> BrokerBench {
    let topic = Destination::Kafka(KafkaTopic { cluster: None, partition: None });
    BrokerBench::with_queue(PROGRAM, topic, change).await
}

async fn bench() -> BrokerBench {
    bench_with(|_| {}).await
}

fn worker(bench: &BrokerBench) -> MskWorker {
    MskWorker::new(bench.broker.clone(), FailedRecords::Named)
}

/// Gives an event to a worker that begins with it.
async fn handle(bench: &BrokerBench, event: Value, secs: u64) -> Result<Value, EventError> {
    handle_by(&worker(bench), event, secs).await
}

async fn handle_by(worker: &MskWorker, event: Value, secs: u64) -> Result<Value, EventError> {
    let answer = worker.handle(event, Duration::from_secs(secs)).await?;
    Ok(serde_json::to_value(answer).unwrap())
}

/// The answer that names these offsets of partition 0.
fn failed(offsets: &[i64]) -> Value {
    let failure = |offset| json!({ "itemIdentifier": { "partition": "orders-0", "offset": offset } });
    json!({ "batchItemFailures": offsets.iter().map(failure).collect::<Vec<_>>() })
}

/// A record of partition 0: key and body are in base64 on the wire.
fn record(offset: i64, key: Option<&str>, handler: &str) -> Value {
    let mut record = event("kafka-self-managed")["records"]["orders-0"][0].clone();
    let body = json!({ "handler": handler }).to_string();
    record["offset"] = json!(offset);
    record["key"] = key.map_or(Value::Null, |key| json!(packed(key)));
    record["value"] = json!(packed(&body));
    record
}

fn packed(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn batch(records: Vec<Value>) -> Value {
    json!({ "eventSource": "SelfManagedKafka", "records": { "orders-0": records } })
}

#[tokio::test]
async fn of_ten_the_two_that_failed_wait_on_the_retry_queue_and_the_partition_moves_on() {
    let bench = bench().await;
    let answer = handle(&bench, event("kafka-two-of-ten-fail"), 20).await.unwrap();
    assert_eq!(answer, failed(&[]));
    let put = bench.put_off();
    let ids: Vec<&str> = put.iter().map(|message| message.message_id.as_str()).collect();
    assert_eq!(ids, ["0BF01JD8XG2H3K4M5N6P7Q8R9S13", "0BF01JD8XG2H3K4M5N6P7Q8R9S17"]);
    assert_eq!(put[0].body, r#"{"handler":"throw","n":3}"#);
    assert!((1..=2).contains(&put[0].delay_secs), "the first backoff: {}", put[0].delay_secs);
    assert_eq!(put[0].attribute("engine-id"), Some("orders-0-103"));
    assert_eq!(put[0].attribute("ordering-key"), Some("customer-3"));
    assert!(put[0].attribute("queue-id").unwrap().starts_with("0AV"));
}

#[tokio::test]
async fn what_the_retry_queue_refused_is_named_with_the_rest_of_its_key_and_nothing_else_is() {
    let bench = bench().await;
    bench.double.refuse(&["SendMessage"]);
    let records = vec![
        record(1, Some("a"), "ack"),
        record(2, Some("a"), "throw"),
        record(3, Some("b"), "ack"),
        record(4, Some("a"), "ack"),
        record(5, None, "throw"),
        record(6, None, "ack"),
    ];
    let answer = handle(&bench, batch(records), 20).await.unwrap();
    assert_eq!(answer, failed(&[2, 4, 5]));
}

/// Without `ReportBatchItemFailures` nobody reads the list, and an answer would be taken for success.
#[tokio::test]
async fn without_a_list_in_the_answer_the_whole_batch_comes_back() {
    let bench = bench().await;
    let worker = MskWorker::new(bench.broker.clone(), FailedRecords::WholeBatch);
    let batch = || batch(vec![record(1, None, "ack"), record(2, None, "throw")]);
    let answer = worker.handle(batch(), Duration::from_secs(20)).await.unwrap();
    assert!(answer.batch_item_failures.is_empty(), "the retry queue has it");
    bench.double.refuse(&["SendMessage"]);
    let error = worker.handle(batch(), Duration::from_secs(20)).await.unwrap_err();
    assert!(error.to_string().contains("1 of 2 records"), "{error}");
}

#[tokio::test]
async fn poison_is_buried_and_the_partition_moves_on() {
    let bench = bench().await;
    let records =
        vec![record(1, Some("a"), "reject"), record(2, Some("a"), "gone"), record(3, Some("a"), "ack")];
    assert_eq!(handle(&bench, batch(records), 20).await.unwrap(), failed(&[]));
    assert_eq!(buried(&bench.double.calls()), [r#"{"handler":"reject"}"#, r#"{"handler":"gone"}"#]);
    for (id, code) in [("orders-0-1", "rejected"), ("orders-0-2", "unknown-handler")] {
        let letter = bench.letters(id).await.remove(0);
        assert_eq!((letter.reason.code.as_str(), letter.state), (code, LetterState::Open));
        assert_eq!(letter.ordering_key.as_deref(), Some("a"));
    }
}

#[tokio::test]
async fn what_cannot_be_decoded_is_buried_and_its_neighbours_are_handled() {
    let bench = bench().await;
    for (name, dead) in
        [("kafka-broken-base64", &["orders-0-26", "orders-0-27"][..]), ("kafka-binary", &["orders-0-24"])]
    {
        assert_eq!(handle(&bench, event(name), 20).await.unwrap(), failed(&[]));
        assert_eq!(buried(&bench.double.calls()).len(), dead.len(), "{name}");
        for id in dead {
            assert_eq!(bench.letters(id).await[0].reason.code, "bad-body", "{id}");
        }
    }
    assert_eq!(handle(&bench, event("kafka-misshapen"), 20).await.unwrap(), failed(&[]));
    assert_eq!(buried(&bench.double.calls()).len(), 5);
}

#[tokio::test]
async fn a_tombstone_goes_to_the_default_handler() {
    let bench = bench_with(|queue| queue.default_handler = HandlerName::parse("ack").ok()).await;
    assert_eq!(handle(&bench, event("kafka-tombstone"), 20).await.unwrap(), failed(&[]));
    assert!(!names(&bench.double.calls()).contains(&"SendMessage"));
}

#[tokio::test]
async fn a_record_that_is_there_twice_is_handled_and_named_once() {
    let bench = bench().await;
    let twice = || batch(vec![record(1, None, "throw"), record(2, None, "ack"), record(1, None, "throw")]);
    assert_eq!(handle(&bench, twice(), 20).await.unwrap(), failed(&[]));
    assert_eq!(bench.put_off().len(), 1);
    bench.double.refuse(&["SendMessage"]);
    assert_eq!(handle(&bench, twice(), 20).await.unwrap(), failed(&[1]));
}

#[tokio::test]
async fn without_time_nothing_is_started_and_what_cannot_be_put_off_is_named() {
    let bench = bench().await;
    let batch = || batch(vec![record(1, None, "throw"), record(2, Some("a"), "ack")]);
    assert_eq!(handle(&bench, batch(), 0).await.unwrap(), failed(&[1, 2]));
    assert!(!names(&bench.double.calls()).contains(&"UpdateItem"), "no strike");
}

/// The message of a strict write whose writer may be gone: while that cannot be looked at, it waits and is not run.
#[tokio::test]
async fn a_message_whose_write_cannot_be_let_stand_yet_is_put_off_without_a_strike() {
    let bench = bench().await;
    assert_eq!(handle(&bench, batch(vec![record(1, None, "ack")]), 20).await.unwrap(), failed(&[]));
    bench.double.refuse(&["GetItem", "Query"]);
    bench.double.calls();
    let held = "A04301M7ZTJCATXWZ2XSHZF3G869J5.0ALA04000001.1";
    let headers = [("message-id", "0BF01ARZ3NDEKTSV4RRFFQ69G5FAV"), ("held", held)];
    let mut of_strict = record(2, None, "throw");
    of_strict["headers"] = headers.map(|(name, value)| json!({ name: value.as_bytes() })).into();
    assert_eq!(handle(&bench, batch(vec![of_strict]), 20).await.unwrap(), failed(&[]));
    let calls = bench.double.calls();
    assert!(!names(&calls).contains(&"UpdateItem"), "no strike: {calls:?}");
    let put = BrokerBench::put_off_in(&calls);
    assert_eq!(put.len(), 1, "{calls:?}");
    let own: Value = serde_json::from_str(put[0].attribute("attributes").unwrap()).unwrap();
    assert_eq!(own["held"], held, "whoever takes it from there knows of the write, too");
}

#[tokio::test]
async fn a_retry_asked_for_waits_as_long_as_asked() {
    let bench = bench().await;
    assert_eq!(handle(&bench, batch(vec![record(1, None, "later")]), 20).await.unwrap(), failed(&[]));
    assert_eq!(bench.put_off()[0].delay_secs, 77);
}

/// Nobody knows which handlers it has, nor whose dead letter it would be: it stays in Kafka until its queue is registered.
#[tokio::test]
async fn a_topic_that_is_no_registered_queue_is_named_and_nothing_runs() {
    let bench = BrokerBench::new(PROGRAM).await;
    assert_eq!(handle(&bench, batch(vec![record(7, None, "ack")]), 20).await.unwrap(), failed(&[7]));
    let dotted = handle(&bench, event("kafka-topic-with-dots"), 20).await.unwrap();
    assert_eq!(
        dotted,
        json!({ "batchItemFailures": [{ "itemIdentifier": { "partition": "orders.v2-0", "offset": 31 } }] })
    );
    assert!(!names(&bench.double.calls()).contains(&"SendMessage"));
}

#[tokio::test]
async fn a_failed_record_without_an_offset_fails_the_batch() {
    let bench = bench().await;
    bench.double.refuse(&["SendMessage"]);
    let mut nameless = record(0, None, "throw");
    nameless["offset"] = Value::Null;
    let error = handle(&bench, batch(vec![nameless, record(2, None, "ack")]), 20).await.unwrap_err();
    assert!(error.to_string().contains("no offset"), "{error}");
}

#[tokio::test]
async fn what_is_no_batch_is_refused_before_anything_runs() {
    let bench = bench().await;
    assert!(matches!(handle(&bench, json!({"Records": []}), 20).await, Err(EventError::NotABatch(_))));
    assert!(bench.double.calls().is_empty());
}

//! Handlers and stores that do not end within the batch's time.

use std::time::{Duration, Instant};

use ::worker::Budget;
use domain::Outcome;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::broker_bench::{BrokerBench, PutOff, names};
use crate::{batch, bench, failed, packed, record, worker};

/// A place where whoever asks waits for ever.
async fn silence() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

/// A record whose handler fetches from `url`.
fn looking(offset: i64, key: Option<&str>, url: &str) -> Value {
    let mut record = record(offset, key, "look");
    record["value"] = json!(packed(&json!({ "handler": "look", "probe": url }).to_string()));
    record
}

/// Time enough for whatever ends at all.
fn ample(now: Instant) -> Budget {
    Budget::new(now, Duration::from_secs(120))
}

async fn handle_within(bench: &BrokerBench, event: Value, budget: &Budget) -> Value {
    let answer = worker(bench).handle_within(event, budget).await.unwrap();
    serde_json::to_value(answer).unwrap()
}

fn waiting(put: &[PutOff]) -> Vec<&str> {
    put.iter().map(|message| message.message_id.as_str()).collect()
}

fn strikes(bench: &BrokerBench, calls: &[crate::double::Call]) -> usize {
    assert!(bench.double.keys().iter().all(|(_, sk)| !sk.starts_with("l#")), "no letter");
    names(calls).iter().filter(|name| **name == "UpdateItem").count()
}

#[tokio::test]
async fn a_handler_that_does_not_end_costs_its_own_record_a_strike_and_the_rest_of_its_key_none() {
    let bench = bench().await;
    let (listener, url) = silence().await;
    let records = vec![looking(1, Some("a"), &url), record(2, Some("a"), "ack"), record(3, Some("b"), "ack")];
    let began = Instant::now();
    let run_until = began + Duration::from_secs(4);
    let budget = Budget { start_by: run_until, run_until, ..ample(began) };
    assert_eq!(handle_within(&bench, batch(records), &budget).await, failed(&[]));
    // Nobody else would have ended it: a fetch waits for 10 s.
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    let calls = bench.double.calls();
    assert_eq!(strikes(&bench, &calls), 1);
    let put = BrokerBench::put_off_in(&calls);
    assert_eq!(waiting(&put), ["orders-0-1", "orders-0-2"]);
    // Where it looks, somebody answers now.
    let answers = axum::Router::new().fallback(async || "there");
    tokio::spawn(async move { axum::serve(listener, answers).await });
    let live = bench.broker.handlers_for_batch(Duration::from_secs(60)).await;
    for message in put {
        let deadline = Instant::now() + Duration::from_secs(60);
        let outcome = bench.broker.handle(live.as_deref(), &message.received(), deadline).await;
        assert_eq!(outcome, Outcome::Ack, "{message:?}");
    }
    let calls = bench.double.calls();
    assert_eq!((strikes(&bench, &calls), BrokerBench::put_off_in(&calls).len()), (0, 0));
}

/// What it cost is not known, so it comes again with what is known by then.
#[tokio::test]
async fn a_record_that_is_not_settled_in_time_is_put_off_and_is_not_lost() {
    let bench = bench().await;
    bench.double.leave_unanswered(&["UpdateItem"]);
    let records = vec![record(1, Some("a"), "throw"), record(2, None, "ack")];
    // Less than the store's own client waits for an answer.
    let now = Instant::now();
    let budget = Budget { settle_until: now + Duration::from_secs(4), ..ample(now) };
    assert_eq!(handle_within(&bench, batch(records), &budget).await, failed(&[]));
    let put = bench.put_off();
    assert_eq!((waiting(&put), put[0].delay_secs), (vec!["orders-0-1"], i64::from(::worker::RETURN_SECS)));
}

#[tokio::test]
async fn what_the_retry_queue_does_not_answer_for_is_named_before_the_time_is_over() {
    let bench = bench().await;
    bench.double.leave_unanswered(&["UpdateItem", "SendMessage"]);
    let records = vec![record(1, None, "throw"), record(2, None, "ack")];
    let began = Instant::now();
    let settle_until = began + Duration::from_secs(3);
    let answer_by = settle_until + Duration::from_millis(200);
    let budget = Budget { settle_until, answer_by, ..ample(began) };
    assert_eq!(handle_within(&bench, batch(records), &budget).await, failed(&[1]));
    // The client of the queue gives up by itself no sooner than 3.4 s after it was asked.
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

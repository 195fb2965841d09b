//! Batches from event to answer: real handlers in a real sandbox, real AWS clients, a stand-in for AWS.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;
mod brokers;
mod double;
mod held;
mod on_boarding;
#[path = "../../../../shared/domain/tests/doubles/queue.rs"]
mod registered;
mod releases;

use std::time::Duration;

use bench::{Bench, handler, names, record, record_of, visibilities};
use domain::{LetterBody, LetterOrigin, LetterState};
use serde_json::json;

#[tokio::test]
async fn ten_good_messages_cost_no_aws_call_once_the_queue_is_known() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    for round in 0..3 {
        let batch = (0..10).map(|n| record(&format!("{round}-{n}"), "ack", 1)).collect();
        assert!(bench.run(batch).await.is_empty());
        if round > 0 {
            assert_eq!(names(&bench.double.calls()), Vec::<&str>::new());
        }
        bench.double.calls();
    }
}

#[tokio::test]
async fn of_ten_the_two_that_failed_come_back_and_one_call_says_when() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    let batch = (0..10)
        .map(|n| {
            record(
                &n.to_string(),
                ["ack", "throw", "nothing"][usize::from(n == 3) + 2 * usize::from(n == 7)],
                1,
            )
        })
        .collect();
    assert_eq!(bench.run(batch).await, ["3", "7"]);
    let calls = bench.double.calls();
    let visible = visibilities(&calls);
    assert_eq!(
        visible.iter().map(|(handle, _)| handle.as_str()).collect::<Vec<_>>(),
        ["handle-3", "handle-7"]
    );
    assert!(visible.iter().all(|(_, secs)| (1..=2).contains(secs)), "the first backoff: {visible:?}");
    assert_eq!(names(&calls).iter().filter(|name| **name == "UpdateItem").count(), 2);
}

#[tokio::test]
async fn the_third_failure_is_kept_then_forwarded_then_acknowledged() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    let body = "{ \"handler\":\"throw\",  \"é\": 1.10 }";
    let mut attempt = record_of("orders", "sqs-1", body, 1);
    attempt["messageAttributes"] = json!({
        "message-id": { "stringValue": "0BF1", "dataType": "String" },
        "round": { "stringValue": "2", "dataType": "Number" },
        "tenant": { "stringValue": "t1", "dataType": "String" },
    });
    for count in 1..=2 {
        attempt["attributes"]["ApproximateReceiveCount"] = json!(count.to_string());
        assert_eq!(bench.run(vec![attempt.clone()]).await, ["sqs-1"]);
    }
    bench.double.calls();
    attempt["attributes"]["ApproximateReceiveCount"] = json!("3");
    assert!(bench.run(vec![attempt]).await.is_empty());
    let calls = bench.double.calls();
    assert_eq!(names(&calls), ["GetItem", "UpdateItem", "TransactWriteItems", "SendMessage"]);
    let sent = &calls[3].1;
    assert_eq!(sent["MessageBody"], body);
    assert!(sent["QueueUrl"].as_str().unwrap().ends_with("/orders-dead"), "{sent}");
    let attributes = sent["MessageAttributes"].as_object().unwrap();
    assert_eq!(attributes.keys().collect::<Vec<_>>(), ["message-id", "round"]);
    assert_eq!(
        (&attributes["message-id"]["StringValue"], &attributes["round"]["StringValue"]),
        (&json!("0BF1"), &json!("2"))
    );
    let letter = bench.letters("0BF1").await.remove(0);
    assert_eq!((letter.round, letter.attempts, letter.body), (2, 3, None));
    assert_eq!((letter.origin, letter.state), (LetterOrigin::Worker, LetterState::Open));
    assert_eq!((letter.reason.code.as_str(), letter.handler), ("failed", handler("bench/throw")));
    assert!(letter.reason.message.contains("boom"), "{}", letter.reason.message);
    assert!(letter.log.contains("WARN about to fail {\"n\":3}"), "{}", letter.log);
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_forwarded_and_what_cannot_be_forwarded_is_not_acknowledged() {
    let bench = Bench::with_queue("orders", |queue| queue.max_failures = 1).await;
    bench.double.refuse(&["TransactWriteItems"]);
    assert_eq!(bench.run(vec![record("m", "throw", 1)]).await, ["m"]);
    assert!(!names(&bench.double.calls()).contains(&"SendMessage"));
    bench.double.refuse(&["SendMessage"]);
    assert_eq!(bench.run(vec![record("m", "throw", 2)]).await, ["m"]);
    let kept = bench.letters("m").await;
    assert_eq!(kept.len(), 1);
    // Its attempts are spent: it does not run again, and the letter that was kept stays as it was.
    bench.double.refuse(&[]);
    bench.double.calls();
    assert!(bench.run(vec![record("m", "ack", 3)]).await.is_empty());
    assert_eq!(names(&bench.double.calls()), ["GetItem", "Query", "SendMessage"]);
    assert_eq!(bench.letters("m").await, kept);
}

/// A letter says that its message died: were the message handled after all, the letter would stand open for ever.
#[tokio::test]
async fn what_was_rejected_and_kept_but_not_forwarded_does_not_run_again() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    bench.double.refuse(&["SendMessage"]);
    assert_eq!(bench.run(vec![record("m", "waver", 1)]).await, ["m"]);
    let kept = bench.letters("m").await;
    assert_eq!(kept[0].reason.code, "rejected");
    bench.double.refuse(&[]);
    bench.double.calls();
    let mut again = record("m", "waver", 2);
    again["messageAttributes"] = json!({ "healed": { "stringValue": "yes", "dataType": "String" } });
    assert!(bench.run(vec![again]).await.is_empty());
    assert_eq!(names(&bench.double.calls()), ["GetItem", "Query", "SendMessage"]);
    assert_eq!(bench.letters("m").await, kept);
}

#[tokio::test]
async fn a_message_whose_every_receipt_was_a_failure_costs_no_look_for_letters() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    assert_eq!(bench.run(vec![record("m", "throw", 1)]).await, ["m"]);
    bench.double.calls();
    assert_eq!(bench.run(vec![record("m", "throw", 2)]).await, ["m"]);
    assert_eq!(names(&bench.double.calls()), ["GetItem", "UpdateItem", "ChangeMessageVisibilityBatch"]);
}

#[tokio::test]
async fn poison_is_dead_lettered_at_once_with_its_reason() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    for (id, body, code, part, attempts) in [
        ("a", r#"{"handler":"reject"}"#, "rejected", "no such customer", 1),
        ("b", r#"{"handler":"gone"}"#, "unknown-handler", "gone", 0),
        ("c", r#"{"x":1}"#, "no-handler", "no default handler", 0),
        ("d", "not json", "bad-body", "not JSON", 0),
        (
            "e",
            &format!("{{\"{0}\":1,\"{0}\":2}}", "k".repeat(100_000)),
            "bad-body",
            "no handler can be given",
            0,
        ),
    ] {
        assert!(bench.run(vec![record_of("orders", id, body, 1)]).await.is_empty(), "{body}");
        let letter = bench.letters(id).await.remove(0);
        assert_eq!((letter.reason.code.as_str(), letter.attempts), (code, attempts));
        assert!(letter.reason.message.contains(part), "{}", letter.reason.message);
    }
    let sent = bench.double.calls().into_iter().filter(|(name, _)| name == "SendMessage").count();
    assert_eq!(sent, 5);
}

#[tokio::test]
async fn the_default_handler_takes_what_names_no_other() {
    let bench = Bench::with_queue("orders", |queue| queue.default_handler = handler("ack")).await;
    let bodies = [r#"{"x":1}"#, r#"{"handler":"gone"}"#, "[1,2]", "7"];
    let batch =
        bodies.iter().enumerate().map(|(n, body)| record_of("orders", &n.to_string(), body, 1)).collect();
    assert!(bench.run(batch).await.is_empty());
    assert!(!names(&bench.double.calls()).contains(&"SendMessage"));
}

#[tokio::test]
async fn a_retry_asked_for_comes_when_asked_and_spends_an_attempt() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    for count in 1..=2 {
        assert_eq!(bench.run(vec![record("m", "retry", count)]).await, ["m"]);
        assert_eq!(visibilities(&bench.double.calls()), [("handle-m".to_owned(), 77)]);
    }
    assert!(bench.run(vec![record("m", "retry", 3)]).await.is_empty());
    assert_eq!(bench.letters("m").await[0].reason.code, "failed");
}

#[tokio::test]
async fn a_failure_returns_the_rest_of_its_group_untouched_and_no_other() {
    let bench = Bench::with_queue("orders.fifo", |_| {}).await;
    let of = |id: &str, fails: bool| {
        let mut record =
            record_of("orders.fifo", id, &json!({ "handler": "obey", "fails": fails }).to_string(), 1);
        record["attributes"]["MessageGroupId"] = json!(&id[..1]);
        record
    };
    let batch = vec![of("A1", false), of("B1", false), of("A2", true), of("A3", false), of("B2", false)];
    assert_eq!(bench.run(batch).await, ["A2", "A3"]);
    let calls = bench.double.calls();
    let visible = visibilities(&calls);
    assert_eq!(visible[0].1, visible[1].1, "the group comes back together");
    assert_eq!(names(&calls).iter().filter(|name| **name == "UpdateItem").count(), 1, "A3 has no strike");
}

#[tokio::test]
async fn a_dead_letter_of_a_group_goes_to_the_fifo_queue_in_its_group_and_the_group_goes_on() {
    let bench = Bench::with_queue("orders.fifo", |_| {}).await;
    let of = |id: &str, handler: &str| {
        let mut record = record_of("orders.fifo", id, &json!({ "handler": handler }).to_string(), 1);
        record["attributes"]["MessageGroupId"] = json!("A");
        record
    };
    assert!(bench.run(vec![of("A1", "reject"), of("A2", "ack")]).await.is_empty());
    let calls = bench.double.calls();
    let sent = &calls.iter().find(|(name, _)| name == "SendMessage").unwrap().1;
    assert!(sent["QueueUrl"].as_str().unwrap().ends_with("/orders-dead.fifo"), "{sent}");
    assert_eq!((&sent["MessageGroupId"], &sent["MessageDeduplicationId"]), (&json!("A"), &json!("A1#0")));
}

#[tokio::test]
async fn a_queue_without_a_dead_letter_queue_keeps_the_body_in_the_letter() {
    let bench = Bench::with_queue("orders", |queue| queue.dead_letter_queue = None).await;
    assert!(bench.run(vec![record("m", "reject", 1)]).await.is_empty());
    let body = LetterBody::Text(r#"{"handler":"reject"}"#.to_owned());
    assert_eq!(bench.letters("m").await[0].body, Some(body));
    assert!(!names(&bench.double.calls()).contains(&"SendMessage"));
}

#[tokio::test]
async fn an_unregistered_queue_is_worked_on_and_its_poison_comes_back() {
    let bench = Bench::new().await;
    let batch = vec![
        record("a", "ack", 1),
        record("b", "throw", 9),
        record("c", "reject", 1),
        record("d", "gone", 1),
    ];
    assert_eq!(bench.run(batch).await, ["b", "c", "d"]);
    let calls = bench.double.calls();
    assert!(
        !names(&calls).iter().any(|name| ["SendMessage", "UpdateItem", "TransactWriteItems"].contains(name))
    );
    assert_eq!(visibilities(&calls).len(), 3);
}

#[tokio::test]
async fn without_its_store_the_worker_loses_nothing() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    bench.run(vec![record("warm", "ack", 1)]).await;
    // Failures cannot be read or counted; messages of the first receipt that succeed need neither.
    bench.double.refuse(&[
        "GetItem",
        "UpdateItem",
        "Query",
        "TransactWriteItems",
        "ChangeMessageVisibilityBatch",
    ]);
    let batch =
        vec![record("a", "ack", 1), record("b", "throw", 1), record("c", "ack", 2), record("d", "reject", 1)];
    assert_eq!(bench.run(batch).await, ["b", "c", "d"]);
}

#[tokio::test]
async fn a_broken_record_and_a_runaway_handler_cost_their_neighbours_nothing() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    let mut broken = record("broken", "ack", 1);
    broken["body"] = json!(7);
    let mut batch: Vec<_> = (0..8).map(|n| record(&n.to_string(), "ack", 1)).collect();
    batch.insert(2, broken);
    batch.insert(5, record("loop", "loop", 1));
    assert_eq!(bench.run(batch).await, ["broken", "loop"]);
}

#[tokio::test]
async fn without_time_nothing_is_started_and_nothing_is_lost() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    let event = json!({ "Records": [record("a", "ack", 1), record("b", "throw", 1)] });
    let answer = bench.worker.handle(event, Duration::ZERO).await.unwrap();
    assert_eq!(answer.batch_item_failures.len(), 2);
    assert!(!names(&bench.double.calls()).contains(&"UpdateItem"), "no strike");
}

#[tokio::test]
async fn a_batch_with_a_nameless_record_fails_before_anything_runs() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    let mut nameless = record("x", "ack", 1);
    nameless["messageId"] = json!(null);
    let event = json!({ "Records": [record("a", "throw", 1), nameless] });
    let error = bench.worker.handle(event, Duration::from_secs(5)).await.unwrap_err();
    assert!(error.to_string().contains("records [2] of 2 have no messageId"), "{error}");
    assert!(bench.double.calls().is_empty());
}

#[tokio::test]
async fn releases_are_looked_for_once_in_five_seconds_and_without_the_store_the_old_ones_go_on() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    bench.run(vec![record("warm", "ack", 1)]).await;
    bench.double.calls();
    for refused in [&["GetItem"][..], &[]] {
        bench.double.refuse(refused);
        bench.later();
        for (batch, calls) in [(0, &["GetItem"][..]), (1, &[]), (2, &[])] {
            let id = batch.to_string();
            assert!(bench.run(vec![record(&id, "ack", 1)]).await.is_empty());
            assert_eq!(names(&bench.double.calls()), calls, "batch {batch}, refused {refused:?}");
        }
    }
}

/// To run what shipped in the place of what was released, or to find no handler and bury the message, would be worse.
#[tokio::test]
async fn a_worker_that_never_saw_its_store_returns_every_message_without_a_strike() {
    let bench = Bench::blind().await;
    // The redrive policy allows 20 receives: an outage of minutes must not spend them.
    let batch = vec![record("a", "ack", 1), record("b", "gone", 1), record("c", "ack", 10)];
    assert_eq!(bench.run(batch).await, ["a", "b", "c"]);
    let calls = bench.double.calls();
    let secs: Vec<i64> = visibilities(&calls).iter().map(|(_, secs)| *secs).collect();
    assert!(secs[..2].iter().all(|secs| (1..=5).contains(secs)) && secs[2] >= 450, "{secs:?}");
    assert!(!names(&calls).contains(&"UpdateItem") && !names(&calls).contains(&"SendMessage"));
    bench.double.refuse(&[]);
    bench.later();
    assert!(bench.run(vec![record("a", "ack", 1)]).await.is_empty());
}

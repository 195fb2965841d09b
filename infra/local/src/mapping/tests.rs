#![allow(clippy::unwrap_used, reason = "a test may panic")]
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::testing::Bench;

/// What the function was called with, and what it answers.
fn recorder(
    timeout: Duration,
    answer: impl Fn(&Value) -> Value + Send + Sync + 'static,
) -> (Functions, mpsc::UnboundedReceiver<Value>) {
    let (calls, called) = mpsc::unbounded_channel();
    let function = Function::new(timeout, move |event, _| {
        let answer = answer(&event);
        calls.send(event).unwrap();
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    (Functions::default().with("worker", function), called)
}

fn new(arn: &str) -> NewMapping {
    NewMapping {
        source_arn: arn.to_owned(),
        function: "worker".to_owned(),
        enabled: true,
        batch_size: 10,
        reports_failures: true,
        maximum_concurrency: None,
    }
}

fn bodies(event: &Value) -> Vec<String> {
    event["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["body"].as_str().unwrap().to_owned())
        .collect()
}

const TEN_SECONDS: Duration = Duration::from_secs(10);

#[tokio::test]
async fn exactly_the_failed_messages_of_a_batch_come_again() {
    let bench = Bench::new().await;
    // Long enough that nothing comes again by itself: the test lets time pass.
    let queue = bench.queue("orders", &[(QueueAttributeName::VisibilityTimeout, "60")]).await;
    for n in 0..10 {
        bench.send(&queue, &format!("{n}")).await;
    }
    let (functions, mut called) = recorder(TEN_SECONDS, |event| {
        let fails = |record: &&Value| {
            matches!(record["body"].as_str(), Some("3" | "7"))
                && record["attributes"]["ApproximateReceiveCount"] == "1"
        };
        let failed: Vec<_> = event["Records"].as_array().unwrap().iter().filter(fails).collect();
        let failed: Vec<_> =
            failed.iter().map(|record| json!({"itemIdentifier": record["messageId"]})).collect();
        json!({ "batchItemFailures": failed })
    });
    let mappings = bench.mappings(functions);
    mappings.create(new(&bench.arn("orders"))).await.unwrap();
    let mut runs: HashMap<String, u32> = HashMap::new();
    while runs.values().sum::<u32>() < 10 {
        bodies(&called.recv().await.unwrap())
            .into_iter()
            .for_each(|body| *runs.entry(body).or_default() += 1);
    }
    // The two are hidden, the eight are gone.
    bench.until_counts(&queue, [0, 2]).await;
    bench.pass(60);
    while runs.values().sum::<u32>() < 12 {
        bodies(&called.recv().await.unwrap())
            .into_iter()
            .for_each(|body| *runs.entry(body).or_default() += 1);
    }
    for n in 0..10 {
        assert_eq!(runs[&n.to_string()], if n == 3 || n == 7 { 2 } else { 1 }, "{n}");
    }
    bench.until_counts(&queue, [0, 0]).await;
}

#[tokio::test]
async fn a_full_queue_is_given_out_in_tens_and_several_batches_run_at_once() {
    let bench = Bench::new().await;
    let queue = bench.queue("busy", &[]).await;
    for n in 0..30 {
        bench.send(&queue, &format!("{n}")).await;
    }
    // Every batch waits for two others: with one at a time this would never end.
    let barrier = Arc::new(tokio::sync::Barrier::new(3));
    let largest = Arc::new(AtomicUsize::new(0));
    let function = {
        let (barrier, largest) = (Arc::clone(&barrier), Arc::clone(&largest));
        Function::new(TEN_SECONDS, move |event: Value, _| {
            let (barrier, largest) = (Arc::clone(&barrier), Arc::clone(&largest));
            async move {
                largest.fetch_max(bodies(&event).len(), Ordering::Relaxed);
                barrier.wait().await;
                Ok::<_, std::convert::Infallible>(Value::Null)
            }
        })
    };
    let mappings = bench.mappings(Functions::default().with("worker", function));
    mappings.create(new(&bench.arn("busy"))).await.unwrap();
    bench.until_counts(&queue, [0, 0]).await;
    assert_eq!(largest.load(Ordering::Relaxed), 10);
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_is_kept_as_a_whole() {
    let bench = Bench::new().await;
    let queue = bench.queue("broken", &[]).await;
    bench.send(&queue, "hang").await;
    let (calls, mut called) = mpsc::unbounded_channel();
    let function = Function::new(Duration::from_millis(50), move |event: Value, _| {
        calls.send(bodies(&event)).unwrap();
        std::future::pending::<Result<Value, std::convert::Infallible>>()
    });
    let mappings = bench.mappings(Functions::default().with("worker", function));
    mappings.create(new(&bench.arn("broken"))).await.unwrap();
    called.recv().await.unwrap();
    bench.until_counts(&queue, [0, 1]).await;
    bench.pass(30);
    assert_eq!(called.recv().await.unwrap(), ["hang"]);
    bench.until_counts(&queue, [0, 1]).await;
}

#[tokio::test]
async fn a_paused_mapping_rests_until_it_is_resumed() {
    let bench = Bench::new().await;
    let queue = bench.queue("paused", &[]).await;
    let (functions, mut called) = recorder(TEN_SECONDS, |_| Value::Null);
    let mappings = bench.mappings(functions);
    let (mapping, state) = mappings.create(new(&bench.arn("paused"))).await.unwrap();
    assert_eq!(state, State::Enabled);
    let uuid = mapping.uuid.to_string();
    let enable = |enabled| Change { enabled: Some(enabled), ..Change::default() };
    mappings.update(&uuid, enable(false)).await.unwrap();
    bench.until(|| async { mappings.get(&uuid).await.unwrap().1 == State::Disabled }).await;
    bench.send(&queue, "later").await;
    bench.until_counts(&queue, [1, 0]).await;
    mappings.update(&uuid, enable(true)).await.unwrap();
    assert_eq!(bodies(&called.recv().await.unwrap()), ["later"]);
}

#[tokio::test]
async fn mappings_outlive_their_process_and_a_damaged_file_is_named() {
    let bench = Bench::new().await;
    let queue = bench.queue("kept", &[]).await;
    let (functions, _called) = recorder(TEN_SECONDS, |_| Value::Null);
    let first = bench.mappings(functions);
    let mapping = first.create(new(&bench.arn("kept"))).await.unwrap().0;
    first.end(TEN_SECONDS).await;

    let (functions, mut called) = recorder(TEN_SECONDS, |_| Value::Null);
    let second = bench.mappings(functions.clone());
    assert_eq!(second.get(&mapping.uuid.to_string()).await.unwrap().0, mapping);
    second.start().await;
    bench.send(&queue, "again").await;
    assert_eq!(bodies(&called.recv().await.unwrap()), ["again"]);

    for damage in ["", "{\"mappings\":[{}]}", "{\"mappings\":3}"] {
        std::fs::write(bench.mappings_file(), damage).unwrap();
        let error = Mappings::open(bench.mappings_file(), bench.source(), functions.clone(), Clock::system())
            .unwrap_err();
        assert!(error.to_string().contains("mappings.json is damaged"), "{error}");
    }
}

#[tokio::test]
async fn a_stop_lets_the_batch_in_hand_finish() {
    let bench = Bench::new().await;
    let queue = bench.queue("draining", &[]).await;
    bench.send(&queue, "slow").await;
    let (started, mut has_started) = mpsc::unbounded_channel();
    let go_on = Arc::new(tokio::sync::Notify::new());
    let function = {
        let go_on = Arc::clone(&go_on);
        Function::new(TEN_SECONDS, move |_, _| {
            let go_on = Arc::clone(&go_on);
            started.send(()).unwrap();
            async move {
                go_on.notified().await;
                Ok::<_, std::convert::Infallible>(json!({}))
            }
        })
    };
    let mappings = bench.mappings(Functions::default().with("worker", function));
    mappings.create(new(&bench.arn("draining"))).await.unwrap();
    has_started.recv().await.unwrap();
    mappings.stop_polling().await;
    bench.close_polls();
    go_on.notify_one();
    mappings.end(TEN_SECONDS).await;
    assert_eq!(bench.counts(&queue).await, [0, 0]);
}

#[tokio::test]
async fn what_lambda_refuses_is_refused() {
    let bench = Bench::new().await;
    bench.queue("fine", &[]).await;
    bench.queue("hasty", &[(QueueAttributeName::VisibilityTimeout, "9")]).await;
    let (functions, _called) = recorder(TEN_SECONDS, |_| Value::Null);
    let mappings = bench.mappings(functions);
    let refuse = async |new: NewMapping| mappings.create(new).await.unwrap_err();
    let fine = bench.arn("fine");
    assert!(matches!(
        refuse(NewMapping { function: "nobody".into(), ..new(&fine) }).await,
        MappingError::NoFunction(_)
    ));
    assert!(matches!(refuse(NewMapping { batch_size: 11, ..new(&fine) }).await, MappingError::Invalid(_)));
    assert!(matches!(refuse(NewMapping { batch_size: 0, ..new(&fine) }).await, MappingError::Invalid(_)));
    assert!(matches!(
        refuse(NewMapping { maximum_concurrency: Some(1), ..new(&fine) }).await,
        MappingError::Invalid(_)
    ));
    assert!(matches!(refuse(new("arn:aws:s3:::bucket")).await, MappingError::Invalid(_)));
    assert!(matches!(refuse(new(&bench.arn("absent"))).await, MappingError::Invalid(_)));
    assert!(refuse(new(&bench.arn("hasty"))).await.to_string().contains("visibility timeout of 9 seconds"));
    let uuid = mappings.create(new(&fine)).await.unwrap().0.uuid;
    assert!(matches!(refuse(new(&fine)).await, MappingError::Exists(same) if same == uuid));
    mappings.delete(&uuid.to_string()).await.unwrap();
    assert!(matches!(mappings.get(&uuid.to_string()).await, Err(MappingError::NoMapping(_))));
    assert!(matches!(mappings.get("nonsense").await, Err(MappingError::NoMapping(_))));
    mappings.create(new(&fine)).await.unwrap();
}

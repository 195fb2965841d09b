use domain::{IndexState, JobId, JobState};
use serde_json::json;

use crate::engine::Mood;
use crate::house::{House, event};
use crate::tables::Design;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_its_job_comes_back_for_a_minute_and_is_then_let_go() {
    let house = House::start().await;
    let now = house.worker.clock.now();
    let body = json!({"job": JobId::new(now, &mut rand::rng()).to_string(), "slice": 0}).to_string();
    let mut early = event(&body, 2);
    let at = |seconds: i64| (now.as_millisecond() - seconds * 1000).to_string();
    early["Records"][0]["attributes"]["ApproximateFirstReceiveTimestamp"] = json!(at(10));
    assert_eq!(house.hand(early.clone()).await, 1);
    early["Records"][0]["attributes"]["ApproximateFirstReceiveTimestamp"] = json!(at(61));
    assert_eq!(house.hand(early).await, 0);
    assert_eq!(house.hand(event("no job", 1)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_at_one_job_do_it_once_and_no_message_goes_before_it_is_done() {
    let house = House::start().await;
    let open = house.tables.table("T", Design::new().integer("n")).await;
    for n in 0..60 {
        house.tables.record(&open, &format!(r#"{{"n":{n}}}"#)).await;
    }
    let (job, _) = house.add_index(&open, false).await;
    let (one, other) = tokio::join!(house.ring(&job, 1), house.ring(&job, 1));
    // Who finds the other at work leaves the job to it, but not the message: it may be one message, delivered twice.
    let ended = house.job(&job).await;
    assert_eq!((ended.state, ended.done), (JobState::Done, 60));
    assert!(one + other <= 1, "{one} and {other} came back");
    assert_eq!(house.ring(&job, 2).await, 0, "what came back finds the job done");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_next_message_cannot_be_sent_this_one_comes_back() {
    let house = House::start().await;
    let open = house.tables.table("T", Design::new().integer("n")).await;
    for n in 0..30 {
        house.tables.record(&open, &format!(r#"{{"n":{n}}}"#)).await;
    }
    let (job, _) = house.add_index(&open, false).await;
    house.engine.mood(Mood::Refusing);
    assert_eq!(house.ring_for_one_slice(&job).await, 1);
    house.engine.mood(Mood::Fine);
    assert_eq!(house.finish(&job).await.state, JobState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_slices_fail_again_and_again_is_given_up_and_says_why() {
    let house = House::start().await;
    let open = house.tables.table("T", Design::new().integer("n")).await;
    house.tables.record(&open, r#"{"n":1}"#).await;
    let (job, open) = house.add_index(&open, false).await;
    // A record that nobody can read.
    let client = crate::store::client(&house.tables.store.endpoint);
    let items = client.scan().table_name("records").send().await.unwrap().items.unwrap_or_default();
    let mut item = items.into_iter().find(|item| item.contains_key("v")).unwrap();
    item.insert("v".to_owned(), aws_sdk_dynamodb::types::AttributeValue::Bool(true));
    client.put_item().table_name("records").set_item(Some(item)).send().await.unwrap();
    assert_eq!(house.ring(&job, 9).await, 1, "it comes back");
    assert_eq!(house.job(&job).await.state, JobState::Running);
    assert_eq!(house.ring(&job, 10).await, 0);
    assert!(matches!(house.job(&job).await.state, JobState::Failed { .. }));
    let table = house.open(&open).await;
    assert_eq!(table.schema.table().indexes[0].state, IndexState::Failed { duplicates: Vec::new() });
}

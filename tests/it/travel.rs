//! Messages that go on from one queue to another.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;

use crate::support::eventually;
use crate::support::house::TestHouse;
use crate::support::recorder::Recorder;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_to_another_queue_starts_there_with_all_its_attempts() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    let first = house.queue(json!({"name": "first", "max-failures": 2})).await;
    let dead_url = format!("{}-dead", first.url);
    // Made for dead letters, it gives its messages back sooner than this house's worker may take for them.
    let longer = house.sqs.set_queue_attributes().queue_url(&dead_url);
    longer.attributes(QueueAttributeName::VisibilityTimeout, "60").send().await.unwrap();
    // Where the first queue's dead letters go, a second registration works on them.
    let second = json!({"name": "second", "url": dead_url, "worker": "attached", "max-failures": 2});
    house.queue(second).await;
    let payload = json!({"handler": "fail", "recorder": recorder.url, "name": "ada", "how": "throw"});
    let id = house.publish("first", &payload).await;
    let rounds = eventually("a letter of each queue", 150, async || {
        let letter = house.get(&format!("dead-letter/{id}")).await;
        letter.body["rounds"].as_array().filter(|rounds| rounds.len() == 2).cloned()
    })
    .await;
    for round in &rounds {
        assert_eq!(round["attempts"], 2, "{round}");
        assert_eq!(round["reason"]["code"], "failed", "{round}");
    }
    assert_eq!(recorder.count("fail/ada"), 4, "twice on each queue");
    house.stop().await;
}

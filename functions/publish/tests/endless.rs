//! What is without end burns its core until its process ends. So it has a process of its own, beside no test that is timed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../shared/delivery/tests/doubles/engine.rs"]
mod engine;
#[path = "it/house.rs"]
mod house;
#[path = "../../../shared/domain/tests/doubles/queue.rs"]
mod registered;
#[path = "../../../shared/api/tests/doubles/store.rs"]
mod store;

use std::time::Duration;

use serde_json::json;

use crate::house::House;

/// Who waited for a check to end would wait for ever; who does not has an answer by then even while the checks have every core.
const NOT_HELD_UP: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_comes_to_no_end_holds_up_nobody() {
    let house = House::start().await;
    // Every level of a payload is looked at twice as often as the one above it.
    let twice = json!({"$defs": {"a": {"items": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}}, "$ref": "#/$defs/a"});
    house.queue("orders", |queue| queue.schema = Some(twice)).await;
    let deep = format!("{}{}", "[".repeat(32), "]".repeat(32));
    let slow = (0..6).map(|_| house.post("/queue/a/orders/publish", &[], &deep));
    let slow = futures::future::join_all(slow);
    let answers = tokio::time::timeout(NOT_HELD_UP, slow).await.unwrap();
    let too_slow = answers.iter().filter(|answer| {
        answer.problem() == 422 && answer.faults() == [(String::new(), "schema-too-slow".to_owned())]
    });
    assert_eq!(too_slow.count(), 4);
    // Those who were not looked at are not told that they are wrong.
    let not_looked_at =
        answers.iter().filter(|answer| answer.status == 503 && answer.json()["kept"] == false);
    assert_eq!(not_looked_at.count(), 2);
    let batch = format!(r#"{{"messages":[{}]}}"#, vec![format!(r#"{{"payload":{deep}}}"#); 100].join(","));
    let batch = house.post("/queue/a/orders/publish/batch", &[], batch);
    let batch = tokio::time::timeout(NOT_HELD_UP, batch).await.unwrap();
    assert_eq!(batch.status, 207);
    house.queue("other", |_| {}).await;
    assert_eq!(house.post("/queue/a/other/publish", &[], "1").await.status, 200);
}

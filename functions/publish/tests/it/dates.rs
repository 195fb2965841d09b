//! Messages that are for a date.

use domain::{EntryKey, EntryState};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::house::House;

const PATH: &str = "/queue/a/orders/publish";

/// So many hours from now, as somebody at another meridian says it.
fn in_hours(hours: i64) -> String {
    let at = Timestamp::now() + SignedDuration::from_hours(hours);
    at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(-3))).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_a_later_date_is_kept_for_it() {
    let house = House::start().await;
    let queue = house.queue("orders", |_| {}).await;
    let date = in_hours(24 * 400);
    let answer = house.post(PATH, &[("deliver-at", &date)], "{ \"n\": 1 }").await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let answer = answer.json();
    let at: Timestamp = date.parse().unwrap();
    let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 3, "{answer}");
    assert_eq!(
        (&answer["queue-id"], &answer["deliver-at"]),
        (&json!(queue.id.to_string()), &json!(at.to_string()))
    );
    let key = EntryKey::Scheduled(answer["message-id"].as_str().unwrap().parse().unwrap());
    let entry = house.store.outbox.entry(&key).await.unwrap().unwrap();
    assert_eq!((entry.state, entry.body.as_str()), (EntryState::Scheduled, "{ \"n\": 1 }"));
    assert_eq!(entry.next_attempt_at, Some(at));
    assert!(house.engine.messages("ql-orders").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_is_past_asks_for_nothing() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    let answer = house.post(PATH, &[("deliver-at", &in_hours(-1))], "1").await;
    assert_eq!((answer.status, answer.json()["sqs-id"].is_string()), (200, true), "{}", answer.text);
    assert_eq!(house.engine.bodies("ql-orders"), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_one_message_for_its_date() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    let (date, other) = (in_hours(1), in_hours(2));
    let first = house.post(PATH, &[("idempotency-key", "k"), ("deliver-at", &date)], "1").await;
    let again = house.post(PATH, &[("idempotency-key", "k"), ("deliver-at", &date)], "1").await;
    assert_eq!((first.status, again.status), (202, 202), "{}", again.text);
    assert_eq!(first.json(), again.json());
    let other = house.post(PATH, &[("idempotency-key", "k"), ("deliver-at", &other)], "1").await;
    assert_eq!(other.problem(), 422, "{}", other.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch_each_message_has_its_own_date() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    let body = json!({"messages": [
        {"payload": 1, "deliver-at": in_hours(1)},
        {"payload": 2},
        {"payload": 3, "deliver-at": in_hours(-1)},
        {"payload": 4, "deliver-at": "tomorrow"},
        {"payload": 5, "deliver-at": in_hours(1), "deliver-after": 5},
    ]});
    let answer = house.post(&format!("{PATH}/batch"), &[], body.to_string()).await;
    assert_eq!(answer.status, 207, "{}", answer.text);
    let results = answer.json()["results"].clone();
    let told: Vec<_> =
        results.as_array().unwrap().iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(told, [202, 200, 200, 422, 422], "{results}");
    assert!(results[0]["deliver-at"].is_string() && results[0]["sqs-id"].is_null(), "{results}");
    let code = |at: usize| &results[at]["problem"]["errors"][0]["code"];
    assert_eq!((code(3), code(4)), (&json!("date-time"), &json!("not-with-deliver-after")), "{results}");
    assert_eq!(house.engine.bodies("ql-orders"), ["2", "3"]);
    let all_kept = json!({"messages": [{"payload": 1, "deliver-at": in_hours(1)}]});
    assert_eq!(house.post(&format!("{PATH}/batch"), &[], all_kept.to_string()).await.status, 200);
    let refused =
        house.post(&format!("{PATH}/batch"), &[("deliver-at", &in_hours(1))], body.to_string()).await;
    assert_eq!(refused.problem(), 422);
    assert_eq!(refused.faults()[0].1, "not-on-batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_date_is_named_with_the_other_faults() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    let headers = [("deliver-at", "2030-02-30T00:00:00Z"), ("ordering-key", "a")];
    let answer = house.post(PATH, &headers, "1").await;
    assert_eq!(answer.problem(), 422);
    let codes: Vec<_> = answer.faults().into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, ["date-time", "not-on-standard"], "{}", answer.text);
}

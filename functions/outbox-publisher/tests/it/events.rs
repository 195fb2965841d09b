use std::path::Path;
use std::time::Duration;

use domain::{EntryKey, EntryState, OutboxEntry};
use jiff::SignedDuration;
use outbox_publisher::{EventError, OutboxPublisher};
use serde_json::{Value, json};
use zstorage::{Seen, entry_of_image};

use crate::engine::Mood;
use crate::house::House;

const LONG: Duration = Duration::from_secs(30);

impl House {
    fn publisher(&self) -> OutboxPublisher {
        OutboxPublisher { courier: self.courier.clone() }
    }

    /// `tests/events/<name>.json`, written just now for our queue; and what of it could be read, saved as the write did.
    async fn event(&self, name: &str) -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/events/{name}.json"));
        let now = self.store.clock.now();
        let due = now + SignedDuration::from_secs(60);
        let fill = [
            ("@QUEUE@", self.queue.to_string()),
            ("@NOW@", now.to_string()),
            ("@NOW-MS@", now.as_millisecond().to_string()),
            ("@DUE-MS@", due.as_millisecond().to_string()),
        ];
        let text = std::fs::read_to_string(path).unwrap();
        let text = fill.iter().fold(text, |text, (placeholder, value)| text.replace(placeholder, value));
        let event: Value = serde_json::from_str(&text).unwrap();
        for entry in entries(&event) {
            self.put(&entry).await;
        }
        event
    }

    /// What lies on the queue: the last digits of its message ids, in order.
    fn sent(&self) -> Vec<String> {
        let id = |message: &Value| {
            let id = message["MessageAttributes"]["message-id"]["StringValue"].as_str().unwrap().to_owned();
            id.trim_start_matches("0BF01KAKX9Q5T").trim_start_matches('0').to_owned()
        };
        let mut sent: Vec<String> = self.engine.messages("ql-events").iter().map(id).collect();
        sent.sort();
        sent
    }
}

/// The entries of an event. A body in parts is told by nobody, so it is made up: 400 KB.
fn entries(event: &Value) -> Vec<OutboxEntry> {
    let images = event["Records"].as_array().unwrap().iter().map(|record| &record["dynamodb"]["NewImage"]);
    let entry = |image: &Value| match entry_of_image(image).ok()? {
        Seen::Whole(entry) => Some(entry),
        Seen::InParts(..) => {
            let mut whole = image.clone();
            whole["parts"] = json!({ "N": "0" });
            whole["body"] = json!({ "S": format!("\"{}\"", "x".repeat(400_000)) });
            match entry_of_image(&whole).unwrap() {
                Seen::Whole(entry) => Some(entry),
                Seen::InParts(..) => unreachable!("it has no parts any more"),
            }
        }
    };
    images.filter_map(entry).collect()
}

fn keys(event: &Value) -> Vec<EntryKey> {
    entries(event).into_iter().map(|entry| entry.key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_has_its_answer_and_its_messages() {
    let check = async |name: &str, sent: &[&str], states: &[EntryState]| {
        let house = House::start().await;
        let event = house.event(name).await;
        let keys = keys(&event);
        let answer = house.publisher().handle(event, LONG).await.unwrap();
        let answer = serde_json::to_string(&answer).unwrap();
        assert_eq!(answer, r#"{"batchItemFailures":[]}"#, "{name}");
        assert_eq!(house.sent(), sent, "{name}");
        let mut found = Vec::new();
        for key in keys {
            found.push(house.state_of(&key).await.unwrap());
        }
        assert_eq!(found, states, "{name}");
    };
    use EntryState::{Due, Held, Published, Scheduled};
    check("stream-insert-due", &["11", "12", "21"], &[Published, Published, Published]).await;
    check("stream-insert-in-parts", &["31"], &[Published]).await;
    check("stream-insert-held", &[], &[Held, Scheduled]).await;
    // The second was redriven: the sweeper's.
    check("stream-modify-and-remove", &[], &[Published, Due]).await;
    check("stream-malformed-image", &["141", "91"], &[Published, Published]).await;
    check("stream-unknown-version", &["151", "171"], &[Published, Due, Published]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_parts_is_sent_whole() {
    let house = House::start().await;
    let event = house.event("stream-insert-in-parts").await;
    house.publisher().handle(event, LONG).await.unwrap();
    let bodies: Vec<usize> = house.engine.bodies("ql-events").iter().map(String::len).collect();
    assert_eq!(bodies, [400_002]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_no_answer_could_name_fails_its_batch_before_anything_is_sent() {
    let house = House::start().await;
    let event = house.event("stream-record-without-number").await;
    let refused = house.publisher().handle(event, LONG).await;
    assert_eq!(refused, Err(EventError::Unnamed { place: 2, total: 2 }));
    assert!(house.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_begun_in_time_is_named_and_comes_again() {
    let house = House::start().await;
    let event = house.event("stream-insert-due").await;
    let answer = house.publisher().handle(event.clone(), Duration::ZERO).await.unwrap();
    let expect = json!({ "batchItemFailures": [
        { "itemIdentifier": "100000000000000000001" },
        { "itemIdentifier": "200000000000000000002" },
        { "itemIdentifier": "300000000000000000003" },
    ]});
    assert_eq!(serde_json::to_value(answer).unwrap(), expect);
    assert!(house.sent().is_empty());
    let answer = house.publisher().handle(event, LONG).await.unwrap();
    assert!(answer.batch_item_failures.is_empty());
    assert_eq!(house.sent(), ["11", "12", "21"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_the_batch_is_named_by_its_own_number_whatever_is_passed_over_before_it() {
    let house = House::start().await;
    let event = house.event("stream-malformed-image").await;
    let answer = house.publisher().handle(event, Duration::ZERO).await.unwrap();
    let named: Vec<_> =
        answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    assert_eq!(named, ["100000000000000000001", "600000000000000000006"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_destination_never_fails_the_stream() {
    for mood in [Mood::Refusing, Mood::Broken] {
        let house = House::start().await;
        house.engine.mood(mood);
        let event = house.event("stream-insert-due").await;
        let keys = keys(&event);
        let answer = house.publisher().handle(event, LONG).await.unwrap();
        assert!(answer.batch_item_failures.is_empty());
        for key in keys {
            assert_eq!(house.state_of(&key).await, Some(EntryState::Due), "the sweeper will see to it");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_up_comes_again() {
    let house = House::start().await;
    let event = house.event("stream-insert-in-parts").await;
    let publisher = OutboxPublisher { courier: house.courier_without_outbox() };
    let answer = publisher.handle(event, LONG).await.unwrap();
    let named: Vec<_> =
        answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    assert_eq!(named, ["100000000000000000001"]);
}

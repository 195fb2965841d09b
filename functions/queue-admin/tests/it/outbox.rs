use domain::{
    ApiName, EntryKey, EntryOrigin, EntryState, LinkId, MessageId, Operation, OutboxEntry, QueueId, RecordId,
    TablePrefix,
};
use jiff::{SignedDuration, Timestamp};
use queue_admin::{OwnBroker, Settings};
use serde_json::{Value, json};

use crate::house::House;

/// An entry of a link that was given up.
fn parked(queue: QueueId, record: RecordId, version: u64) -> OutboxEntry {
    let now = Timestamp::now();
    OutboxEntry {
        key: EntryKey::Link { record, link: LinkId { table: record.table(), number: 1 }, version },
        message_id: MessageId::new(now, &mut rand::rng()),
        queue,
        body: r#"{"n": 1.0e2}"#.to_owned(),
        ordering_key: None,
        ordered: true,
        origin: Some(EntryOrigin {
            table: ApiName::parse("Estudante").unwrap(),
            operation: Operation::Update,
            depth: 0,
        }),
        round: 0,
        notes: Vec::new(),
        state: EntryState::Parked,
        failures: 12,
        lease: 12,
        committed_at: now,
        next_attempt_at: Some(now),
        reason: Some("the queue does not take it".to_owned()),
        engine_id: None,
    }
}

fn record() -> RecordId {
    RecordId::new(TablePrefix::nth(7).unwrap(), 4, Timestamp::now(), &mut rand::rng())
}

/// A message for a date.
fn scheduled(queue: QueueId, at: Timestamp) -> OutboxEntry {
    let entry = parked(queue, record(), 1);
    OutboxEntry {
        key: EntryKey::Scheduled(entry.message_id),
        ordered: false,
        origin: None,
        state: EntryState::Scheduled,
        failures: 0,
        lease: 0,
        next_attempt_at: Some(at),
        reason: None,
        ..entry
    }
}

impl House {
    async fn queue(&self, name: &str) -> QueueId {
        let body = json!({ "name": name, "type": "sqs", "worker": "none" });
        self.made(&body.to_string()).await.parse().unwrap()
    }

    /// Puts an entry there, in whatever state it says.
    async fn put(&self, entry: OutboxEntry) -> OutboxEntry {
        self.store.outbox.schedule(&entry).await.unwrap();
        entry
    }

    async fn state_of(&self, entry: &OutboxEntry) -> EntryState {
        self.store.outbox.entry(&entry.key).await.unwrap().unwrap().state
    }
}

fn entries(page: &Value) -> Vec<String> {
    let text = |entry: &Value| entry["entry"].as_str().unwrap().to_owned();
    page["entries"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_listed_page_by_page_and_what_is_due_apart_from_it() {
    let house = House::start().await;
    let queue = house.queue("orders").await;
    let mut given_up = Vec::new();
    for _ in 0..7 {
        given_up.push(house.put(parked(queue, record(), 1)).await.key.to_string());
    }
    let later = Timestamp::now() + SignedDuration::from_hours(24);
    let due = house.put(scheduled(queue, later)).await;
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    for _ in 0..9 {
        let page = house.want(200, &format!("GET /outbox?limit=2&cursor={cursor}"), "").await.json();
        assert!(page["entries"].as_array().unwrap().len() <= 2);
        listed.extend(entries(&page));
        match page["cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    listed.sort();
    given_up.sort();
    assert_eq!(listed, given_up);

    let page = house.want(200, "GET /outbox?state=parked&limit=1", "").await.json();
    let entry = &page["entries"][0];
    assert_eq!((&entry["queue-name"], &entry["failures"]), (&json!("orders"), &json!(12)));
    assert_eq!(entry["reason"], "the queue does not take it");
    assert_eq!(entry.get("payload"), None, "a list has no bodies");
    let page = house.want(200, "GET /outbox?state=due", "").await.json();
    assert_eq!(entries(&page), [due.key.to_string()]);
    assert_eq!(page["cursor"], Value::Null);

    let wrong = house.want(422, "GET /outbox?state=held&limit=0&cursor=x&sort=name", "").await.faults();
    let mut paths: Vec<_> = wrong.iter().map(|(path, _)| path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["cursor", "limit", "sort", "state"]);
    let wrong = house.want(422, "GET /outbox?state=held", "").await.faults();
    assert_eq!(wrong, [("state".to_owned(), "value".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_shown_whole_with_what_would_be_sent() {
    let house = House::start().await;
    let queue = house.queue("orders").await;
    let entry = house.put(parked(queue, record(), 3)).await;
    let answer = house.want(200, &format!("GET /outbox/{}", entry.key), "").await;
    assert!(answer.text.contains(r#""payload":{"n": 1.0e2}"#), "{}", answer.text);
    let document = answer.json();
    assert_eq!((&document["table"], &document["version"]), (&json!("Estudante"), &json!(3)));
    assert_eq!(document["message-id"], entry.message_id.to_string());

    let long = OutboxEntry {
        body: format!("\"{}\"", "x".repeat(700_000)),
        ..parked(QueueId::new(Timestamp::now(), &mut rand::rng()), record(), 1)
    };
    let long = house.put(long).await;
    let document = house.want(200, &format!("GET /outbox/{}", long.key), "").await.json();
    assert_eq!(document["payload"].as_str().unwrap().len(), 700_000, "parts are put together");
    assert_eq!(document["queue-name"], Value::Null, "its queue is gone");

    let other = parked(queue, record(), 1);
    for unknown in [other.key.to_string(), "no-entry".to_owned(), "..".to_owned()] {
        house.want(404, &format!("GET /outbox/{unknown}"), "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_sent_again_once_in_its_next_round() {
    let house = House::start().await;
    let entry = house.put(parked(house.queue("orders").await, record(), 1)).await;
    let line = format!("POST /outbox/{}/redrive", entry.key);
    let answer = house.want(202, &line, "").await.json();
    assert_eq!(answer, json!({ "entry": entry.key.to_string(), "state": "due", "round": 1 }));
    let now = house.store.outbox.entry(&entry.key).await.unwrap().unwrap();
    assert_eq!((now.state, now.round, now.failures), (EntryState::Due, 1, 0));
    assert_eq!(now.message_id, entry.message_id, "it is the same message");
    assert!(now.next_attempt_at <= Some(Timestamp::now()), "the next sweep takes it");
    let again = house.want(409, &line, "").await.json();
    assert_eq!(again["state"], "due", "{again}");
    house.want(404, &format!("POST /outbox/{}/redrive", parked(entry.queue, record(), 1).key), "").await;
    house.want(404, "POST /outbox/nothing/redrive", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_discarded_with_a_note_and_what_waits_behind_it_goes_on() {
    let house = House::start().await;
    let (queue, record) = (house.queue("orders").await, record());
    let entry = house.put(parked(queue, record, 1)).await;
    let later = Timestamp::now() + SignedDuration::from_hours(10);
    let behind = parked(queue, record, 2);
    let behind =
        house.put(OutboxEntry { state: EntryState::Due, next_attempt_at: Some(later), ..behind }).await;
    let line = format!("POST /outbox/{}/discard", entry.key);
    for (body, expect) in [
        ("{}", ("note", "required")),
        (r#"{"note":"  "}"#, ("note", "length")),
        (&json!({ "note": "x".repeat(1001) }).to_string(), ("note", "length")),
        (r#"{"note":7}"#, ("note", "type")),
        (r#"{"note":"x","force":true}"#, ("force", "unknown-field")),
    ] {
        let faults = house.want(422, &line, body).await.faults();
        assert_eq!(faults, [(expect.0.to_owned(), expect.1.to_owned())], "{body}");
    }
    assert_eq!(house.state_of(&entry).await, EntryState::Parked, "what is refused does nothing");
    let answer = house.want(200, &line, r#"{"note":" not wanted "}"#).await.json();
    assert_eq!((&answer["state"], &answer["reason"]), (&json!("discarded"), &json!("not wanted")));
    assert_eq!(house.state_of(&entry).await, EntryState::Discarded);
    let behind = house.store.outbox.entry(&behind.key).await.unwrap().unwrap();
    assert!(behind.next_attempt_at <= Some(Timestamp::now()), "the next sweep takes it");
    assert_eq!(house.want(409, &line, r#"{"note":"x"}"#).await.json()["state"], "discarded");
    house.want(404, "POST /outbox/nothing/discard", r#"{"note":"x"}"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_a_date_is_looked_at_and_taken_back_until_somebody_sends_it() {
    let house = House::start().await;
    let queue = house.queue("orders").await;
    let at: Timestamp = "2049-01-02T03:04:05Z".parse().unwrap();
    let message = house.put(scheduled(queue, at)).await;
    let line = format!("/message/{}", message.message_id);
    let document = house.want(200, &format!("GET {line}"), "").await.json();
    for (member, expect) in [
        ("message-id", json!(message.message_id.to_string())),
        ("queue-name", json!("orders")),
        ("state", json!("scheduled")),
        ("deliver-at", json!("2049-01-02T03:04:05Z")),
    ] {
        assert_eq!(document[member], expect, "{member}: {document}");
    }
    assert_eq!(document.get("payload"), None);
    house.want(204, &format!("DELETE {line}"), "").await;
    house.want(204, &format!("DELETE {line}"), "").await;
    let document = house.want(200, &format!("GET {line}"), "").await.json();
    assert_eq!((&document["state"], &document["deliver-at"]), (&json!("discarded"), &Value::Null));

    let begun = house.put(scheduled(queue, Timestamp::now() - SignedDuration::from_secs(1))).await;
    house.store.outbox.lease(&begun.key, 60).await.unwrap().unwrap();
    house.want(409, &format!("DELETE /message/{}", begun.message_id), "").await;
    assert_eq!(house.state_of(&begun).await, EntryState::Scheduled);
    for unknown in ["0BF01ARZ3NDEKTSV4RRFFQ69G5FAV", "nothing"] {
        house.want(404, &format!("GET /message/{unknown}"), "").await;
        house.want(404, &format!("DELETE /message/{unknown}"), "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_sent_is_shown_under_the_id_of_its_queues_engine() {
    let house = House::with(|settings: &mut Settings| {
        settings.brokers.kafka = Some(OwnBroker::default());
        settings.brokers.rabbitmq = Some(OwnBroker::default());
    })
    .await;
    house.engine.make("ql-retry-dead", &[]);
    for (engine, id) in [("sqs", "sqs-id"), ("kafka", "kafka-id"), ("rabbitmq", "amqp-id")] {
        let body = json!({ "name": format!("orders-{engine}"), "type": engine, "worker": "none" });
        let queue: QueueId = house.made(&body.to_string()).await.parse().unwrap();
        let at = Timestamp::now() + SignedDuration::from_hours(1);
        let waiting = house.put(scheduled(queue, at)).await;
        let sent = house
            .put(OutboxEntry {
                state: EntryState::Published,
                next_attempt_at: None,
                engine_id: Some("there-0-7".to_owned()),
                ..scheduled(queue, at)
            })
            .await;
        for line in [format!("GET /message/{}", sent.message_id), format!("GET /outbox/{}", sent.key)] {
            let document = house.want(200, &line, "").await.json();
            let ids = document.as_object().unwrap().keys().filter(|key| key.ends_with("-id"));
            let ids: Vec<_> =
                ids.filter(|key| ["sqs-id", "kafka-id", "amqp-id"].contains(&key.as_str())).collect();
            assert_eq!((ids, &document[id]), (vec![&id.to_owned()], &json!("there-0-7")), "{line}");
        }
        let listed = house.want(200, "GET /outbox?state=due", "").await.json();
        let entries = listed["entries"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["entry"] == json!(waiting.key.to_string())).unwrap();
        assert_eq!(entry.get(id), Some(&Value::Null), "{entry}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_road_to_the_outbox_asks_for_its_right() {
    let house = House::start().await;
    let queue = house.queue("orders").await;
    let entry = house.put(parked(queue, record(), 1)).await;
    let later = Timestamp::now() + SignedDuration::from_hours(24);
    let message = house.put(scheduled(queue, later)).await;
    let check = async |scope: &str, line: &str, status: u16| {
        let key = house.store.key(&[scope]).await;
        let answer = house.ask_as(&key, line, r#"{"note":"x"}"#).await;
        assert_eq!(answer.status, status, "{scope} {line}: {}", answer.text);
    };
    let (of_entry, of_message) =
        (format!("/outbox/{}", entry.key), format!("/message/{}", message.message_id));
    let ghost = "/message/0BF01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for (scope, line, status) in [
        ("dead-letter:write", "GET /outbox".to_owned(), 403),
        ("dead-letter:read", "GET /outbox".to_owned(), 200),
        ("dead-letter:write", format!("GET {of_entry}"), 403),
        ("dead-letter:read", format!("GET {of_entry}"), 200),
        ("dead-letter:read", format!("POST {of_entry}/redrive"), 403),
        ("dead-letter:read", format!("POST {of_entry}/discard"), 403),
        ("queue:publish:*", format!("POST {of_entry}/discard"), 403),
        ("dead-letter:write", "POST /outbox/nothing/discard".to_owned(), 404),
        ("dead-letter:write", format!("POST {of_entry}/discard"), 200),
        ("queue:publish:other", format!("GET {of_message}"), 403),
        ("queue:publish:orders", format!("GET {of_message}"), 200),
        ("dead-letter:read", format!("GET {of_message}"), 200),
        ("queue:publish:orders", format!("GET {ghost}"), 403),
        ("queue:publish:*", format!("GET {ghost}"), 404),
        ("dead-letter:read", format!("GET {ghost}"), 404),
        ("dead-letter:read", format!("DELETE {of_message}"), 403),
        ("dead-letter:write", format!("DELETE {of_message}"), 403),
        ("queue:publish:other", format!("DELETE {of_message}"), 403),
        ("queue:publish:other", format!("DELETE {ghost}"), 403),
        ("queue:publish:orders", format!("DELETE {of_message}"), 204),
    ] {
        check(scope, &line, status).await;
    }
}

//! Entries for the tests of the outbox, and what must hold of every item of theirs at any time.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    ApiName, EntryKey, EntryOrigin, EntryState, LinkId, Operation, OutboxEntry, RecordId, TablePrefix,
};
use jiff::{SignedDuration, Timestamp};

use crate::house::{House, message_id, queue_id};

pub(crate) fn table() -> TablePrefix {
    TablePrefix::nth(7).unwrap()
}

pub(crate) fn record() -> RecordId {
    RecordId::new(table(), 4, Timestamp::now(), &mut rand::rng())
}

pub(crate) fn link(number: u32) -> LinkId {
    LinkId { table: table(), number }
}

pub(crate) fn secs(secs: i64) -> SignedDuration {
    SignedDuration::from_secs(secs)
}

/// The due entry of a write as its transaction would leave it.
pub(crate) fn entry(house: &House, record: RecordId, link_number: u32, version: u64) -> OutboxEntry {
    let now = house.hands.clock().now();
    OutboxEntry {
        key: EntryKey::Link { record, link: link(link_number), version },
        message_id: message_id(),
        queue: queue_id(),
        body: r#"{"a":1}"#.into(),
        ordering_key: Some(record.to_string()),
        ordered: true,
        origin: Some(EntryOrigin {
            table: ApiName::parse("Order").unwrap(),
            operation: Operation::Update,
            depth: 2,
        }),
        round: 0,
        notes: vec!["the hole at 'to' could not be computed".into()],
        state: EntryState::Due,
        failures: 0,
        lease: 0,
        committed_at: now,
        next_attempt_at: Some(now + secs(60)),
        reason: None,
        engine_id: None,
    }
}

/// A message for a date, `after_secs` from now.
pub(crate) fn scheduled(house: &House, after_secs: i64) -> OutboxEntry {
    let entry = entry(house, record(), 1, 1);
    OutboxEntry {
        key: EntryKey::Scheduled(entry.message_id),
        origin: None,
        state: EntryState::Scheduled,
        next_attempt_at: Some(entry.committed_at + secs(after_secs)),
        ..entry
    }
}

/// Stores the entry as a transaction would, and gives it.
pub(crate) async fn stored(house: &House, entry: OutboxEntry) -> OutboxEntry {
    house.outbox().schedule(&entry).await.unwrap();
    entry
}

/// The entry as it is now, after a look at all items: each stands in the index exactly while something is left to do for it,
/// under its own group, and only what is done with will be cleaned away, its parts with it.
pub(crate) async fn now(house: &House, key: &EntryKey) -> OutboxEntry {
    let pages = house.client.scan().table_name("outbox").consistent_read(true).into_paginator();
    let items: Vec<_> = pages.items().send().try_collect().await.unwrap();
    let text = |item: &HashMap<String, AttributeValue>, name: &str| {
        item.get(name).map(|value| value.as_s().unwrap().clone()).unwrap_or_default()
    };
    let mut done: HashMap<String, bool> = HashMap::new();
    for item in items.iter().filter(|item| item.contains_key("state")) {
        let state = EntryState::of_word(&text(item, "state")).unwrap();
        let group = match state {
            EntryState::Due | EntryState::Held | EntryState::Scheduled => "due",
            EntryState::Parked => "parked",
            EntryState::Published | EntryState::Discarded => "",
        };
        assert_eq!(text(item, "due").split('#').next().unwrap(), group, "{item:?}");
        assert_eq!(item.contains_key("next-attempt-at"), !group.is_empty(), "{item:?}");
        assert_eq!(item.contains_key("due-since"), !group.is_empty(), "{item:?}");
        assert_eq!(item.contains_key("expires-at"), state == EntryState::Published, "{item:?}");
        done.insert(text(item, "pk") + &text(item, "sk")[1..], state == EntryState::Published);
    }
    for part in items.iter().filter(|item| !item.contains_key("state")) {
        let sk = text(part, "sk");
        let (own, _) = sk[1..].rsplit_once('#').unwrap();
        assert_eq!(part.contains_key("expires-at"), done[&(text(part, "pk") + own)], "{sk}");
    }
    house.outbox().entry(key).await.unwrap().unwrap()
}

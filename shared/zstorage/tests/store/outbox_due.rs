//! What is asked by time: what is due, what was given up, how much there is of it.

use std::collections::HashSet;

use domain::{EntryKey, EntryState, OutboxEntry};
use futures::StreamExt;
use futures::stream;
use zstorage::{Cancelled, Cursor, Lag, Outbox, OutboxGroup, OutboxPlace};

use crate::house::{House, message_id};
use crate::outbox_house::{entry, now, record, scheduled, stored};

async fn all_due(outbox: &Outbox) -> Vec<EntryKey> {
    let mut keys = Vec::new();
    for shard in 0..Outbox::SHARDS {
        let mut after = None;
        loop {
            let page = outbox.due_keys(shard, after).await.unwrap();
            keys.extend(page.keys);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_due_entries_are_all_seen_once_those_of_one_moment_too() {
    let house = House::new().await;
    let outbox = house.outbox();
    let crowded = record();
    // Half of them of one record, so in one shard; all of the same moment.
    let crowd = (0..500).map(|version| entry(&house, crowded, 1, version));
    let spread = (0..500).map(|_| entry(&house, record(), 1, 1));
    let mut entries: Vec<OutboxEntry> = crowd.chain(spread).collect();
    entries.extend((0..20).map(|_| scheduled(&house, 60)));
    let expect: HashSet<EntryKey> = entries.iter().map(|entry| entry.key).collect();
    let later: Vec<OutboxEntry> = (0..20).map(|_| scheduled(&house, 61)).collect();
    let storing = entries.iter().chain(&later).map(|entry| outbox.schedule(entry));
    let stored: Vec<_> = stream::iter(storing.collect::<Vec<_>>()).buffer_unordered(16).collect().await;
    assert!(stored.iter().all(Result::is_ok));
    assert_eq!(all_due(&outbox).await, []);
    house.hands.turn_secs(60);
    let seen = all_due(&outbox).await;
    assert_eq!(seen.len(), expect.len());
    assert_eq!(seen.iter().copied().collect::<HashSet<_>>(), expect);
    // What is leased between two pages is not seen, and nothing else is missed.
    let taken = EntryKey::Link { record: crowded, link: crate::outbox_house::link(1), version: 499 };
    outbox.lease(&taken, 60).await.unwrap().unwrap();
    assert_eq!(all_due(&outbox).await.len(), expect.len() - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_listed_by_group_page_by_page_without_their_bodies() {
    let house = House::new().await;
    let outbox = house.outbox();
    let mut parked = HashSet::new();
    for version in 0..25 {
        let body = if version == 3 { "x".repeat(301 * 1024) } else { "x".into() };
        let due = stored(&house, OutboxEntry { body, ..entry(&house, record(), 1, version) }).await;
        outbox.park(&due, "boom").await.unwrap();
        parked.insert(due.key);
    }
    let due = stored(&house, entry(&house, record(), 1, 1)).await;
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = outbox.list(OutboxGroup::Parked, 7, cursor.as_ref()).await.unwrap();
        assert!(page.items.iter().all(|entry| entry.state == EntryState::Parked && entry.body.is_empty()));
        assert_eq!(page.items.len(), if page.next.is_some() { 7 } else { 4 });
        seen.extend(page.items.into_iter().map(|entry| entry.key));
        let Some(next) = page.next else { break };
        // As it comes back from a caller.
        cursor = Some(Cursor::of::<OutboxPlace>(&next.to_string()).unwrap());
    }
    assert_eq!(seen.len(), 25);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>(), parked);
    let page = outbox.list(OutboxGroup::Due, 7, None).await.unwrap();
    assert_eq!((page.items, page.next), (vec![OutboxEntry { body: String::new(), ..due }], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_counted_and_the_oldest_of_it_tells_the_lag() {
    let house = House::new().await;
    let outbox = house.outbox();
    assert_eq!(outbox.measure().await.unwrap(), Lag::default());
    let far = stored(&house, scheduled(&house, 5000)).await;
    let parked = stored(&house, entry(&house, record(), 1, 1)).await;
    outbox.park(&parked, "boom").await.unwrap();
    house.hands.turn_secs(1000);
    // Nobody waits for what was given up, nor before a date.
    let counts = Lag { scheduled: 1, parked: 1, ..Lag::default() };
    assert_eq!(outbox.measure().await.unwrap(), counts);
    let due = stored(&house, entry(&house, record(), 1, 1)).await;
    let held = entry(&house, record(), 1, 1);
    stored(&house, OutboxEntry { state: EntryState::Held, ..held }).await;
    house.hands.turn_secs(300);
    outbox.redrive(&parked.key).await.unwrap();
    house.hands.turn_secs(10);
    // A failure postpones it, but it waits all the same.
    let due = outbox.lease(&due.key, 60).await.unwrap().unwrap();
    outbox.postpone(&due, "boom", due.committed_at, true).await.unwrap();
    let counts = Lag { oldest_due_secs: 310, due: 2, held: 1, scheduled: 1, parked: 0 };
    assert_eq!(outbox.measure().await.unwrap(), counts);
    house.hands.turn_secs(5000);
    outbox.published(&due, "sqs-1", Some(1)).await.unwrap();
    outbox.published(&far, "sqs-2", Some(0)).await.unwrap();
    let counts = Lag { oldest_due_secs: 5310, due: 1, held: 1, ..Lag::default() };
    assert_eq!(outbox.measure().await.unwrap(), counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_message_is_cancelled_until_somebody_begins_to_send_it() {
    let house = House::new().await;
    let outbox = house.outbox();
    for body in ["{}".to_owned(), "x".repeat(400 * 1024)] {
        let later = stored(&house, OutboxEntry { body, ..scheduled(&house, 60) }).await;
        // Asked for again, as after an answer that was lost: it stays as it is.
        stored(&house, OutboxEntry { body: "other".into(), ..later.clone() }).await;
        assert!(now(&house, &later.key).await == later);
        let cancels = (0..5).map(|_| outbox.cancel(later.message_id));
        let answers = futures::future::join_all(cancels).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == Cancelled::Done));
        let cancelled = now(&house, &later.key).await;
        assert_eq!(cancelled.state, EntryState::Discarded);
        house.hands.turn_secs(60);
        assert_eq!(outbox.lease(&later.key, 60).await.unwrap(), None);
        assert_eq!(outbox.cancel(later.message_id).await.unwrap(), Cancelled::Done);
    }
    let leased = stored(&house, scheduled(&house, 0)).await;
    outbox.lease(&leased.key, 60).await.unwrap().unwrap();
    assert_eq!(outbox.cancel(leased.message_id).await.unwrap(), Cancelled::TooLate);
    let discarded = stored(&house, scheduled(&house, 0)).await;
    outbox.park(&discarded, "boom").await.unwrap();
    assert_eq!(outbox.cancel(discarded.message_id).await.unwrap(), Cancelled::TooLate);
    outbox.discard(&discarded.key, "no").await.unwrap();
    assert_eq!(outbox.cancel(discarded.message_id).await.unwrap(), Cancelled::TooLate);
    assert_eq!(outbox.cancel(message_id()).await.unwrap(), Cancelled::Unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_rings_with_new_images_cleans_by_time_and_its_index_is_sparse_and_small() {
    let house = House::new().await;
    let table = house.client.describe_table().table_name("outbox").send().await.unwrap().table.unwrap();
    let stream = table.stream_specification().unwrap();
    assert!(stream.stream_enabled());
    assert_eq!(stream.stream_view_type().unwrap().as_str(), "NEW_IMAGE");
    let [index] = table.global_secondary_indexes() else { panic!("one index: {table:?}") };
    let projection = index.projection().unwrap();
    assert_eq!(projection.projection_type().unwrap().as_str(), "INCLUDE");
    assert_eq!(projection.non_key_attributes(), ["state", "due-since"]);
    let ttl = house.client.describe_time_to_live().table_name("outbox").send().await.unwrap();
    let ttl = ttl.time_to_live_description.unwrap();
    assert_eq!(ttl.attribute_name(), Some("expires-at"));
    assert_eq!(ttl.time_to_live_status().unwrap().as_str(), "ENABLED");
}

//! The life of an entry: leased, published, postponed, parked, each only by who may.

use domain::{EntryState, OutboxEntry};
use futures::future::join_all;

use crate::house::House;
use crate::outbox_house::{entry, now, record, scheduled, secs, stored};

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_any_length_comes_back_whole_and_is_cleaned_away_whole() {
    let naughty = "\0\u{b}\u{fffe}\u{feff}\u{202e}\"\\ é漢😀 \u{7f}\r\n";
    let lengths = [1, 299 * 1024, 300 * 1024, 301 * 1024, 1024 * 1024 - 2048];
    let bodies = lengths.map(|bytes| "x".repeat(bytes)).into_iter();
    for body in bodies.chain([naughty.to_owned(), "漢é".repeat(200_000)]) {
        let house = House::new().await;
        let due = stored(&house, OutboxEntry { body, ..entry(&house, record(), 1, 1) }).await;
        assert!(now(&house, &due.key).await == due);
        let (seen, before) = house.outbox().with_predecessor(&due.key).await.unwrap();
        assert!((seen, before) == (Some(due.clone()), None));
        house.hands.turn_secs(60);
        let leased = house.outbox().lease(&due.key, 60).await.unwrap().unwrap();
        assert!(leased.body == due.body && leased.lease == 1);
        assert!(house.outbox().published(&leased, "sqs-1", Some(1)).await.unwrap());
        let published = now(&house, &due.key).await;
        assert_eq!(published.state, EntryState::Published);
        assert!(published.body == due.body && published.engine_id.as_deref() == Some("sqs-1"));
        assert_eq!(published.next_attempt_at, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_an_entry_one_has_it_until_its_lease_is_over() {
    let house = House::new().await;
    let due = stored(&house, entry(&house, record(), 1, 1)).await;
    assert_eq!(house.outbox().lease(&due.key, 60).await.unwrap(), None, "its time has not come");
    house.hands.turn_secs(60);
    for lease in 1..4 {
        let outboxes: Vec<_> = (0..20).map(|_| house.outbox()).collect();
        let leases = join_all(outboxes.iter().map(|outbox| outbox.lease(&due.key, 30))).await;
        let won: Vec<OutboxEntry> = leases.into_iter().filter_map(Result::unwrap).collect();
        let until = house.hands.clock().now() + secs(30);
        let expect = OutboxEntry { lease, next_attempt_at: Some(until), ..due.clone() };
        assert_eq!(won, [expect]);
        house.hands.turn_secs(30);
    }
    let unknown = entry(&house, record(), 1, 1);
    assert_eq!(house.outbox().lease(&unknown.key, 30).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_of_the_stream_after_a_lease_counts_only_while_the_entry_is_due() {
    let house = House::new().await;
    let outbox = house.outbox();
    // The sweeper has it, but has not marked it: the stream's message is on its queue, so it is published.
    let due = stored(&house, entry(&house, record(), 1, 1)).await;
    house.hands.turn_secs(60);
    let leased = outbox.lease(&due.key, 60).await.unwrap().unwrap();
    assert!(outbox.published(&due, "by the stream", None).await.unwrap());
    assert!(!outbox.published(&leased, "by the sweeper", Some(leased.lease)).await.unwrap());
    assert!(!outbox.published(&due, "by the stream again", None).await.unwrap());
    assert!(!outbox.park(&leased, "boom").await.unwrap());
    assert!(!outbox.postpone(&leased, "boom", due.committed_at, true).await.unwrap());
    let published = now(&house, &due.key).await;
    assert_eq!(published.engine_id.as_deref(), Some("by the stream"));
    // The sweeper has given it up: only a person brings it back.
    let due = stored(&house, entry(&house, record(), 1, 1)).await;
    assert!(outbox.park(&due, "boom").await.unwrap());
    assert!(!outbox.published(&due, "by the stream", None).await.unwrap());
    assert_eq!(now(&house, &due.key).await.state, EntryState::Parked);
    // What is scheduled is never the stream's, and what is held is published with its record alone.
    let later = stored(&house, scheduled(&house, 0)).await;
    let due = entry(&house, record(), 1, 1);
    let held = stored(&house, OutboxEntry { state: EntryState::Held, ..due }).await;
    for kept in [&later, &held] {
        assert!(!outbox.published(kept, "by the stream", None).await.unwrap());
    }
    assert!(!outbox.published(&held, "by the sweeper", Some(0)).await.unwrap());
    assert!(!outbox.park(&held, "boom").await.unwrap());
    assert!(outbox.published(&later, "by the sweeper", Some(0)).await.unwrap());
    assert_eq!(now(&house, &held.key).await, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_with_an_old_fence_changes_nothing() {
    let house = House::new().await;
    let outbox = house.outbox();
    let due = stored(&house, entry(&house, record(), 1, 1)).await;
    house.hands.turn_secs(60);
    let slow = outbox.lease(&due.key, 60).await.unwrap().unwrap();
    house.hands.turn_secs(60);
    let quick = outbox.lease(&due.key, 60).await.unwrap().unwrap();
    let before = now(&house, &due.key).await;
    for late in [&due, &slow] {
        assert!(!outbox.published(late, "late", Some(late.lease)).await.unwrap());
        assert!(!outbox.park(late, "late").await.unwrap());
        assert!(!outbox.postpone(late, "late", due.committed_at, true).await.unwrap());
    }
    // Nor does who means another message of the same key: a write that was undone leaves its key to the next one.
    let other = OutboxEntry { message_id: crate::house::message_id(), ..quick.clone() };
    assert!(!outbox.published(&other, "other", Some(2)).await.unwrap());
    assert!(!outbox.park(&other, "other").await.unwrap());
    assert_eq!(now(&house, &due.key).await, before);
    assert!(outbox.published(&quick, "quick", Some(quick.lease)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_counted_once_and_waiting_is_none() {
    let house = House::new().await;
    let outbox = house.outbox();
    let due = stored(&house, entry(&house, record(), 1, 1)).await;
    let until = due.committed_at + secs(3600);
    // The stream brings a batch twice.
    assert!(outbox.postpone(&due, "the queue is gone", until, true).await.unwrap());
    assert!(!outbox.postpone(&due, "the queue is gone", until, true).await.unwrap());
    let failed = now(&house, &due.key).await;
    let expect = OutboxEntry {
        failures: 1,
        reason: Some("the queue is gone".into()),
        next_attempt_at: Some(until),
        ..due.clone()
    };
    assert_eq!(failed, expect);
    assert!(outbox.postpone(&failed, "it waits", until + secs(1), false).await.unwrap());
    assert_eq!(now(&house, &due.key).await.failures, 1);
    house.hands.turn_secs(3601);
    let leased = outbox.lease(&due.key, 60).await.unwrap().unwrap();
    assert!(outbox.park(&leased, &"é".repeat(9000)).await.unwrap());
    let parked = now(&house, &due.key).await;
    assert_eq!((parked.state, parked.failures, parked.next_attempt_at), (EntryState::Parked, 2, None));
    assert_eq!(parked.reason.unwrap().len(), 4000);
    assert_eq!(outbox.lease(&due.key, 60).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_or_scheduled_is_leased_and_postponed_like_what_is_due() {
    let house = House::new().await;
    let outbox = house.outbox();
    let held = entry(&house, record(), 1, 1);
    let held = stored(&house, OutboxEntry { state: EntryState::Held, ..held }).await;
    let later = stored(&house, scheduled(&house, 60)).await;
    house.hands.turn_secs(60);
    for kept in [&held, &later] {
        let leased = outbox.lease(&kept.key, 60).await.unwrap().unwrap();
        assert_eq!((leased.state, leased.lease), (kept.state, 1));
        assert!(outbox.postpone(&leased, "boom", leased.committed_at + secs(600), true).await.unwrap());
        let postponed = now(&house, &kept.key).await;
        assert_eq!((postponed.state, postponed.failures), (kept.state, 1));
    }
}

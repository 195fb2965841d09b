//! Entries of one record and one link stand in the order of its versions.

use domain::{EntryKey, EntryState, OutboxEntry};
use jiff::SignedDuration;
use zstorage::{Discarded, Redriven};

use crate::house::House;
use crate::outbox_house::{entry, now, record, scheduled, secs, stored};
use crate::troubled::{Trouble, Troubled};

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_and_the_one_before_it_are_one_read_among_other_links_and_long_bodies() {
    let house = House::new().await;
    let (record, other) = (record(), record());
    let long = "x".repeat(700 * 1024);
    for (record, link, version) in
        [(record, 1, 3), (record, 1, 9), (record, 1, 10), (record, 2, 4), (record, 10, 8), (other, 1, 9)]
    {
        let body = if version == 9 { long.clone() } else { "{}".into() };
        stored(&house, OutboxEntry { body, ..entry(&house, record, link, version) }).await;
    }
    let first = now(&house, &entry(&house, record, 1, 3).key).await;
    assert!(house.outbox().published(&first, "sqs-1", None).await.unwrap());
    let troubled = Troubled::told(&[]);
    let outbox = zstorage::Outbox::new(troubled.client(&house), "outbox".into(), house.hands.clock());
    let check =
        async |link: u32, version: u64, is_there: bool, before: Option<EntryState>, calls: &[&str]| {
            let key = entry(&house, record, link, version).key;
            let (own, state) = outbox.with_predecessor(&key).await.unwrap();
            assert_eq!((own.is_some(), state), (is_there, before), "link {link} version {version}");
            assert!(own.is_none_or(|own| own.key == key && (version != 9 || own.body == long)));
            assert_eq!(troubled.take_calls(), calls);
        };
    check(1, 3, true, None, &["Query"]).await;
    // Its body is in parts, which never change, so that they may be read apart.
    check(1, 9, true, Some(EntryState::Published), &["Query", "BatchGetItem"]).await;
    check(1, 10, true, Some(EntryState::Due), &["Query"]).await;
    check(2, 4, true, None, &["Query"]).await;
    check(10, 8, true, None, &["Query"]).await;
    // Gone, with those before it and without.
    check(1, 11, false, Some(EntryState::Due), &["Query"]).await;
    check(1, 2, false, None, &["Query"]).await;
    let successor = async |version: u64| {
        let next = outbox.successor(&entry(&house, record, 1, version).key).await.unwrap();
        next.map(|next| next.key)
    };
    assert_eq!(successor(1).await, Some(entry(&house, record, 1, 3).key));
    assert_eq!(successor(3).await, Some(entry(&house, record, 1, 9).key));
    assert_eq!(successor(10).await, None);
    let later = stored(&house, scheduled(&house, 60)).await;
    assert_eq!(outbox.with_predecessor(&later.key).await.unwrap(), (Some(later.clone()), None));
    assert_eq!(outbox.successor(&later.key).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_waits_after_a_failure_is_hurried_in_its_own_round() {
    let house = House::new().await;
    let outbox = house.outbox();
    let due = stored(&house, entry(&house, record(), 1, 1)).await;
    house.hands.turn_secs(60);
    let leased = outbox.lease(&due.key, 60).await.unwrap().unwrap();
    let far = house.hands.clock().now() + SignedDuration::from_hours(10);
    assert!(outbox.postpone(&leased, "boom", far, true).await.unwrap());
    assert_eq!(outbox.redrive(&due.key).await.unwrap(), Redriven::Done { round: 0 });
    let hurried = now(&house, &due.key).await;
    let at = Some(house.hands.clock().now());
    assert_eq!((hurried.next_attempt_at, hurried.failures, hurried.lease), (at, 1, 1));
    assert!(outbox.lease(&due.key, 60).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_entry_goes_again_in_its_next_round_and_fences_are_never_used_twice() {
    let house = House::new().await;
    let outbox = house.outbox();
    let due = stored(&house, entry(&house, record(), 1, 1)).await;
    assert_eq!(outbox.redrive(&due.key).await.unwrap(), Redriven::NotParked(EntryState::Due));
    house.hands.turn_secs(60);
    let leased = outbox.lease(&due.key, 60).await.unwrap().unwrap();
    outbox.park(&leased, "boom").await.unwrap();
    house.hands.turn_secs(1000);
    assert_eq!(outbox.redrive(&due.key).await.unwrap(), Redriven::Done { round: 1 });
    let again = now(&house, &due.key).await;
    let at = house.hands.clock().now();
    let expect = OutboxEntry { round: 1, lease: 1, next_attempt_at: Some(at), ..due.clone() };
    assert_eq!(again, expect);
    assert_eq!(outbox.lease(&due.key, 60).await.unwrap().unwrap().lease, 2);
    assert!(!outbox.published(&leased, "late", Some(1)).await.unwrap());
    let unknown = entry(&house, record(), 1, 1).key;
    assert_eq!(outbox.redrive(&unknown).await.unwrap(), Redriven::Missing);
    assert_eq!(outbox.discard(&unknown, "no").await.unwrap(), Discarded::Missing);
}

/// A parked entry and the next one of the same record and link, which waits an hour.
async fn parked_and_waiting(house: &House, waiting: OutboxEntry) -> (EntryKey, EntryKey) {
    let outbox = house.outbox();
    let record = waiting.key.record().unwrap();
    let parked = OutboxEntry { body: "x".repeat(400 * 1024), ..entry(house, record, 1, 1) };
    let parked = stored(house, parked).await;
    outbox.park(&parked, "boom").await.unwrap();
    let until = waiting.committed_at + secs(3600);
    let waiting = stored(house, OutboxEntry { next_attempt_at: Some(until), ..waiting }).await;
    (parked.key, waiting.key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_entry_lets_the_one_behind_it_go_at_once() {
    let house = House::new().await;
    let (outbox, at) = (house.outbox(), house.hands.clock().now());
    let in_an_hour = Some(at + secs(3600));
    let check = async |state: EntryState, lease: u64, expect| {
        let waiting = OutboxEntry { state, lease, ..entry(&house, record(), 1, 5) };
        let (parked, waiting) = parked_and_waiting(&house, waiting).await;
        assert_eq!(outbox.discard(&parked, "nobody wants it").await.unwrap(), Discarded::Done);
        let discarded = now(&house, &parked).await;
        let told = (discarded.state, discarded.reason.as_deref());
        assert_eq!(told, (EntryState::Discarded, Some("nobody wants it")));
        assert_eq!(now(&house, &waiting).await.next_attempt_at, expect, "{state:?} {lease}");
        let again = outbox.discard(&parked, "again").await.unwrap();
        assert_eq!(again, Discarded::NotParked(EntryState::Discarded));
    };
    check(EntryState::Due, 0, Some(at)).await;
    check(EntryState::Due, 3, Some(at)).await;
    check(EntryState::Held, 3, Some(at)).await;
    // Its writer is at it: a lease would take the way back from it.
    check(EntryState::Held, 0, in_an_hour).await;
    // What is sent already is left alone.
    let (parked, sent) = parked_and_waiting(&house, entry(&house, record(), 1, 5)).await;
    let waiting = now(&house, &sent).await;
    assert!(outbox.published(&waiting, "sqs-1", None).await.unwrap());
    assert_eq!(outbox.discard(&parked, "no").await.unwrap(), Discarded::Done);
    assert_eq!(now(&house, &sent).await.state, EntryState::Published);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discard_meets_others_who_change_what_it_has_read() {
    let house = std::sync::Arc::new(House::new().await);
    // The one behind it is leased after it was read: it is read again, and is due now all the same.
    let (parked, waiting) = parked_and_waiting(&house, entry(&house, record(), 1, 5)).await;
    let (there, key) = (house.clone(), waiting);
    let troubled = Troubled::meanwhile(2, async move {
        there.hands.turn_secs(3600);
        there.outbox().lease(&key, 60).await.unwrap().unwrap();
    });
    let outbox = zstorage::Outbox::new(troubled.client(&house), "outbox".into(), house.hands.clock());
    assert_eq!(outbox.discard(&parked, "no").await.unwrap(), Discarded::Done);
    let woken = now(&house, &waiting).await;
    assert_eq!((woken.lease, woken.next_attempt_at), (1, Some(house.hands.clock().now())));
    // It is set due after it was read: then it is discarded no more.
    let (parked, _) = parked_and_waiting(&house, entry(&house, record(), 1, 5)).await;
    let there = house.clone();
    let troubled = Troubled::meanwhile(2, async move {
        assert_eq!(there.outbox().redrive(&parked).await.unwrap(), Redriven::Done { round: 1 });
    });
    let outbox = zstorage::Outbox::new(troubled.client(&house), "outbox".into(), house.hands.clock());
    assert_eq!(outbox.discard(&parked, "no").await.unwrap(), Discarded::NotParked(EntryState::Due));
    // Its answer is lost, twice.
    let (parked, _) = parked_and_waiting(&house, entry(&house, record(), 1, 5)).await;
    let troubles = [Trouble::None, Trouble::None, Trouble::LostAfter, Trouble::LostAfter];
    let client = Troubled::told(&troubles).client(&house);
    let outbox = zstorage::Outbox::new(client, "outbox".into(), house.hands.clock());
    assert_eq!(outbox.discard(&parked, "no").await.unwrap(), Discarded::Done);
}

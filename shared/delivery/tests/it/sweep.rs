use std::time::Duration;

use domain::EntryState;
use tokio::time::timeout;

use crate::engine::Mood;
use crate::house::{House, LONG, outbox_link};

#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_alone_delivers_what_the_stream_never_brought() {
    let house = House::start().await;
    let (events, ordered) = (house.queue("events").await, house.queue("events-fifo").await);
    let table = house.students(vec![outbox_link(1, &events), outbox_link(2, &ordered)]).await;
    // An hour without the stream: a write and a sweep in each minute.
    let (mut keys, mut sent) = (Vec::new(), 0);
    for number in 0..60 {
        keys.extend(house.create(&table, &number.to_string()).await.1);
        let swept = house.sweep().await;
        // What is younger than a minute is not the sweeper's yet, and nothing older waits.
        let expect = if number == 0 { 0 } else { 2 };
        assert_eq!(
            (swept.sent, swept.postponed, swept.parked, swept.left),
            (expect, 0, 0, 0),
            "minute {number}"
        );
        sent += swept.sent;
        house.hands.turn_secs(60);
    }
    sent += house.sweep().await.sent;
    assert_eq!(sent, 120);
    assert_eq!(house.engine.bodies("events").len() + house.engine.bodies("events-fifo").len(), 120);
    assert_eq!(house.states(&keys).await, [EntryState::Published; 120]);
    assert_eq!(house.sweep().await.sent, 0);
}

/// What is due of one record lies together: more of it than one page holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_takes_every_page_of_what_is_due() {
    let house = House::start().await;
    let (events, ordered) = (house.queue("events").await, house.queue("events-fifo").await);
    let table = house.students(vec![outbox_link(1, &events), outbox_link(2, &ordered)]).await;
    let (record, _) = house.create(&table, "n1").await;
    for number in 2..=110 {
        house.rename(&table, record, &format!("n{number}")).await;
    }
    house.hands.turn_secs(3600);
    assert_eq!(house.sweep().await.left, 0);
    let names: Vec<String> = (1..=110).map(|number| format!("\"n{number}\"")).collect();
    assert_eq!(house.engine.bodies("events").len(), 110);
    assert_eq!(house.engine.bodies("events-fifo"), names);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_met_with_longer_and_longer_pauses_and_the_twelfth_parks() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let (_, keys) = house.create(&table, "a").await;
    house.engine.mood(Mood::Refusing);
    for failures in 1..12_u32 {
        house.hands.turn_secs(60.max(house.pause_secs(&keys[0]).await));
        let swept = house.sweep().await;
        assert_eq!((swept.postponed, swept.parked), (1, 0), "failure {failures}");
        let step = (60_i64 << (failures - 1)).min(36_000);
        let pause = house.pause_secs(&keys[0]).await;
        assert!((step / 2..=step).contains(&pause), "failure {failures}: {pause} s");
        assert_eq!(house.entry(&keys[0]).await.failures, failures);
    }
    house.hands.turn_secs(house.pause_secs(&keys[0]).await);
    assert_eq!(house.sweep().await.parked, 1);
    let parked = house.entry(&keys[0]).await;
    assert_eq!((parked.state, parked.failures), (EntryState::Parked, 12));
    assert!(parked.reason.unwrap().contains("AccessDenied"));
    house.hands.turn_secs(100_000);
    assert_eq!(house.sweep().await, delivery::Swept::default());
}

impl House {
    /// Waits until so many of these entries are not leased, but postponed.
    async fn turned_back(&self, keys: &[domain::EntryKey], many: usize) {
        let mut turned_back = 0;
        while turned_back < many {
            turned_back = 0;
            for key in keys {
                let entry = self.entry(key).await;
                let is_not_tried = entry.reason.is_some_and(|reason| reason.contains("was not tried"));
                turned_back += usize::from(entry.lease == 2 && is_not_tried);
            }
        }
    }

    /// So long until the entry is looked at again, seconds.
    async fn pause_secs(&self, key: &domain::EntryKey) -> i64 {
        let next = self.entry(key).await.next_attempt_at.unwrap();
        next.duration_since(self.hands.clock().now()).as_secs()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_sweeper_marks_nothing() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let (_, keys) = house.create(&table, "a").await;
    // Its door is known already, so that what it asks next is the send.
    let slow = house.courier();
    let (_, warm) = house.create(&table, "warm").await;
    slow.ring(house.seen(&warm).await, LONG).await;
    house.hands.turn_secs(60);
    for refuses in [false, true] {
        let gate = house.engine.hold_every("SendMessage");
        let slow = slow.clone();
        let sweeping = tokio::spawn(async move { slow.sweep(LONG).await });
        house.engine.held().await;
        // Its lease is over, and another one has the entry; then its answer comes.
        house.hands.turn_secs(61);
        let taken = house.outbox.lease(&keys[0], 60).await.unwrap().unwrap();
        if refuses {
            house.engine.mood(Mood::Refusing);
        }
        gate.notify_one();
        let swept = sweeping.await.unwrap();
        assert_eq!((swept.sent, swept.postponed), (0, 0));
        assert_eq!(house.entry(&keys[0]).await, taken);
        house.hands.turn_secs(61);
    }
    house.engine.mood(Mood::Fine);
    assert_eq!(house.sweep().await.sent, 1);
    assert_eq!(house.state(&keys[0]).await, EntryState::Published);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sweepers_do_not_take_the_same_entries() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    for number in 0..40 {
        house.create(&table, &number.to_string()).await;
    }
    house.hands.turn_secs(60);
    let (one, other) = tokio::join!(house.sweep(), house.sweep());
    assert_eq!(one.sent + other.sent, 40);
    assert_eq!(house.engine.bodies("events").len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_without_time_leaves_all_for_the_next() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let (_, keys) = house.create(&table, "a").await;
    house.hands.turn_secs(60);
    let swept = house.courier().sweep(Duration::from_secs(1)).await;
    assert_eq!((swept.sent, swept.left), (0, 1));
    assert_eq!(house.entry(&keys[0]).await.lease, 0);
}

/// Loads go side by side: one probes, and what comes of it says nothing yet to the others.
#[tokio::test(flavor = "multi_thread")]
async fn once_a_queue_is_back_nothing_that_was_not_tried_counts_as_failed() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let mut keys = Vec::new();
    for number in 0..150 {
        keys.extend(house.create(&table, &number.to_string()).await.1);
    }
    house.engine.mood(Mood::Refusing);
    house.hands.turn_secs(60);
    let courier = house.courier();
    assert_eq!(courier.sweep(LONG).await.postponed, 150);
    house.engine.mood(Mood::Fine);
    house.hands.turn_secs(60);
    let gate = house.engine.hold_every("SendMessage");
    let sweeping = tokio::spawn({
        let courier = courier.clone();
        async move { courier.sweep(LONG).await }
    });
    // The probe is on its way until the others have been turned back.
    house.engine.held().await;
    let turned_back = house.turned_back(&keys, 100);
    timeout(Duration::from_secs(60), turned_back).await.expect("the others are not turned back");
    gate.notify_one();
    let swept = sweeping.await.unwrap();
    assert_eq!((swept.sent, swept.postponed), (50, 100));
    for key in &keys {
        assert_eq!(house.entry(key).await.failures, 1);
    }
    house.hands.turn_secs(60);
    assert_eq!(courier.sweep(LONG).await.sent, 100);
}

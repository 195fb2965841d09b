//! Answers that get lost, throttles, conflicts: what was done by this call is not taken for another's, and nothing is done twice.

use std::collections::BTreeSet;
use std::collections::HashMap;

use domain::{EntryState, OutboxEntry};
use zstorage::{Cancelled, Outbox, Redriven};

use crate::house::House;
use crate::outbox_house::{entry, now, record, scheduled, secs, stored};
use crate::troubled::{Trouble, Troubled};

/// An outbox whose calls meet these troubles.
fn troubled(house: &House, troubles: &[Trouble]) -> Outbox {
    Outbox::new(Troubled::told(troubles).client(house), "outbox".into(), house.hands.clock())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_was_lost_is_done_and_done_once() {
    let lost = [Trouble::LostAfter, Trouble::LostAfter];
    for body in ["{}".to_owned(), "x".repeat(400 * 1024)] {
        let house = House::new().await;
        let due = OutboxEntry { body, ..entry(&house, record(), 1, 1) };
        troubled(&house, &lost).schedule(&due).await.unwrap();
        house.hands.turn_secs(60);
        let leased = troubled(&house, &lost).lease(&due.key, 60).await.unwrap().unwrap();
        assert_eq!(leased.lease, 1);
        let until = house.hands.clock().now() + secs(60);
        assert!(troubled(&house, &lost).postpone(&leased, "boom", until, true).await.unwrap());
        assert_eq!(now(&house, &due.key).await.failures, 1);
        let failed = OutboxEntry { failures: 1, ..leased };
        assert!(troubled(&house, &lost).park(&failed, "boom").await.unwrap());
        let redriven = troubled(&house, &lost).redrive(&due.key).await.unwrap();
        assert_eq!(redriven, Redriven::Done { round: 1 });
        let again = now(&house, &due.key).await;
        assert!(troubled(&house, &lost).published(&again, "sqs-1", None).await.unwrap());
        assert!(!troubled(&house, &lost).published(&again, "sqs-2", None).await.unwrap());
        let later = stored(&house, OutboxEntry { body: due.body, ..scheduled(&house, 60) }).await;
        let head_first = [Trouble::None, Trouble::LostAfter, Trouble::LostAfter];
        let cancelled = troubled(&house, &head_first).cancel(later.message_id).await.unwrap();
        assert_eq!(cancelled, Cancelled::Done);
        now(&house, &later.key).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ones_change_is_not_taken_for_ours_though_our_answer_was_lost() {
    let house = House::new().await;
    let due = stored(&house, entry(&house, record(), 1, 1)).await;
    house.hands.turn_secs(60);
    // Ours never arrives, and the other one is quicker than our second try.
    let (there, key) = (house.outbox(), due.key);
    let meanwhile = Troubled::meanwhile(0, async move {
        there.lease(&key, 60).await.unwrap().unwrap();
    });
    let outbox = Outbox::new(meanwhile.client(&house), "outbox".into(), house.hands.clock());
    assert_eq!(outbox.lease(&due.key, 60).await.unwrap(), None);
    let (there, seen) = (house.outbox(), due.clone());
    let meanwhile = Troubled::meanwhile(0, async move {
        assert!(there.published(&seen, "theirs", None).await.unwrap());
    });
    let outbox = Outbox::new(meanwhile.client(&house), "outbox".into(), house.hands.clock());
    assert!(!outbox.published(&due, "ours", None).await.unwrap());
    assert_eq!(now(&house, &due.key).await.engine_id.as_deref(), Some("theirs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_any_trouble_no_fence_is_given_out_twice_and_a_mark_that_is_told_is_there() {
    let house = House::new().await;
    for seed in 0..6 {
        let body = if seed % 2 == 0 { "{}".to_owned() } else { "x".repeat(310 * 1024) };
        let due = stored(&house, OutboxEntry { body, ..entry(&house, record(), 1, 1) }).await;
        let mut fences: BTreeSet<u64> = BTreeSet::new();
        let mut told: HashMap<u64, bool> = HashMap::new();
        for turn in 0..12 {
            house.hands.turn_secs(60);
            let sweepers = (0..4).map(|sweeper| {
                let client = Troubled::by_chance(0.3, seed * 1000 + turn * 10 + sweeper).client(&house);
                Outbox::new(client, "outbox".into(), house.hands.clock())
            });
            let sweepers: Vec<Outbox> = sweepers.collect();
            let leases = sweepers.iter().map(|outbox| outbox.lease(&due.key, 50));
            let leases = futures::future::join_all(leases).await;
            for (outbox, leased) in sweepers.iter().zip(leases) {
                let Ok(Some(leased)) = leased else { continue };
                assert!(fences.insert(leased.lease), "seed {seed}: fence {} twice", leased.lease);
                if turn > 8
                    && let Ok(done) =
                        outbox.published(&leased, &leased.lease.to_string(), Some(leased.lease)).await
                {
                    told.insert(leased.lease, done);
                }
            }
        }
        let end = now(&house, &due.key).await;
        for fence in told.iter().filter(|(_, done)| **done).map(|(fence, _)| fence) {
            assert_eq!(end.state, EntryState::Published, "seed {seed}");
            assert_eq!(end.engine_id, Some(fence.to_string()), "seed {seed}");
        }
    }
}

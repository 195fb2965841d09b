//! The ledger: nothing that was written goes without its message, whoever is killed, and no message comes of nothing.
//!
//! In the manner of Jepsen's total-queue test: engines, writers, publisher, sweeper and workers are processes of their own, the
//! real binaries. The seed picks whom to kill and when, while writers write; afterwards all run undisturbed until nothing moves
//! any more, and the books are compared. Time is let pass in the outbox alone: what would be due in a minute is due at once.
//!
//! `LEDGER_WRITES`, `LEDGER_KILLS` and `LEDGER_SEED` make a long run of it, or the same one again.

mod book;
mod cast;
mod lambda;
mod world;
mod writers;

use world::{Plant, World};

const LEDGER: &str = "Ledger";
const EXACT: &str = "Exact";
const PLAIN: &str = "local-plain";
const ORDERED: &str = "local-ordered.fifo";
const STRICT: &str = "local-strict";

#[allow(clippy::disallowed_methods, reason = "a long run is asked for by hand")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_has_its_message_whoever_is_killed() {
    let seed = asked("LEDGER_SEED").unwrap_or_else(rand::random);
    let (writes, kills) = (asked("LEDGER_WRITES").unwrap_or(240), asked("LEDGER_KILLS").unwrap_or(15));
    println!("LEDGER_SEED={seed} LEDGER_WRITES={writes} LEDGER_KILLS={kills}");
    let world = World::start(seed, Plant::Nothing).await;
    world.write(writes, kills).await;
    world.drain().await;
    let (verdict, report) = (world.judge(), world.report());
    println!("{report}");
    assert!(means_something(kills, world.kills()), "the run killed too few to mean anything: {report}");
    assert!(verdict.is_clean(), "seed {seed}: {report}: {verdict:?}");
    world.stop().await;
}

/// Whether a run in which so many were to be killed, and so many were, says anything about killing. A process that was just killed
/// cannot be killed again, so some of the plan may come to nothing.
fn means_something(planned: u64, killed: u64) -> bool {
    killed > 0 && killed * 2 > planned
}

#[test]
fn a_run_that_killed_nothing_or_little_says_nothing() {
    let check = |planned, killed, expect| {
        assert_eq!(means_something(planned, killed), expect, "{killed} of {planned}")
    };
    check(0, 0, false);
    check(15, 0, false);
    check(15, 7, false);
    check(15, 8, true);
    check(200, 150, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_taken_away_is_missed() {
    let world = World::start(7, Plant::Loss).await;
    world.write(12, 0).await;
    world.drain_but(1).await;
    assert_eq!(world.judge().lost.len(), 1, "{:?}", world.judge());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_sent_again_under_another_id_is_noticed() {
    let world = World::start(8, Plant::Double).await;
    world.write(12, 0).await;
    world.drain().await;
    assert_eq!(world.judge().renamed.len(), 1, "{:?}", world.judge());
    world.stop().await;
}

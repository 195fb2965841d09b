//! Batches as a worker meets them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Mutex;
use std::time::{Duration, Instant};

use domain::{DeadReason, Outcome};
use proptest::prelude::*;
use tokio::sync::Barrier;
use worker::{BatchReport, Delivery, run};

const STRIKE: Outcome = Outcome::Retry { after_secs: 7, strike: true };
const RETURNED: Outcome = Outcome::Retry { after_secs: 1, strike: false };

/// `ids`: a letter for the group (`-` = none), then anything: `A1`, `-x`.
fn batch(ids: &[&str]) -> Vec<Delivery<String>> {
    ids.iter()
        .map(|id| Delivery {
            id: (*id).to_owned(),
            group: (!id.starts_with('-')).then(|| id[..1].to_owned()),
            message: (*id).to_owned(),
        })
        .collect()
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn failures(report: &BatchReport) -> Vec<&str> {
    report.failures().collect()
}

#[tokio::test]
async fn ten_messages_that_wait_for_each_other_all_finish() {
    let barrier = Barrier::new(10);
    let ids = ["-0", "-1", "-2", "-3", "-4", "-5", "-6", "-7", "-8", "-9"];
    let barrier = &barrier;
    let work = run(batch(&ids), 10, later(), |_| async move {
        barrier.wait().await;
        Outcome::Ack
    });
    let report = tokio::time::timeout(Duration::from_secs(30), work).await.unwrap();
    assert_eq!(report.settled.len(), 10);
    assert!(failures(&report).is_empty());
}

#[tokio::test]
async fn no_more_than_at_once_run_side_by_side() {
    let (now, most) = (Mutex::new(0_i32), Mutex::new(0_i32));
    let (now, most) = (&now, &most);
    let report = run(batch(&["-0", "-1", "-2", "-3", "-4", "-5"]), 2, later(), |_| async move {
        let running = {
            let mut now = now.lock().unwrap();
            *now += 1;
            *now
        };
        {
            let mut most = most.lock().unwrap();
            *most = running.max(*most);
        }
        tokio::task::yield_now().await;
        *now.lock().unwrap() -= 1;
        Outcome::Ack
    })
    .await;
    assert_eq!(report.settled.len(), 6);
    assert_eq!(*most.lock().unwrap(), 2);
}

#[tokio::test]
async fn of_ten_exactly_the_two_that_failed_come_back() {
    let ids = ["-0", "-1", "-2", "-3", "-4", "-5", "-6", "-7", "-8", "-9"];
    let ran = Mutex::new(0);
    let ran = &ran;
    let report = run(batch(&ids), 10, later(), |id| async move {
        *ran.lock().unwrap() += 1;
        if id == "-3" || id == "-7" { STRIKE } else { Outcome::Ack }
    })
    .await;
    assert_eq!(failures(&report), ["-3", "-7"]);
    assert_eq!(*ran.lock().unwrap(), 10);
    let order: Vec<&str> = report.settled.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(order, ids);
}

#[tokio::test]
async fn a_panic_is_the_failure_of_one_message() {
    async fn bad(id: String) -> Outcome {
        tokio::task::yield_now().await;
        assert_ne!(id, "-b", "planted, after the first await");
        Outcome::Ack
    }
    let report = run(batch(&["-a", "-b", "-c", "-d"]), 10, later(), |id| {
        assert_ne!(id, "-c", "planted, before there is a future");
        bad(id)
    })
    .await;
    assert_eq!(failures(&report), ["-b", "-c"]);
    let panicked = &report.settled[1];
    assert!(panicked.panicked && panicked.started);
    assert_eq!(panicked.outcome, Outcome::Retry { after_secs: worker::PANIC_RETRY_SECS, strike: true });
}

#[tokio::test]
async fn a_failure_holds_back_the_rest_of_its_group_and_no_other() {
    let ran = Mutex::new(Vec::new());
    let ran = &ran;
    let report = run(batch(&["A1", "B1", "A2", "-x", "B2", "A3", "B3"]), 10, later(), |id| async move {
        ran.lock().unwrap().push(id.clone());
        tokio::task::yield_now().await;
        if id == "A2" { STRIKE } else { Outcome::Ack }
    })
    .await;
    assert_eq!(failures(&report), ["A2", "A3"]);
    let held = &report.settled[5];
    assert!(!held.started, "A3 ran though A2 had failed");
    assert_eq!(held.outcome, Outcome::Retry { after_secs: 7, strike: false });
    let ran = ran.lock().unwrap();
    assert!(!ran.contains(&"A3".to_owned()));
    let of_b: Vec<&str> = ran.iter().filter(|id| id.starts_with('B')).map(String::as_str).collect();
    assert_eq!(of_b, ["B1", "B2", "B3"]);
}

#[tokio::test]
async fn a_dead_letter_does_not_hold_its_group() {
    let report = run(batch(&["A1", "A2"]), 10, later(), |id| async move {
        if id == "A1" {
            Outcome::DeadLetter { reason: DeadReason::new("rejected", "no") }
        } else {
            Outcome::Ack
        }
    })
    .await;
    assert!(failures(&report).is_empty());
    assert!(report.settled[1].started);
}

#[tokio::test]
async fn what_is_not_started_by_the_deadline_comes_back_without_a_strike() {
    let deadline = Instant::now() + Duration::from_secs(5);
    let report = run(batch(&["A1", "A2", "-x", "A3"]), 10, deadline, |id| async move {
        if id == "A1" {
            tokio::time::sleep_until(deadline.into()).await;
        }
        Outcome::Ack
    })
    .await;
    assert_eq!(failures(&report), ["A2", "A3"]);
    assert!(report.settled[2].started && !report.settled[3].started);
    assert_eq!(report.settled[3].outcome, RETURNED);
}

#[tokio::test]
async fn an_empty_batch_and_no_places_are_no_trouble() {
    assert!(run(batch(&[]), 10, later(), |_| async { Outcome::Ack }).await.settled.is_empty());
    assert_eq!(run(batch(&["-a"]), 0, later(), |_| async { Outcome::Ack }).await.settled.len(), 1);
}

proptest! {
    /// Whatever fails: every delivery has one verdict, in order; in a group nothing runs behind a failure, everything before it does.
    #[test]
    fn a_group_runs_up_to_its_first_failure(plan in proptest::collection::vec((0_usize..4, any::<bool>()), 0..30)) {
        let deliveries: Vec<Delivery<bool>> = plan
            .iter()
            .enumerate()
            .map(|(at, (group, fails))| Delivery {
                id: at.to_string(),
                group: ["", "A", "B", "C"].get(*group).filter(|g| !g.is_empty()).map(|g| (*g).to_owned()),
                message: *fails,
            })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let report = runtime.block_on(run(deliveries, 10, later(), |fails| async move {
            tokio::task::yield_now().await;
            if fails { STRIKE } else { Outcome::Ack }
        }));
        prop_assert_eq!(report.settled.len(), plan.len());
        let mut held = std::collections::HashSet::new();
        for (at, (settled, (group, fails))) in report.settled.iter().zip(&plan).enumerate() {
            prop_assert_eq!(&settled.id, &at.to_string());
            let behind = *group != 0 && held.contains(group);
            prop_assert_eq!(settled.started, !behind);
            if *fails && !behind {
                held.insert(*group);
            }
        }
    }
}

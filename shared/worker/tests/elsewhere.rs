//! Batches of a source that does not bring single messages again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Mutex;
use std::time::{Duration, Instant};

use domain::Outcome;
use proptest::prelude::*;
use worker::{Budget, Delivery, PANIC_RETRY_SECS, RETURN_SECS, run_or_put_off};

const RETRY: Outcome = Outcome::Retry { after_secs: 7, strike: false };

/// Time enough for whatever ends at all.
fn ample() -> Budget {
    Budget::new(Instant::now(), Duration::from_secs(120))
}

/// Nothing is settled in time, and putting off has a minute.
fn overrun() -> Budget {
    let now = Instant::now();
    Budget { settle_until: now, answer_by: now + Duration::from_secs(60), ..ample() }
}

/// Too late to start anything.
fn spent() -> Budget {
    Budget { start_by: Instant::now(), ..ample() }
}

/// Each message: a letter for its group (`-` = none), then what its handling does: `.` done, `r` refused, `p` a panic, `h` never
/// ends; and `!` where to put it off is refused, `?` where that is not answered. What nobody took, and what was put off with its
/// seconds.
async fn refused_and_put_off(
    budget: &Budget,
    batch: &[&'static str],
) -> (Vec<usize>, Vec<(&'static str, u32)>) {
    let put = Mutex::new(Vec::new());
    let deliveries = batch.iter().map(|message| Delivery {
        id: (*message).to_owned(),
        group: (!message.starts_with('-')).then(|| message[..1].to_owned()),
        message: *message,
    });
    let refused = run_or_put_off(
        deliveries.collect(),
        10,
        budget,
        async |message: &str| match message.as_bytes()[1] {
            b'.' => Outcome::Ack,
            b'r' => RETRY,
            b'p' => panic!("planted"),
            _ => std::future::pending().await,
        },
        |message, after_secs| {
            let put = &put;
            async move {
                if message.ends_with('!') {
                    return RETRY;
                }
                put.lock().unwrap().push((message, after_secs));
                if message.ends_with('?') {
                    std::future::pending::<()>().await;
                }
                Outcome::Ack
            }
        },
    )
    .await;
    let mut put = put.into_inner().unwrap();
    put.sort_unstable();
    (refused, put)
}

async fn check(budget: &Budget, batch: &[&'static str], refused: &[usize], put_off: &[(&'static str, u32)]) {
    let found = refused_and_put_off(budget, batch).await;
    assert_eq!(found, (refused.to_vec(), put_off.to_vec()), "{batch:?}");
}

#[tokio::test]
async fn what_is_done_is_done_and_what_was_refused_is_said() {
    check(&ample(), &["-.", "-r", "A.", "-."], &[1], &[]).await;
}

#[tokio::test]
async fn behind_a_refused_message_its_group_is_refused_untouched_and_no_other() {
    check(&ample(), &["A.", "Ar", "B.", "A.", "A.!", "B."], &[1, 3, 4], &[]).await;
}

#[tokio::test]
async fn what_was_not_started_is_put_off_unless_that_is_refused() {
    let soon = RETURN_SECS;
    check(&spent(), &["-.", "A.", "A.2", "-.!"], &[3], &[("-.", soon), ("A.", soon), ("A.2", soon)]).await;
}

#[tokio::test]
async fn what_is_not_settled_in_time_is_put_off_unless_that_is_refused() {
    check(&overrun(), &["-h", "-h!", "Ah!", "A."], &[1, 2, 3], &[("-h", RETURN_SECS)]).await;
}

#[tokio::test]
async fn a_panic_is_put_off_with_its_group_and_blocks_nothing() {
    let later = PANIC_RETRY_SECS;
    check(&ample(), &["Ap", "A.2", "B.", "-p!"], &[3], &[("A.2", later), ("Ap", later)]).await;
}

#[tokio::test]
async fn a_put_off_without_an_answer_is_refused_when_the_answer_is_due() {
    let now = Instant::now();
    let budget = Budget { start_by: now, answer_by: now + Duration::from_millis(50), ..ample() };
    let (refused, _) = refused_and_put_off(&budget, &["-.?", "A.?"]).await;
    assert_eq!(refused, [0, 1]);
}

#[tokio::test]
async fn when_the_answer_is_due_nothing_is_put_off_any_more() {
    let now = Instant::now();
    check(&Budget { start_by: now, answer_by: now, ..ample() }, &["-.", "A.", "A."], &[0, 1, 2], &[]).await;
    check(&Budget { answer_by: now, ..overrun() }, &["-h", "Ah", "A."], &[0, 1, 2], &[]).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Done, put off or refused: one of them, and refused once.
    #[test]
    fn every_message_has_one_verdict(
        batch in prop::collection::vec(prop::sample::select(vec!["-.", "-r", "-p", "-p!", "A.", "Ar", "Ap", "Ap!", "B.", "Br"]), 0..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (refused, put) = runtime.block_on(refused_and_put_off(&ample(), &batch));
        prop_assert!(refused.is_sorted_by(|one, next| one < next), "{refused:?}");
        prop_assert!(refused.iter().all(|place| batch[*place] != "-."));
        for (place, message) in batch.iter().enumerate() {
            if *message == "-r" || *message == "-p!" {
                prop_assert!(refused.contains(&place));
            }
        }
        prop_assert_eq!(put.iter().filter(|(message, _)| *message == "-p").count(), batch.iter().filter(|m| **m == "-p").count());
    }
}

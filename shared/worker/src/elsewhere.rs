use std::collections::HashSet;
use std::future::Future;
use std::time::Instant;

use domain::Outcome;
use futures::{StreamExt, stream};
use tokio::time::timeout_at;

use crate::{Budget, Delivery, RETURN_SECS, run};

/// Gives each message of a batch to `handle`, as [`run`] does, for a source that does not bring back single messages when they
/// are due: what must wait is put off to elsewhere. The answer: the places of the messages that nobody has taken, so that
/// their source must bring them again.
///
/// What `handle` wants to see again it puts off by itself; its `Retry` says that elsewhere has refused the message. Whatever was not
/// started, has panicked or was not settled in the budget's time goes to `put_off`, with the seconds to wait; its `Retry` is a
/// refusal, too, and so is its silence. Behind a refused message the rest of its group is refused untouched, for the source brings
/// it again in any case.
pub async fn run_or_put_off<M, H, HandleFut, P, PutOffFut>(
    batch: Vec<Delivery<M>>,
    at_once: usize,
    budget: &Budget,
    handle: H,
    put_off: P,
) -> Vec<usize>
where
    M: Copy + Send,
    H: Fn(M) -> HandleFut,
    HandleFut: Future<Output = Outcome> + Send,
    P: Fn(M, u32) -> PutOffFut + Sync,
    PutOffFut: Future<Output = Outcome> + Send,
{
    let put_off = &put_off;
    let messages: Vec<M> = batch.iter().map(|delivery| delivery.message).collect();
    let report = run(batch, at_once, budget.start_by, |message| {
        let handled = timeout_at(budget.settle_until.into(), handle(message));
        async move {
            match handled.await {
                Ok(outcome) => outcome,
                Err(_) => in_time(put_off(message, RETURN_SECS), budget.answer_by).await,
            }
        }
    })
    .await;
    let (mut refused, mut held, mut waiting) = (Vec::new(), HashSet::new(), Vec::new());
    for (place, settled, after_secs) in report.returned() {
        let behind = settled.group.as_ref().is_some_and(|group| held.contains(group));
        if behind || (settled.started && !settled.panicked) {
            refused.push(place);
            held.extend(settled.group.clone());
        } else {
            waiting.push((place, after_secs));
        }
    }
    let put = stream::iter(waiting).map(async |(place, after_secs)| {
        let outcome = in_time(put_off(messages[place], after_secs), budget.answer_by).await;
        (place, outcome)
    });
    let put: Vec<(usize, Outcome)> = put.buffer_unordered(at_once.max(1)).collect().await;
    refused.extend(put.into_iter().filter(|(_, outcome)| is_refused(outcome)).map(|(place, _)| place));
    refused.sort_unstable();
    refused
}

fn is_refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Retry { .. })
}

/// What is not answered in time counts as refused. Without time it is not even asked: it would be put off and brought again
/// by its source, too.
async fn in_time(put_off: impl Future<Output = Outcome>, by: Instant) -> Outcome {
    let late = Outcome::Retry { after_secs: RETURN_SECS, strike: false };
    if Instant::now() >= by {
        return late;
    }
    timeout_at(by.into(), put_off).await.unwrap_or(late)
}

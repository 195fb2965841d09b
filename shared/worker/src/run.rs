use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use domain::Outcome;
use futures::{FutureExt, StreamExt, stream};

use crate::{BatchReport, Settled};

/// What was never started comes back after this many seconds, without a strike.
pub const RETURN_SECS: u32 = 1;

/// A message whose handler panicked comes back after this many seconds: a bug of ours is not mended in one.
pub const PANIC_RETRY_SECS: u32 = 30;

/// One message as it was received.
#[derive(Debug, Clone)]
pub struct Delivery<M> {
    /// What the receiver calls it in its answer.
    pub id: String,
    /// Messages of one group run one after the other, in the order they came; `None` = no order is promised.
    pub group: Option<String>,
    /// What the handler is given.
    pub message: M,
}

/// Gives each message to `handler`, at most `at_once` side by side, and says what became of each.
///
/// From `deadline` on nothing is started any more: what is left comes back after [`RETURN_SECS`], without a strike. What
/// runs by then is not cut off here; a handler keeps its own time. A panic is one message's
/// `Retry` with a strike. After a `Retry` in a group the rest of that group is returned untouched, to come back
/// no earlier than the message they stand behind; other groups go on.
pub async fn run<M, F, Fut>(
    batch: Vec<Delivery<M>>,
    at_once: usize,
    deadline: Instant,
    handler: F,
) -> BatchReport
where
    F: Fn(M) -> Fut,
    Fut: Future<Output = Outcome> + Send,
{
    let expected = batch.len();
    let handler = &handler;
    let mut settled: Vec<(usize, Settled)> = stream::iter(lanes(batch))
        .map(|lane| run_lane(lane, deadline, handler))
        .buffer_unordered(at_once.max(1))
        .concat()
        .await;
    debug_assert_eq!(settled.len(), expected, "every delivery has its verdict");
    settled.sort_by_key(|(place, _)| *place);
    BatchReport { settled: settled.into_iter().map(|(_, settled)| settled).collect() }
}

/// A lane is what must run one after the other: a whole group, or one message without a group. Each carries its place in the batch.
type Lane<M> = Vec<(usize, Delivery<M>)>;

fn lanes<M>(batch: Vec<Delivery<M>>) -> Vec<Lane<M>> {
    let mut lanes: Vec<Lane<M>> = Vec::new();
    let mut lane_of: HashMap<String, usize> = HashMap::new();
    for (place, delivery) in batch.into_iter().enumerate() {
        let known = delivery.group.as_ref().and_then(|group| lane_of.get(group).copied());
        if let Some(lane) = known {
            lanes[lane].push((place, delivery));
            continue;
        }
        if let Some(group) = &delivery.group {
            lane_of.insert(group.clone(), lanes.len());
        }
        lanes.push(vec![(place, delivery)]);
    }
    lanes
}

async fn run_lane<M, F, Fut>(lane: Lane<M>, deadline: Instant, handler: &F) -> Vec<(usize, Settled)>
where
    F: Fn(M) -> Fut,
    Fut: Future<Output = Outcome> + Send,
{
    let mut settled = Vec::with_capacity(lane.len());
    // How long the rest of the lane stays away, once something in it has to come back.
    let mut held_secs = None;
    for (place, Delivery { id, group, message }) in lane {
        if held_secs.is_none() && Instant::now() >= deadline {
            held_secs = Some(RETURN_SECS);
        }
        let (outcome, started, panicked) = match held_secs {
            Some(after_secs) => (Outcome::Retry { after_secs, strike: false }, false, false),
            None => {
                let (outcome, panicked) = run_one(&id, message, handler).await;
                (outcome, true, panicked)
            }
        };
        if let Outcome::Retry { after_secs, .. } = outcome {
            held_secs = Some(after_secs);
        }
        settled.push((place, Settled { id, group, outcome, started, panicked }));
    }
    settled
}

/// Runs one message, and makes of a panic that message's own failure.
async fn run_one<M, F, Fut>(id: &str, message: M, handler: &F) -> (Outcome, bool)
where
    F: Fn(M) -> Fut,
    Fut: Future<Output = Outcome> + Send,
{
    // The handler may panic before it gives its future, too. Nothing it shared is looked at again by us.
    match AssertUnwindSafe(async { handler(message).await }).catch_unwind().await {
        Ok(outcome) => (outcome, false),
        Err(panic) => {
            let why =
                panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            tracing::error!(
                message.id = id,
                panic = why.unwrap_or("of unknown kind"),
                "the handling of a message panicked"
            );
            (Outcome::Retry { after_secs: PANIC_RETRY_SECS, strike: true }, true)
        }
    }
}

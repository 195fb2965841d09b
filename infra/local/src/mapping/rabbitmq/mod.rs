//! A queue of RabbitMQ and its function: what Lambda's event source mapping of an Amazon MQ broker does, one batch at a time.

mod event;

use std::time::Duration;

use domain::causes;
use queue::local::{PollError, RabbitDelivery, RabbitPoll};
use queue::rabbitmq::RabbitPlace;
use tokio::sync::watch;

use super::function::Function;
use super::poller::TROUBLE;
use event::event;

/// As in the template: messages of one invocation.
const BATCH_SIZE: usize = 10;

/// So many lie ready here, so that the next batch need not be waited for.
const PREFETCH: u16 = 20;

/// So long a batch waits to be filled.
const WINDOW: Duration = Duration::from_millis(20);

/// What works on a queue of RabbitMQ.
#[derive(Debug, Clone)]
pub(super) struct RabbitWork {
    pub(super) place: RabbitPlace,
    pub(super) function: Function,
}

/// Receives from a queue until it is told to stop; a batch in hand goes on to its end.
pub(super) async fn poll_rabbit(work: RabbitWork, mut stopped: watch::Receiver<bool>) {
    let mut failures = 0;
    while !*stopped.borrow_and_update() {
        let opened = tokio::select! {
            opened = RabbitPoll::open(&work.place, PREFETCH) => opened,
            _ = stopped.changed() => break,
        };
        let ended = match opened {
            Ok(poll) => {
                if failures > 0 {
                    tracing::info!(queue.name = work.place.queue, "receiving again");
                }
                failures = 0;
                receive(poll, &work, &mut stopped).await
            }
            Err(error) => Some(error),
        };
        let Some(error) = ended else { break };
        if failures == 0 {
            let error = causes(&error);
            tracing::warn!(queue.name = work.place.queue, error, "cannot receive from this queue, trying on");
        }
        failures += 1;
        pause(failures, &mut stopped).await;
    }
}

/// One connection, as long as it lasts; `None` if it was told to stop.
async fn receive(
    mut poll: RabbitPoll,
    work: &RabbitWork,
    stopped: &mut watch::Receiver<bool>,
) -> Option<PollError> {
    let mut failures = 0;
    let ended = loop {
        if *stopped.borrow() {
            break None;
        }
        let received = tokio::select! {
            received = poll.next(BATCH_SIZE, WINDOW) => received,
            _ = stopped.changed() => break None,
        };
        let batch = match received {
            Ok(batch) => batch,
            Err(error) => break Some(error),
        };
        let done = handle(work, &batch).await;
        if !done {
            // The broker gives them again at once: the pause comes before.
            failures += 1;
            pause(failures, stopped).await;
        } else {
            failures = 0;
        }
        if let Err(error) = poll.settle(&batch, done).await {
            break Some(error);
        }
    };
    poll.close().await;
    ended
}

/// One batch through the function. Lambda knows no failures of single messages here: without an error all of them are done.
async fn handle(work: &RabbitWork, batch: &[RabbitDelivery]) -> bool {
    let RabbitPlace { queue, vhost, .. } = &work.place;
    let answer = work.function.invoke(event(queue, vhost, batch)).await;
    if let Err(error) = &answer {
        tracing::warn!(queue.name = queue, batch.size = batch.len(), %error, "the batch failed as a whole");
    }
    answer.is_ok()
}

async fn pause(failures: u32, stopped: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(TROUBLE.after(failures)) => {}
        _ = stopped.changed() => {}
    }
}

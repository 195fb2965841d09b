//! One mapping at work: receive up to ten, call the function, delete what it answered for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use domain::{SqsQueue, causes};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::event::event;
use super::function::Function;
use super::settle::{Deletion, settle};

/// How long one poll waits, seconds. A pause lets the present poll end, since a poll that is broken off may take
/// messages out of sight that nobody then works on; so a pause takes this long at most.
const WAIT_SECS: i32 = 2;

/// Pauses between attempts while the queue cannot be received from.
pub(super) const TROUBLE: Backoff = Backoff { base: Duration::from_millis(200), cap: Duration::from_secs(5) };

/// Deletions that fail are tried this often in all; then the messages come again, as on AWS.
const DELETE_ATTEMPTS: u32 = 3;

pub(super) struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row.
    pub(super) fn after(&self, failures: u32) -> Duration {
        self.base.saturating_mul(1 << failures.min(10)).min(self.cap)
    }
}

/// What a poller works with.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) sqs: Client,
    pub(super) queue: SqsQueue,
    pub(super) url: String,
    pub(super) function: Function,
    /// Messages in one batch, 1 to 10.
    pub(super) batch_size: i32,
    /// Batches in the function's hands at the same time.
    pub(super) at_once: usize,
    /// Whether the answer names failures (`ReportBatchItemFailures`); else every answer is a success.
    pub(super) reports_failures: bool,
}

/// A running poller. Dropping it lets it run on: it must be told to stop.
#[derive(Debug)]
pub(super) struct Poller {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Poller {
    /// Runs `poll`, which must end soon after the switch it is given is on.
    pub(super) fn start<F>(poll: impl FnOnce(watch::Receiver<bool>) -> F) -> Poller
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        Poller { stop, task: tokio::spawn(poll(stopped)) }
    }

    /// No more polls from now on; batches in hand go on.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether it was told to stop.
    pub(super) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Whether the last poll and the last batch have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the last batch, and breaks it off after `within`.
    pub(super) async fn end(mut self, within: Duration) {
        self.stop();
        if tokio::time::timeout(within, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Receives from one queue until it is told to stop.
pub(super) async fn poll(work: Work, mut stopped: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(work.at_once));
    let mut batches = JoinSet::new();
    let mut failures = 0;
    while !*stopped.borrow_and_update() {
        while batches.try_join_next().is_some() {}
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
            _ = stopped.changed() => break,
        };
        match receive(&work).await {
            Ok(messages) => {
                if failures > 0 {
                    tracing::info!(queue.name = work.queue.name, "receiving again");
                }
                failures = 0;
                if !messages.is_empty() {
                    let work = work.clone();
                    batches.spawn(async move {
                        handle(&work, messages).await;
                        drop(slot);
                    });
                }
            }
            // The mapping is gone, and so may be its queue.
            Err(_) if *stopped.borrow() => break,
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(
                        queue.name = work.queue.name,
                        error,
                        "cannot receive from this queue, trying on"
                    );
                }
                tokio::select! {
                    () = tokio::time::sleep(TROUBLE.after(failures)) => {}
                    _ = stopped.changed() => {}
                }
                failures += 1;
            }
        }
    }
    while batches.join_next().await.is_some() {}
}

async fn receive(work: &Work) -> Result<Vec<Message>, String> {
    let received = work
        .sqs
        .receive_message()
        .queue_url(&work.url)
        .max_number_of_messages(work.batch_size)
        .wait_time_seconds(WAIT_SECS)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All")
        .send()
        .await
        .map_err(|error| causes(&error))?;
    Ok(received.messages.unwrap_or_default())
}

/// One batch through the function.
async fn handle(work: &Work, messages: Vec<Message>) {
    let answer = work.function.invoke(event(&work.queue, &messages)).await;
    if let Err(error) = &answer {
        tracing::warn!(queue.name = work.queue.name, batch.size = messages.len(), %error, "the batch failed as a whole");
    }
    let ids: Vec<&str> = messages.iter().filter_map(Message::message_id).collect();
    let deletion = match answer {
        Ok(_) if !work.reports_failures => Deletion::All,
        answer => settle(&ids, answer.map(Some)),
    };
    let goes = |message: &&Message| match &deletion {
        Deletion::All => true,
        Deletion::None => false,
        Deletion::These(ids) => message.message_id().is_some_and(|id| ids.iter().any(|these| these == id)),
    };
    let handles: Vec<&str> = messages.iter().filter(goes).filter_map(Message::receipt_handle).collect();
    delete(work, handles).await;
}

async fn delete(work: &Work, mut handles: Vec<&str>) {
    for attempt in 0..DELETE_ATTEMPTS {
        if handles.is_empty() {
            return;
        }
        if attempt > 0 {
            tokio::time::sleep(TROUBLE.after(attempt)).await;
        }
        let entries = handles.iter().enumerate().map(|(at, handle)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(*handle)
                .build()
                .expect("both of its fields are set")
        });
        let entries = entries.collect();
        match work.sqs.delete_message_batch().queue_url(&work.url).set_entries(Some(entries)).send().await {
            Ok(answer) => {
                let failed = |at: usize| answer.failed().iter().any(|failed| failed.id() == at.to_string());
                handles = handles
                    .into_iter()
                    .enumerate()
                    .filter(|(at, _)| failed(*at))
                    .map(|(_, handle)| handle)
                    .collect();
            }
            Err(error) => {
                tracing::warn!(
                    queue.name = work.queue.name,
                    error = causes(&error),
                    "messages could not be deleted"
                );
            }
        }
    }
    if !handles.is_empty() {
        tracing::error!(
            queue.name = work.queue.name,
            messages = handles.len(),
            "handled messages were not deleted and come again"
        );
    }
}

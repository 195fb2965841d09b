//! A topic and its function: what Lambda's event source mapping of a self-managed Kafka does, partition by partition.

mod event;
mod settle;
#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::causes;
use queue::kafka::KafkaPlace;
use queue::local::{KafkaPartition, KafkaPoll, KafkaRecord, PollError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::function::Function;
use super::poller::TROUBLE;
use event::event;
pub(super) use event::signed;
use settle::settle;

/// As in the template: records of one invocation.
const BATCH_SIZE: usize = 10;

/// So long a batch waits to be filled.
const WINDOW: Duration = Duration::from_millis(20);

/// How often the topic is asked for partitions that are new.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What works on a topic.
#[derive(Debug, Clone)]
pub(super) struct TopicWork {
    pub(super) place: KafkaPlace,
    /// Whom the cluster keeps the progress for.
    pub(super) group: String,
    pub(super) function: Function,
}

/// Receives from a topic until it is told to stop; batches in hand go on to their end.
pub(super) async fn poll_topic(work: TopicWork, mut stopped: watch::Receiver<bool>) {
    let mut poll = match KafkaPoll::new(&work.place, &work.group) {
        Ok(poll) => poll,
        Err(error) => {
            let error = causes(&error);
            tracing::error!(queue.name = work.place.topic, error, "nothing can be received from this topic");
            return;
        }
    };
    let (mut partitions, mut failures) = (JoinSet::new(), 0);
    while !*stopped.borrow_and_update() {
        let pause = match poll.partitions().await {
            Ok(new) => {
                if failures > 0 {
                    tracing::info!(queue.name = work.place.topic, "receiving again");
                }
                failures = 0;
                for partition in new {
                    partitions.spawn(work_on(partition, work.clone(), stopped.clone()));
                }
                LOOK_EVERY
            }
            Err(error) => {
                say(&work, failures, &error);
                failures += 1;
                TROUBLE.after(failures)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = poll.keep_alive() => {}
            _ = stopped.changed() => {}
        }
    }
    while partitions.join_next().await.is_some() {}
}

/// One partition: one batch at a time, the next one only when this one is done.
async fn work_on(partition: KafkaPartition, work: TopicWork, mut stopped: watch::Receiver<bool>) {
    let (mut batch, mut failures): (Vec<KafkaRecord>, u32) = (Vec::new(), 0);
    while !*stopped.borrow_and_update() {
        if batch.is_empty() {
            tokio::select! {
                received = partition.next(BATCH_SIZE, WINDOW) => match received {
                    Ok(records) => batch = records,
                    Err(error) => {
                        say(&work, failures, &error);
                        failures += 1;
                    }
                },
                _ = stopped.changed() => break,
            }
        }
        if !batch.is_empty() {
            let left = handle(&partition, &work, &batch).await;
            failures = if left.is_empty() { 0 } else { failures + 1 };
            batch = left;
        }
        if failures > 0 {
            tokio::select! {
                () = tokio::time::sleep(TROUBLE.after(failures)) => {}
                _ = stopped.changed() => {}
            }
        }
    }
}

/// One batch through the function; the records that come again.
async fn handle(partition: &KafkaPartition, work: &TopicWork, batch: &[KafkaRecord]) -> Vec<KafkaRecord> {
    let answer = work.function.invoke(event(&work.place.bootstrap, batch)).await;
    if let Err(error) = &answer {
        tracing::warn!(queue.name = work.place.topic, batch.size = batch.len(), %error, "the batch failed as a whole");
    }
    let again = settle(batch, answer.map(Some)).get(&partition.number()).copied().unwrap_or(i64::MAX);
    let (done, left): (Vec<&KafkaRecord>, Vec<&KafkaRecord>) =
        batch.iter().partition(|record| record.offset < again);
    if let Some(last) = done.last()
        && let Err(error) = partition.commit(last.offset).await
    {
        let error = causes(&error);
        tracing::warn!(
            queue.name = work.place.topic,
            error,
            "handled records may come again after a restart"
        );
    }
    left.into_iter().cloned().collect()
}

/// The first of several failures in a row is said.
fn say(work: &TopicWork, failures: u32, error: &PollError) {
    if failures == 0 {
        let error = causes(error);
        tracing::warn!(queue.name = work.place.topic, error, "cannot receive from this topic, trying on");
    }
}

//! Brokers on one's own machine: a Kafka inside this process, and what Lambda's pollers do for us on AWS.
//!
//! Functions never receive from a broker themselves, so nothing that is deployed has this: the cargo feature `local` is the
//! local runner's.

mod kafka;
mod mock;
mod rabbitmq;

use std::time::Duration;

use futures::{Stream, StreamExt};
use rdkafka::error::KafkaError;
use tokio::time::{Instant, timeout_at};

use crate::SendError;

pub use kafka::{KafkaPartition, KafkaPoll, KafkaRecord, StampedBy};
pub use mock::MockKafka;
pub use rabbitmq::{RabbitDelivery, RabbitHeader, RabbitPoll, RabbitProperties};

/// A broker that has not answered by then will not.
const ANSWER: Duration = Duration::from_secs(5);

/// Why nothing is received.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The place cannot be used as it is written.
    #[error("the place cannot be received from")]
    Place(#[source] SendError),
    /// It can be sent to, but nothing is received from there.
    #[error("only places without a user and without encryption are received from here")]
    NotHere,
    /// The cluster has no such topic.
    #[error("the cluster has no topic {0}")]
    NoTopic(String),
    /// What the Kafka client says.
    #[error("the Kafka client says")]
    Kafka(#[source] KafkaError),
    /// What the AMQP client says.
    #[error("the AMQP client says")]
    RabbitMq(#[source] lapin::Error),
    /// The broker ended it: the queue is gone, or the connection.
    #[error("the broker gives nothing more")]
    Ended,
    /// The broker did not answer within 5 s.
    #[error("the broker does not answer")]
    Silent,
}

/// Waits for a first one, and then takes what comes within `window`, up to `at_most`. What was taken when this is dropped is
/// dropped with it.
async fn gather<T>(
    at_most: usize,
    window: Duration,
    mut given: impl Stream<Item = Result<T, PollError>> + Unpin,
) -> Result<Vec<T>, PollError> {
    let mut batch = vec![given.next().await.unwrap_or(Err(PollError::Ended))?];
    let end = Instant::now() + window;
    while batch.len() < at_most {
        match timeout_at(end, given.next()).await {
            Ok(Some(Ok(one))) => batch.push(one),
            // What is wrong is said again when there is nothing else to tell.
            Ok(Some(Err(_)) | None) | Err(_) => break,
        }
    }
    Ok(batch)
}

/// The clients' libraries take their time to end their threads: not that of whoever lets go of them.
fn drop_aside<T: Send + 'static>(client: T) {
    std::thread::spawn(move || drop(client));
}

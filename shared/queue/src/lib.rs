//! Sending to queues of SQS, Kafka and RabbitMQ ([`Engines`], with the cargo features `kafka` and `rabbitmq`), and looking after those
//! of SQS: the event source mappings that feed our worker, and the age of what waits.
//!
//! queue keeps nothing and knows no registry: it is told a place and what to do there. Whether a failed send may have
//! been taken all the same is its answer to give ([`SendError`]), because only here the wire is seen.

#[cfg(any(feature = "kafka", feature = "rabbitmq"))]
mod addresses;
mod admin;
#[cfg(feature = "cloudwatch")]
mod ages;
#[cfg(any(feature = "kafka", feature = "rabbitmq"))]
mod broker;
mod chunks;
mod clients;
#[cfg(all(feature = "kafka", feature = "rabbitmq"))]
mod engines;
mod error;
mod jobs;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "local")]
pub mod local;
#[cfg(feature = "lambda")]
mod mappings;
mod outgoing;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
mod retry;
mod send;
mod visibility;

pub use admin::QueueFacts;
#[cfg(feature = "cloudwatch")]
pub use ages::Ages;
pub use clients::{Queues, SqsConfig};
#[cfg(all(feature = "kafka", feature = "rabbitmq"))]
pub use engines::{BrokersConfig, Engines, Place};
pub use error::{AdminError, SendError};
pub use jobs::{JobsQueue, job_of};
#[cfg(feature = "lambda")]
pub use mappings::Mappings;
pub use outgoing::{Accepted, Outgoing};
pub use retry::{MAX_DELAY_SECS, RetryBody, RetryMessage, RetryQueue};
pub use send::SqsPlace;
pub use visibility::NotMoved;

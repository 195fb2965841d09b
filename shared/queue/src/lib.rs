//! Sending to queues and looking after them: Amazon SQS, the event source mappings that feed our worker, and the age
//! of what waits.
//!
//! queue keeps nothing and knows no registry: it is told a place and what to do there. Whether a failed send may have
//! been taken all the same is its answer to give ([`SendError`]), because only here the wire is seen.

mod admin;
#[cfg(feature = "cloudwatch")]
mod ages;
#[cfg(any(feature = "kafka", feature = "rabbitmq"))]
mod broker;
mod chunks;
mod clients;
mod error;
mod jobs;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "lambda")]
mod mappings;
mod outgoing;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
mod send;
mod visibility;

pub use admin::QueueFacts;
#[cfg(feature = "cloudwatch")]
pub use ages::Ages;
#[cfg(any(feature = "kafka", feature = "rabbitmq"))]
pub use broker::BrokerAccepted;
pub use clients::{Queues, SqsConfig};
pub use error::{AdminError, SendError};
pub use jobs::{JobsQueue, job_of};
#[cfg(feature = "lambda")]
pub use mappings::Mappings;
pub use outgoing::{Accepted, Outgoing};
pub use send::Place;
pub use visibility::NotMoved;

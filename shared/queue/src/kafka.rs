//! Sending to Apache Kafka, one idempotent producer per cluster and process.
//!
//! librdkafka's own retries are on: a record that it sends twice is appended once. What it reports of a failure is one
//! code, which does not say whether the record had left; that is read from its counters, so that a
//! record of which nothing was written is not called unknown, and one that may be there is not called refused.

#[cfg(feature = "kafka-tls")]
mod iam;
mod judge;
mod look;
mod place;
mod producer;
mod progress;
#[cfg(feature = "kafka-tls")]
mod roots;
mod settings;

pub use place::{KafkaPlace, KafkaSecurity};
pub use producer::KafkaProducers;

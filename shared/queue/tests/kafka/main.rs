//! Sending to a real Apache Kafka, in good and bad hours: `tests/engines/with-kafka cargo test -p queue --features kafka
//! --test kafka`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test may panic")]

mod addresses;
mod broker;
#[path = "../brokers/mod.rs"]
mod brokers;
mod fatal;
mod outage;
mod publish;
mod refused;
#[cfg(feature = "kafka-tls")]
mod tls;

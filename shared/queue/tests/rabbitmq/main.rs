//! Sending to a real RabbitMQ, in good and bad hours: `tests/engines/with-rabbitmq cargo test -p queue --features
//! rabbitmq --test rabbitmq`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test may panic")]

mod broker;
#[path = "../brokers/mod.rs"]
mod brokers;
mod closing;
mod outage;
#[cfg(feature = "local")]
mod poll;
mod publish;
mod refused;
mod tls;

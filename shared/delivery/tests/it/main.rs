//! Entries of the outbox on their way: before tables in an embedded DynamoDB and a stand-in for SQS, which counts.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bodies;
mod brokers;
mod cost;
#[path = "../doubles/engine.rs"]
mod engine;
mod house;
#[path = "../doubles/kafka.rs"]
mod kafka;
mod order;
#[path = "../../../domain/tests/doubles/queue.rs"]
mod registered;
mod ring;
mod schedule;
mod strict;
mod strict_batch;
mod sweep;
mod wait;

//! The routes of `publish`, served as in production, before a catalog in memory and a stand-in for SQS.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../../shared/delivery/tests/doubles/engine.rs"]
mod engine;
mod house;
#[path = "../../../../shared/delivery/tests/doubles/kafka.rs"]
mod kafka;
#[path = "../../../../shared/domain/tests/doubles/queue.rs"]
mod registered;
#[path = "../../../../shared/api/tests/doubles/store.rs"]
mod store;

mod batch;
mod brokers;
mod dates;
mod idempotency;
mod single;
mod unbreakable;

//! The routes of `zstorage-write`, served as in production, before tables in an embedded DynamoDB.
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
#[path = "../../../../shared/api/tests/doubles/tables.rs"]
mod tables;

mod batch;
mod idempotency;
mod messages;
mod single;
mod unbreakable;

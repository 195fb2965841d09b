//! The function before a store in memory and a stand-in for SQS, by events as AWS writes them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../../shared/delivery/tests/doubles/engine.rs"]
mod engine;
mod events;
mod house;
#[path = "../../../../shared/domain/tests/doubles/queue.rs"]
mod registered;
#[path = "../../../../shared/api/tests/doubles/store.rs"]
mod store;

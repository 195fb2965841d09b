//! The function before a store in memory and a stand-in for SQS.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../../shared/delivery/tests/doubles/engine.rs"]
mod engine;
#[path = "../../../outbox-publisher/tests/it/house.rs"]
mod house;
#[path = "../../../../shared/domain/tests/doubles/queue.rs"]
mod registered;
mod runs;
#[path = "../../../../shared/api/tests/doubles/store.rs"]
mod store;

//! The routes of `queue-admin`, served as in production, before a catalog in memory and a stand-in for SQS and Lambda.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../../shared/delivery/tests/doubles/engine.rs"]
mod engine;
mod house;
#[path = "../../../../shared/api/tests/doubles/store.rs"]
mod store;

mod brokers;
mod changes;
mod create;
mod jobs;
mod keys;
mod links;
mod outbox;
mod reading;
mod unbreakable;

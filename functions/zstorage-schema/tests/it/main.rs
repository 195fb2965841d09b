//! The routes of `zstorage-schema`, served as in production, before a catalog and records in memory and a stand-in for SQS.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../../shared/delivery/tests/doubles/engine.rs"]
mod engine;
mod house;
#[path = "../../../../shared/domain/tests/doubles/queue.rs"]
mod registered;
#[path = "../../../../shared/api/tests/doubles/store.rs"]
mod store;

mod changes;
mod create;
mod deletion;
mod indexes;
mod links;
mod pages;
mod rights;
mod rules;
mod unbreakable;
mod versions;

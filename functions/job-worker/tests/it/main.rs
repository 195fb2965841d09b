//! Jobs at work: indexes built and tables removed slice by slice, under writers, crashes and duplicates.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../../shared/delivery/tests/doubles/engine.rs"]
mod engine;
mod house;
#[path = "../../../../shared/api/tests/doubles/store.rs"]
mod store;
#[path = "../../../../shared/api/tests/doubles/tables.rs"]
mod tables;

mod build;
mod drop;
mod messages;

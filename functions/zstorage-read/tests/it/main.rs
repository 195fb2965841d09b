//! The routes of `zstorage-read`, served as in production, before tables in an embedded DynamoDB.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;
#[path = "../../../../shared/api/tests/doubles/store.rs"]
mod store;
#[path = "../../../../shared/api/tests/doubles/tables.rs"]
mod tables;

mod query;
mod single;

//! zstorage through the real AWS SDK: against the embedded DynamoDB engine, and against a server that fails as it is told.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bodies;
mod busy;
mod data_keys;
mod house;
mod keys;
mod letters;
mod linked;
mod links;
mod outbox;
mod outbox_due;
mod outbox_house;
mod outbox_order;
mod outbox_trouble;
mod packages;
mod query_edges;
mod query_house;
mod query_law;
mod query_ways;
mod queues;
mod records_build;
mod records_edges;
mod records_idempotency;
mod records_motion;
mod records_trouble;
mod records_unique;
mod records_write;
#[path = "../../../domain/tests/doubles/queue.rs"]
mod registered;
mod rows;
mod seal;
mod strict;
mod strict_edges;
mod strict_law;
mod strict_races;
mod students;
mod tables;
mod troubled;

//! zstorage through the real AWS SDK: against the embedded DynamoDB engine, and against a server that fails as it is told.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod busy;
mod house;
mod keys;
mod letters;
mod queues;
mod rows;
mod seal;

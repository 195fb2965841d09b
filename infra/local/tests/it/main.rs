//! The binary and the house as a user meets them: processes, HTTP, files.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod brokers;
mod house;
mod refusals;
mod runner;
mod stack;

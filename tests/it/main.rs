//! The whole system, run as a user runs it, and the rules of the house.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "a test may panic, and is no library")]

mod bad_input;
mod bootstraps;
mod brokers;
mod keys;
mod layering;
mod ledger;
mod links;
mod naughty;
mod outbox_model;
mod packages;
mod publish;
mod records;
mod records_bad_input;
mod registry;
mod runaway;
mod support;
mod survive;
mod tables;
mod template;
mod travel;
mod tree;
mod worker;

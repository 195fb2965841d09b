//! The whole system, run as a user runs it, and the rules of the house.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "a test may panic, and is no library")]

mod bad_input;
mod bootstraps;
mod keys;
mod layering;
mod publish;
mod registry;
mod runaway;
mod support;
mod survive;
mod template;
mod travel;
mod tree;
mod worker;

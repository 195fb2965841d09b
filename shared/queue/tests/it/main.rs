//! queue through the real AWS SDK, against a server on loopback that answers, refuses, dawdles and hangs up as it is told.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod admin;
mod ages;
mod engine;
mod mappings;
mod send;
mod send_all;

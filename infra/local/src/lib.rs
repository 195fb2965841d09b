//! Queuelink on one machine: what `cargo run` starts.
//!
//! One process holds the embedded engines behind real loopback endpoints, the routers of the HTTP functions merged into
//! one server, event source mappings that feed the worker as Lambda does, the control calls those functions make, and a
//! mailbox for what handlers send.
//!
//! Beside it stand the commands for an installation on AWS ([`stack`]).
//!
//! **Functions do not know that they run here:** they get endpoints instead of AWS's addresses, and nothing else differs.

pub mod cli;
pub mod control;
pub mod engines;
pub mod folder;
mod guard;
mod house;
mod key;
mod lua_tests;
pub mod mailbox;
pub mod mapping;
pub mod package;
pub mod ports;
pub mod runtime;
pub mod stack;

pub use house::{BrokerOptions, House, Options, StartError};

#[cfg(test)]
mod testing;

//! The Lua host as a worker uses it: a real sandbox process, real handlers, a host that records.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unreachable_pub, reason = "nothing is reached from outside a test binary")]

mod attacks;
mod blame;
mod handlers;
mod house;
mod libraries;
mod walls;

//! The one place where this program speaks to the operating system and to the Lua machine without the compiler's protection.
//!
//! Everything above calls safe functions of [`machine`] and [`process`]; each `unsafe` block here says why it holds.
#![allow(unsafe_code, reason = "seccomp, shared memory and the machine's interrupt have no safe interface")]

pub(crate) mod machine;
pub(crate) mod process;

//! From a process to a program: its environment, its log, its AWS clients.
//!
//! **The environment is read here and nowhere else**, once, whole, at the start; one error names everything that
//! is missing or wrong.

mod aws;
mod environment;
mod log;

pub use aws::{Aws, Endpoints, SqsParts};
pub use environment::{ConfigError, Environment, Reader, Sealing};
pub use log::{LogError, init_tracing};

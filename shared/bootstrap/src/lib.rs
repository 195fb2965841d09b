//! From a process to a program: its environment, its log, its AWS clients.
//!
//! **The environment is read here and nowhere else**, once, whole, at the start; one error names everything that
//! is missing or wrong.

mod aws;
mod ending;
mod environment;
mod log;
mod metrics;
mod start;

pub use aws::{Aws, Endpoints};
pub use ending::exit_code;
pub use environment::{ConfigError, Environment, Reader, Sealing};
pub use log::{LogError, init_tracing};
pub use metrics::{Metric, Metrics};
pub use start::StartError;

//! `outbox-sweeper`: every minute, what the outbox's stream missed and what has come due; then how the outbox stands.
//!
//! **Whatever the doorbell loses, the sweeper finds**, for it asks the rows themselves. Two runs at once do no harm: an entry
//! is leased before it is sent, and a lease that has passed to another run marks nothing any more.

mod event;
mod run;
mod start;

use bootstrap::Metrics;
use delivery::Courier;
use domain::Clock;
use zstorage::Outbox;

pub use event::{Report, Standing};
pub use start::start;

/// CloudWatch's namespace of our numbers.
pub const NAMESPACE: &str = "Queuelink";

/// The number that says for how long the oldest message has been due, seconds.
pub const LAG_SECONDS: &str = "OutboxLagSeconds";

/// The number of messages that were given up and wait for a person.
pub const PARKED_ENTRIES: &str = "ParkedEntries";

/// The function: everything that lives longer than one run. Cheap to clone.
#[derive(Clone)]
pub struct OutboxSweeper {
    /// Sends and marks.
    pub courier: Courier,
    /// Asked how it stands.
    pub outbox: Outbox,
    /// Told how it stands.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
}

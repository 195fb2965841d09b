//! `outbox-publisher`: new outbox entries in, as the stream of their table rings for them; their messages out.
//!
//! **The stream is a doorbell, the row is the truth.** What is not sent here is due still, and `outbox-sweeper` sends it. So
//! neither a record that cannot be read nor a dead destination holds up the shard for those behind it: only what was not begun
//! in time comes again.

mod batch;
mod event;
mod start;

use delivery::Courier;

pub use event::{EventError, StreamAnswer, StreamFailure};
pub use start::start;

/// The function: everything that lives longer than one batch. Cheap to clone.
#[derive(Clone)]
pub struct OutboxPublisher {
    /// Sends and marks.
    pub courier: Courier,
}

//! `job-worker`: a message of the jobs' queue in, some slices of its job done, the next message out.
//!
//! **What a slice did is noted before the next begins**, so a process may end anywhere: the message comes back, and the job
//! goes on where it was noted. A message is no more than a bell: how far a job is, and whether it has ended, the job says.

mod batch;
mod build;
mod drop;
mod event;
mod run;
mod start;

use domain::Clock;
use queue::{JobsQueue, Queues};
use zstorage::{Catalog, DataKeys, Jobs, Records};

pub use event::EventError;
pub use start::start;

/// The function: everything that lives longer than one batch. Cheap to clone.
#[derive(Clone)]
pub struct JobWorker {
    /// The tables.
    pub catalog: Catalog,
    /// What is in them.
    pub records: Records,
    /// How far the jobs are.
    pub jobs: Jobs,
    /// What lets them go on.
    pub jobs_queue: JobsQueue,
    /// Sets when a message that is returned comes again.
    pub queues: Queues,
    /// The tables' keys.
    pub keys: DataKeys,
    /// The time.
    pub clock: Clock,
    /// Records that one slice goes through, at most.
    pub slice_records: usize,
    /// Slices done for one message, at most, however much time is left.
    pub slices_at_once: u64,
}

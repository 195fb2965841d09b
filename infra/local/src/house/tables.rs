//! Tables and records on this machine: the same functions as on AWS, and the queue that keeps their jobs going.

use std::time::Duration;

use api::Tables;
use axum::Router;
use delivery::Writer;
use domain::Clock;
use job_worker::JobWorker;
use queue::{JobsQueue, Queues};
use serde_json::Value;
use zstorage::{Catalog, DataKeys, Jobs, Records, Sealer};
use zstorage_read::ReadState;
use zstorage_schema::SchemaState;
use zstorage_write::WriteState;

use super::queues::SystemQueue;
use crate::mapping::Function;

/// The function that does the jobs.
pub(super) const JOB_WORKER: &str = "job-worker";

/// Its timeout, as in the template.
const TIMEOUT_SECS: u32 = 60;

/// The queue that keeps jobs going.
pub(super) const JOBS: SystemQueue =
    SystemQueue { name: "jobs", part: "the jobs' queue", function: JOB_WORKER, timeout_secs: TIMEOUT_SECS };

/// A job begins so long after it was asked for, seconds: this one process knows every change at once, and what it had begun
/// to write before is over by then.
const JOB_DELAY_SECS: u32 = 1;

/// Records that one slice of a job goes through.
const SLICE_RECORDS: usize = 200;

/// Slices done for one message.
const SLICES_AT_ONCE: u64 = 1000;

/// What they all stand on.
#[derive(Clone)]
pub(super) struct TableParts {
    pub(super) catalog: Catalog,
    pub(super) records: Records,
    pub(super) writer: Writer,
    pub(super) jobs: Jobs,
    pub(super) queues: Queues,
    pub(super) sealer: Sealer,
    pub(super) clock: Clock,
}

impl TableParts {
    /// The routes of tables, pages and records.
    pub(super) fn router(&self) -> Router {
        let keys = DataKeys::new(self.sealer.clone());
        let tables = Tables::new(self.catalog.clone(), keys.clone());
        let schema = zstorage_schema::router(SchemaState {
            catalog: self.catalog.clone(),
            records: self.records.clone(),
            jobs: self.jobs.clone(),
            jobs_queue: self.jobs_queue(),
            sealer: self.sealer.clone(),
            keys,
            clock: self.clock.clone(),
            job_delay_secs: JOB_DELAY_SECS,
            trial_records: zstorage_schema::TRIAL_RECORDS,
        });
        let write = WriteState { tables: tables.clone(), writer: self.writer.clone() };
        let read = ReadState { tables, records: self.records.clone() };
        schema.merge(zstorage_write::router(write)).merge(zstorage_read::router(read))
    }

    /// The worker of jobs as a function that mappings can call.
    pub(super) fn worker(&self) -> Function {
        let worker = JobWorker {
            catalog: self.catalog.clone(),
            records: self.records.clone(),
            jobs: self.jobs.clone(),
            jobs_queue: self.jobs_queue(),
            queues: self.queues.clone(),
            keys: DataKeys::new(self.sealer.clone()),
            clock: self.clock.clone(),
            slice_records: SLICE_RECORDS,
            slices_at_once: SLICES_AT_ONCE,
        };
        let call = move |event: Value, remaining: Duration| {
            let worker = worker.clone();
            async move {
                let answer = worker.handle(event, remaining).await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(serde_json::to_value(answer)?)
            }
        };
        Function::new(Duration::from_secs(TIMEOUT_SECS.into()), call)
    }

    fn jobs_queue(&self) -> JobsQueue {
        JobsQueue::new(self.queues.clone(), JOBS.place())
    }
}

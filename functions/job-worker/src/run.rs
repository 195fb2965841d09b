use std::time::Instant;

use domain::{IndexState, Job, JobId, JobKind, JobState, Table, TablePrefix};
use zstorage::{CatalogError, SealError, StoreError};

use crate::JobWorker;

/// A lost race for a table's design is run again at most so often.
pub(crate) const TRIES: usize = 5;

/// An index that waits for held writes is looked at again after so many seconds.
const WAIT_FOR_HELD_SECS: u32 = 30;

/// How a visit to a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is done, or was given up.
    Ended,
    /// Time is up; it goes on with this slice.
    More {
        /// Which slice is next.
        slice: u64,
    },
    /// It cannot go on yet: with this slice after so many seconds.
    Later {
        /// Which slice is next.
        slice: u64,
        /// How long to wait.
        after_secs: u32,
    },
    /// Another worker has it.
    Taken,
    /// There is no such job, or not yet.
    Unknown,
}

/// Why a slice was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    /// The tables' designs could not be read or changed.
    #[error("the catalog did not do as it should")]
    Catalog(#[from] CatalogError),
    /// Records or the job itself could not be read or changed.
    #[error("the store did not do as it should")]
    Store(#[from] StoreError),
    /// The table's key does not open.
    #[error("the table's key does not open")]
    Seal(#[from] SealError),
}

impl JobWorker {
    /// Does slices of the job until it has ended, the time is up, or it is another message's turn.
    pub(crate) async fn work(&self, id: JobId, until: Instant) -> Result<Progress, WorkError> {
        let Some(mut job) = self.jobs.job(id).await? else { return Ok(Progress::Unknown) };
        let last = job.slice + self.slices_at_once;
        while !job.has_ended() {
            let next = match job.kind {
                JobKind::BuildIndex { table, index } => self.build(&job, table, index).await?,
                JobKind::DropTable { table } => Some(self.drop_records(&job, table).await?),
            };
            let Some(next) = next else {
                return Ok(Progress::Later { slice: job.slice, after_secs: WAIT_FOR_HELD_SECS });
            };
            let Some(noted) = self.jobs.note(&next).await? else { return Ok(Progress::Taken) };
            job = noted;
            if job.has_ended() {
                tracing::info!(job.id = %id, job.kind = job.kind.as_str(), job.done = job.done, "A job has ended.");
            } else if job.slice >= last || Instant::now() >= until {
                return Ok(Progress::More { slice: job.slice });
            }
        }
        Ok(Progress::Ended)
    }

    /// Ends a job that cannot go on, and says so where it was asked for.
    pub(crate) async fn give_up(&self, id: JobId, reason: &str) -> Result<(), WorkError> {
        let Some(job) = self.jobs.job(id).await?.filter(|job| !job.has_ended()) else { return Ok(()) };
        if let JobKind::BuildIndex { table, index } = job.kind {
            let failed = IndexState::Failed { duplicates: job.duplicates.clone() };
            self.set_index(&job, table, index, failed).await?;
        }
        self.jobs.note(&failed(&job, reason)).await?;
        Ok(())
    }

    /// Changes the design of a table that another request may be changing, too. `None` = the table is gone, or `edit` wants
    /// nothing changed.
    pub(crate) async fn edit(
        &self,
        prefix: TablePrefix,
        edit: impl Fn(&Table) -> Option<Table>,
    ) -> Result<(), WorkError> {
        for _ in 0..TRIES {
            let Some(schema) = self.catalog.fresh_table(prefix).await? else { return Ok(()) };
            let Some(new) = edit(schema.table()) else { return Ok(()) };
            match self.catalog.update_table(schema.table(), &new).await {
                Err(CatalogError::Conflict) => {}
                saved => return Ok(saved.map(|_| ())?),
            }
        }
        Err(CatalogError::Conflict.into())
    }
}

/// The job as one that is done.
pub(crate) fn done(job: &Job) -> Job {
    Job { state: JobState::Done, cursor: None, ..job.clone() }
}

/// The job as one that was given up.
pub(crate) fn failed(job: &Job, reason: &str) -> Job {
    let reason = reason[..reason.floor_char_boundary(1024)].to_owned();
    Job { state: JobState::Failed { reason }, cursor: None, ..job.clone() }
}

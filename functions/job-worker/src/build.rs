use std::sync::Arc;
use std::time::Duration;

use domain::{Index, IndexId, IndexState, Job, Table, TablePrefix};
use zstorage::OpenTable;

use crate::JobWorker;
use crate::run::{WorkError, done, failed};

/// So many pairs are named at most.
const MAX_DUPLICATES: usize = 10;

/// So long after a table was changed nobody writes by its old design any more: a catalog's cache, a request, a margin.
const KNOWN_AFTER: Duration = Duration::from_secs(60);

const DUPLICATES: &str = "values that must be unique stand more than once; the pairs of records are named";

const NO_PAIRS: &str =
    "the index was given up after slices of it had failed again and again; delete it and make it anew";

impl JobWorker {
    /// One slice of an index; `None` = not yet, and nothing was done. The last one makes the index ready, or says what is in its way, and only then ends the job: a
    /// process that ends between the two finds the index as it left it.
    pub(crate) async fn build(
        &self,
        job: &Job,
        prefix: TablePrefix,
        id: IndexId,
    ) -> Result<Option<Job>, WorkError> {
        let Some(schema) = self.catalog.fresh_table(prefix).await? else {
            return Ok(Some(failed(job, "the table was deleted")));
        };
        match schema.table().indexes.iter().find(|index| index.id == id).map(|index| &index.state) {
            None => return Ok(Some(failed(job, "the index was deleted"))),
            Some(IndexState::Ready) => return Ok(Some(done(job))),
            Some(IndexState::Failed { duplicates }) => return Ok(Some(given_up(job, duplicates))),
            Some(IndexState::Building { job: builder }) if *builder != job.id.to_string() => {
                return Ok(Some(failed(job, "another job builds the index")));
            }
            Some(IndexState::Building { .. }) => {}
        }
        // What was held by the table's old design is put where nobody looks again, and lacks the index.
        if job.cursor.is_none() && self.records.has_held(prefix, job.created_at + KNOWN_AFTER).await? {
            return Ok(None);
        }
        let keys = self.keys.of(schema.table()).await?;
        let open = OpenTable { schema, keys, queues: Arc::default() };
        let slice = self.records.build_slice(&open, id, job.cursor.as_deref(), self.slice_records).await?;
        if slice.waits {
            return Ok(None);
        }
        let mut next = Job { done: job.done + slice.done, cursor: slice.cursor.clone(), ..job.clone() };
        // A slice that is done again finds the same pairs again.
        for pair in slice.duplicates {
            if next.duplicates.len() < MAX_DUPLICATES && !next.duplicates.contains(&pair) {
                next.duplicates.push(pair);
            }
        }
        if slice.cursor.is_some() && next.duplicates.len() < MAX_DUPLICATES {
            return Ok(Some(next));
        }
        if next.duplicates.is_empty() {
            self.set_index(&next, prefix, id, IndexState::Ready).await?;
            return Ok(Some(done(&next)));
        }
        let state = IndexState::Failed { duplicates: next.duplicates.clone() };
        self.set_index(&next, prefix, id, state).await?;
        Ok(Some(given_up(&next, &next.duplicates)))
    }

    /// Says how far an index is that `job` builds; one that is not there any more, or not this job's, is left as it is.
    pub(crate) async fn set_index(
        &self,
        job: &Job,
        prefix: TablePrefix,
        id: IndexId,
        state: IndexState,
    ) -> Result<(), WorkError> {
        let built_here = IndexState::Building { job: job.id.to_string() };
        let is_it = |index: &Index| index.id == id && index.state == built_here;
        self.edit(prefix, |table| {
            let at = table.indexes.iter().position(is_it)?;
            let mut table = Table { updated_at: self.clock.now(), ..table.clone() };
            table.indexes[at].state = state.clone();
            Some(table)
        })
        .await
    }
}

/// The job as one whose index has failed, and the pairs that the index names: what found them may have ended before it could
/// note them here. Without any it was given up for another reason, which is in the log.
fn given_up(job: &Job, duplicates: &[(String, String)]) -> Job {
    let reason = if duplicates.is_empty() { NO_PAIRS } else { DUPLICATES };
    failed(&Job { duplicates: duplicates.to_vec(), ..job.clone() }, reason)
}

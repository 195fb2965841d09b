use std::sync::Arc;

use domain::{Job, TablePrefix, TableState};
use zstorage::{CatalogError, OpenTable};

use crate::JobWorker;
use crate::run::{TRIES, WorkError, done, failed};

/// Why nobody waits any more for the queues of the table's strict writes.
const TABLE_DELETED: &str = "the table was deleted before the queue had answered";

impl JobWorker {
    /// One slice of removing a table: some of its records, and with the last ones the table.
    pub(crate) async fn drop_records(&self, job: &Job, prefix: TablePrefix) -> Result<Job, WorkError> {
        let Some(schema) = self.catalog.fresh_table(prefix).await? else { return Ok(done(job)) };
        if schema.table().state != TableState::Deleting {
            return Ok(failed(job, "the table is not being deleted"));
        }
        let keys = self.keys.of(schema.table()).await?;
        let open = OpenTable { schema, keys, queues: Arc::default() };
        let slice = self.records.drop_slice(&open, job.cursor.as_deref(), self.slice_records).await?;
        let next = Job { done: job.done + slice.done, cursor: slice.cursor, ..job.clone() };
        if next.cursor.is_some() {
            return Ok(next);
        }
        // Held writes stand now, so there are records again; their messages are left to people.
        if self.records.park_held(prefix, TABLE_DELETED).await? > 0 {
            return Ok(next);
        }
        self.remove_table(prefix).await?;
        Ok(done(&next))
    }

    async fn remove_table(&self, prefix: TablePrefix) -> Result<(), WorkError> {
        for _ in 0..TRIES {
            let Some(schema) = self.catalog.fresh_table(prefix).await? else { return Ok(()) };
            match self.catalog.delete_table(schema.table()).await {
                Err(CatalogError::Conflict) => {}
                gone => return Ok(gone?),
            }
        }
        Err(CatalogError::Conflict.into())
    }
}

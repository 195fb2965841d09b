//! What dynoxide leaves to be done: an index on its stream records, their trimming, and the TTL sweep.
//!
//! And one thing that it leaves half done when it is killed: it notes a table before it makes the table's data, in two
//! commits. Between them the table is known, cannot be used and cannot be made again.
//!
//! This reaches into dynoxide's private schema (`_tables`, `_stream_records`); tests hold the names it relies on.

use super::{ENGINE, file};
use crate::engines::EngineError;
use rusqlite::Connection;
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::MissedTickBehavior;

/// How often expired items are looked for. AWS promises days; here a person is watching.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Stream records are trimmed at each n-th sweep.
const TRIM_EVERY_SWEEPS: u32 = 6;

/// How long AWS keeps a stream record, in seconds.
pub(super) const STREAM_RETENTION_SECS: i64 = 24 * 60 * 60;

/// The second connection to dynoxide's file.
#[derive(Clone)]
pub(super) struct House(Arc<Mutex<Connection>>);

impl House {
    /// Opens the second connection, forgets tables whose making was broken off (nobody was told that they exist), and adds
    /// the index. Dynoxide must have made its own tables before, and have looked at none of ours yet.
    pub(super) fn open(file: &Path) -> Result<House, EngineError> {
        let fail = |error| file::explain(ENGINE, file, error);
        let connection = Connection::open(file).map_err(fail)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(fail)?;
        connection
            .execute_batch(
                "DELETE FROM _tables
                 WHERE table_name NOT IN (SELECT name FROM sqlite_schema WHERE type = 'table');
                 CREATE INDEX IF NOT EXISTS ix_stream_seq
                 ON _stream_records(table_name, CAST(sequence_number AS INTEGER));
                 PRAGMA synchronous = NORMAL;",
            )
            .map_err(fail)?;
        Ok(House(Arc::new(Mutex::new(connection))))
    }

    /// Removes the stream records that are older than 24 hours at `now_secs` (Unix seconds); says how many.
    pub(super) fn trim_streams(&self, now_secs: i64) -> rusqlite::Result<usize> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connection
            .execute("DELETE FROM _stream_records WHERE created_at < ?1", [now_secs - STREAM_RETENTION_SECS])
    }

    #[cfg(test)]
    pub(super) fn with<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sweeps and trims until it is dropped. A failure is said and tried again at the next turn: nothing is lost by it.
///
/// Both read the wall clock, because dynoxide stamps and expires by it too.
pub(super) async fn keep(house: House, database: dynoxide::Database) {
    let mut timer = tokio::time::interval(SWEEP_EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut sweeps = 0u32;
    loop {
        timer.tick().await;
        let trim = sweeps.is_multiple_of(TRIM_EVERY_SWEEPS);
        sweeps = sweeps.wrapping_add(1);
        let (house, database) = (house.clone(), database.clone());
        // A join error means the runtime is going down; the next tick will not come then.
        let _ = tokio::task::spawn_blocking(move || {
            if let Err(error) = database.sweep_ttl() {
                tracing::warn!(%error, "the TTL sweep of the local DynamoDB failed, it is tried again");
            }
            if trim && let Err(error) = house.trim_streams(unix_secs()) {
                tracing::warn!(%error, "old stream records of the local DynamoDB could not be removed");
            }
        })
        .await;
    }
}

fn unix_secs() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

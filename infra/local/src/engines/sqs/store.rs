//! The file: its schema, and the one way to change it (a [`Turn`]).

use super::{ENGINE, refusal::Refusal};
use crate::engines::{EngineError, file};
use domain::Clock;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::{
    cell::RefCell,
    net::SocketAddr,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// "QLSQ": tells our file from any other SQLite file.
const APPLICATION_ID: i64 = 0x514c_5351;
const SCHEMA_VERSION: i64 = 1;

/// A message is receivable when `visible_ms` has passed. Until then it is in flight if it has a `handle` (somebody
/// received it), else delayed. `receives` counts over all queues, as SQS reports it; `receives_here` since it came
/// to this queue, for the redrive policy. `seq` only grows: it is the order of FIFO queues. `enqueued_ms` is what
/// retention counts from.
const SCHEMA: &str = "
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    attributes TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL
);
CREATE TABLE message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    queue_id INTEGER NOT NULL REFERENCES queue(id) ON DELETE CASCADE,
    message_id TEXT NOT NULL,
    body TEXT NOT NULL,
    attributes TEXT NOT NULL,
    trace_header TEXT,
    group_id TEXT,
    deduplication_id TEXT,
    source_arn TEXT,
    sent_ms INTEGER NOT NULL,
    enqueued_ms INTEGER NOT NULL,
    visible_ms INTEGER NOT NULL,
    handle TEXT,
    received_ms INTEGER,
    first_received_ms INTEGER,
    receives INTEGER NOT NULL DEFAULT 0,
    receives_here INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX message_by_visibility ON message(queue_id, visible_ms, seq);
CREATE INDEX message_by_age ON message(queue_id, enqueued_ms);
CREATE INDEX message_by_group ON message(queue_id, group_id, visible_ms) WHERE group_id IS NOT NULL;
CREATE TABLE deduplication (
    queue_id INTEGER NOT NULL REFERENCES queue(id) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    deduplication_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (queue_id, scope, deduplication_id)
) WITHOUT ROWID;
CREATE INDEX deduplication_by_expiry ON deduplication(expires_ms);
CREATE TABLE move_task (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    handle TEXT NOT NULL,
    source_arn TEXT NOT NULL,
    destination_arn TEXT,
    status TEXT NOT NULL,
    failure TEXT,
    moved INTEGER NOT NULL,
    to_move INTEGER NOT NULL,
    started_ms INTEGER NOT NULL
);
";

/// Where the queues are said to be.
pub(super) struct Place {
    pub(super) region: String,
    pub(super) account: String,
    pub(super) authority: SocketAddr,
}

impl Place {
    /// The ARN of a queue.
    pub(super) fn arn(&self, queue: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{queue}", self.region, self.account)
    }

    /// The URL of a queue, as of this start.
    pub(super) fn url(&self, queue: &str) -> String {
        format!("http://{}/{}/{queue}", self.authority, self.account)
    }

    /// The queue an ARN of ours names.
    pub(super) fn name_in_arn<'a>(&self, arn: &'a str) -> Option<&'a str> {
        arn.strip_prefix(&self.arn("")).filter(|name| !name.is_empty())
    }
}

/// The open file.
pub(super) struct Store {
    connection: Mutex<Connection>,
    place: Place,
    clock: Clock,
    file: PathBuf,
}

/// One operation on the queues: a transaction, the time it happens at, and the bells to ring once it is committed.
pub(super) struct Turn<'t> {
    transaction: Transaction<'t>,
    /// Now, in Unix milliseconds: one and the same for all that an operation does.
    pub(super) now_ms: i64,
    pub(super) place: &'t Place,
    to_ring: RefCell<Vec<String>>,
}

impl Deref for Turn<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.transaction
    }
}

impl Turn<'_> {
    /// Something may have become receivable at this queue.
    pub(super) fn ring(&self, queue: &str) {
        self.to_ring.borrow_mut().push(queue.to_owned());
    }
}

impl Store {
    pub(super) fn open(file: &Path, place: Place, clock: Clock) -> Result<Store, EngineError> {
        let fail = |error| file::explain(ENGINE, file, error);
        let connection = file::open(ENGINE, file)?;
        let pragma =
            |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(fail);
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(fail)?;
        let foreign = |reason: String| EngineError::Foreign { engine: ENGINE, file: file.to_owned(), reason };
        if tables > 0 && pragma("application_id")? != APPLICATION_ID {
            return Err(foreign("it is a database of another program".to_owned()));
        }
        let version = pragma("user_version")?;
        if version > SCHEMA_VERSION {
            return Err(foreign(format!("a newer release wrote it, version {version}")));
        }
        // NORMAL in WAL mode: a commit reaches the operating system, so it survives a killed process.
        connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;").map_err(fail)?;
        if tables == 0 {
            let script = format!(
                "BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID};
                 PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            );
            connection.execute_batch(&script).map_err(fail)?;
        }
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Store { connection: Mutex::new(connection), place, clock, file: file.to_owned() })
    }

    /// Runs one operation whole: committed if it gives an answer, undone if it refuses. Blocks on the file. The
    /// second half of the answer names the queues to ring at.
    pub(super) fn turn<T>(
        &self,
        operation: impl FnOnce(&Turn<'_>) -> Result<T, Refusal>,
    ) -> Result<(T, Vec<String>), Refusal> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // The time is taken inside the lock, so that it never runs backwards from one turn to the next.
        let now_ms = self.clock.now().as_millisecond();
        let turn = Turn { transaction, now_ms, place: &self.place, to_ring: RefCell::default() };
        let answer = operation(&turn)?;
        let Turn { transaction, to_ring, .. } = turn;
        transaction.commit()?;
        Ok((answer, to_ring.into_inner()))
    }

    pub(super) fn oldest_age_secs(&self, queue: &str) -> Result<Option<u64>, EngineError> {
        let connection = self.lock();
        let oldest: Option<Option<i64>> = connection
            .query_row(
                "SELECT min(enqueued_ms) FROM message JOIN queue ON queue.id = queue_id WHERE name = ?1",
                [queue],
                |row| row.get(0),
            )
            .optional()
            .map_err(|error| file::explain(ENGINE, &self.file, error))?;
        let now_ms = self.clock.now().as_millisecond();
        Ok(oldest.flatten().map(|since_ms| now_ms.saturating_sub(since_ms).max(0).unsigned_abs() / 1000))
    }

    /// A panic inside a turn has rolled its transaction back: the connection stays good.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

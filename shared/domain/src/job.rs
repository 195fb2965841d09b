use jiff::Timestamp;

use crate::{IndexId, JobId, TablePrefix};

/// Work on all records of a table, done in slices: each goes on where the one before noted to have come, so that a process
/// that ends in the midst of it loses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// Where the next slice begins, in the words of whoever does the work; `None` = at the start.
    pub cursor: Option<String>,
    /// Slices noted so far. A note is conditioned on it, so that of two workers at one slice one goes on.
    pub slice: u64,
    /// Records gone through.
    pub done: u64,
    /// Of an index: up to ten pairs of records that have the same values, by their ids.
    pub duplicates: Vec<(String, String)>,
    /// How far it is.
    pub state: JobState,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its last slice was noted.
    pub updated_at: Timestamp,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Adds a table's records to an index, or takes the guards of their unique values.
    BuildIndex {
        /// Which table's.
        table: TablePrefix,
        /// Which index.
        index: IndexId,
    },
    /// Removes all records of a table, then the table.
    DropTable {
        /// Which table.
        table: TablePrefix,
    },
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Not done yet.
    Running,
    /// All of it is done.
    Done,
    /// It was given up.
    Failed {
        /// Why, for a person.
        reason: String,
    },
}

impl Job {
    /// A job that has not begun.
    pub fn new(id: JobId, kind: JobKind, now: Timestamp) -> Job {
        Job {
            id,
            kind,
            cursor: None,
            slice: 0,
            done: 0,
            duplicates: Vec::new(),
            state: JobState::Running,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether nothing more happens.
    pub fn has_ended(&self) -> bool {
        self.state != JobState::Running
    }
}

impl JobKind {
    /// `build-index` or `drop-table`.
    pub fn as_str(&self) -> &'static str {
        match self {
            JobKind::BuildIndex { .. } => "build-index",
            JobKind::DropTable { .. } => "drop-table",
        }
    }

    /// The table it works on.
    pub fn table(&self) -> TablePrefix {
        match self {
            JobKind::BuildIndex { table, .. } | JobKind::DropTable { table } => *table,
        }
    }
}

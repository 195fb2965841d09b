//! The Records table: records, the guards of what is unique, the rows of clients' idempotency keys.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | record | `TABLE#BUCKET` | its id |
//! | guard | `TABLE#u#INDEX#hash of the values` | `guard` |
//! | idempotency row | `w#KEY ID#hash of the client's key` | `row`, and `row/1` ... for what it does not hold |
//!
//! Messages of writes are entries of the Outbox, saved in the same transaction; what a strict write is about to do lies there, too.
//!
//! A table's user indexes are five secondary indexes `index-1` to `index-5` that all tables share: a record stands in one by
//! `i1pk` = `TABLE#INDEX#BUCKET` and `i1sk`, its values as bytes that sort as they do.

mod batch;
mod build;
mod cursor;
mod get;
mod guard;
mod held;
mod index_key;
mod item;
mod judged;
mod links;
mod plan;
mod query;
mod row;
mod scan;
mod size;
mod stray;
mod transaction;
mod write;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use domain::{ApiName, Clock, Faults, KeyId, Operation, RawFields, Record, RecordId, TableSchema};

use crate::seal::TableKeys;
use crate::table::Table;
use crate::{Outbox, StoreError};

pub use build::Slice;
pub use held::{Applied, Settled};
pub use links::{HeldWrite, LinkQueue, LinkQueues, Pending};
pub use plan::Direction;
pub use query::{
    Explain, Found, MAX_ITEMS_COUNTED, MAX_ITEMS_READ, MAX_LIMIT, MAX_SEARCH_BYTES, Query, QueryError,
};
pub use scan::Scanned;
pub use size::{MAX_RECORD_BYTES, MAX_TRANSACTION_BYTES};

/// How a lost race of an update without a version is met: read, merge and send again, at most so often in all.
pub const MERGES: u32 = 5;

/// What DynamoDB does in one transaction, at most.
pub const MAX_ACTIONS: usize = 100;

/// The records of all tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Records {
    table: Table,
    outbox: Outbox,
    clock: Clock,
}

/// A table whose records can be read and written: what it is, and its keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OpenTable {
    /// Its definition, compiled.
    pub schema: Arc<TableSchema>,
    /// What its encrypted text and its cursors are kept with.
    pub keys: Arc<TableKeys>,
    /// What is known of the queues of its links. Only writes ask.
    pub queues: Arc<LinkQueues>,
}

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The caller's API key.
    pub caller: KeyId,
    /// The caller's `Idempotency-Key`, of any length, and the hash of method, path and body: the same write is done once, and
    /// answered alike for 24 hours.
    pub idempotency: Option<(String, [u8; 32])>,
    /// How many links this write follows from, one from the other: 0 = nobody's handler writes. At [`domain::MAX_LINK_DEPTH`] no
    /// link may fire any more.
    pub depth: u32,
}

/// One change of one record.
#[derive(Debug, Clone)]
pub struct Change {
    /// The record's table.
    pub table: OpenTable,
    /// What to do.
    pub kind: ChangeKind,
}

/// What to do with one record.
#[derive(Debug, Clone)]
pub enum ChangeKind {
    /// Make it.
    Create(RawFields),
    /// Change these fields of it; `null` takes a value away, all others stay.
    Update {
        /// Which.
        id: RecordId,
        /// The fields to change.
        fields: RawFields,
        /// Only if this is its version.
        if_match: Option<u64>,
    },
    /// Remove it.
    Delete {
        /// Which.
        id: RecordId,
        /// Only if this is its version.
        if_match: Option<u64>,
    },
}

/// A write that is done, or held.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The record as this write left it; a removed one as it was.
    pub record: Record,
    /// What was done.
    pub operation: Operation,
    /// Whether it was done by an earlier request with the same idempotency key.
    pub replayed: bool,
    /// The messages that its links made of it, in the order of the links.
    pub messages: Vec<Pending>,
    /// Of a strict link that fired: nothing was written yet. Whoever gets this sends the message, then ends the write.
    pub held: Option<HeldWrite>,
}

/// Why a record was not written. Nothing was changed then; with [`WriteError::Store`] that is not known for sure.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// What the caller gave does not fit the table: every fault of it.
    #[error(transparent)]
    Invalid(#[from] Faults),
    /// Another record has these values.
    #[error("another record has this already: {}", names(fields))]
    Taken {
        /// The fields that are unique, or unique together.
        fields: Vec<ApiName>,
    },
    /// There is no such record.
    #[error("there is no record with this id")]
    Missing,
    /// The record does not have the version that the caller expects.
    #[error("the record has version {current} now; read it again and repeat the change")]
    Stale {
        /// The version it has.
        current: u64,
    },
    /// Others wrote the record each time that the change had been merged into it.
    #[error("other requests write this record all the while; try again")]
    Contended,
    /// The idempotency key came with another request before.
    #[error("this idempotency key was used for another request")]
    OtherBody,
    /// The record, or all of a batch or of a write with its messages together, is too large.
    #[error(
        "a record may have {MAX_RECORD_BYTES} bytes, an atomic batch or a write with its messages {MAX_TRANSACTION_BYTES}; this has {bytes}"
    )]
    TooLarge {
        /// Its size, bytes.
        bytes: usize,
    },
    /// It is more than one transaction can do.
    #[error(
        "this takes {actions} actions, and one transaction does {MAX_ACTIONS}: a record takes one, each of its unique values and lookups that changes one more or two, each message one for every 300 KB"
    )]
    TooMany {
        /// What it takes.
        actions: usize,
    },
    /// The table is being deleted.
    #[error("this table is being deleted")]
    Deleting,
    /// A strict write of this record waits for its queue.
    #[error(
        "another request is writing this record and waits for its queue to answer; try again in a moment"
    )]
    Held,
    /// The request that came with this idempotency key before waits for its queue.
    #[error(
        "the request with this idempotency key is still under way: its queue has not answered yet; try again in a moment"
    )]
    InFlight,
    /// A strict link's queue refuses, or has not got this record's message before.
    #[error(
        "the queue that must take this write's message takes none now, or still lacks the record's message before; nothing was written, try again later"
    )]
    QueueDown,
    /// Of an atomic batch: this one could have been done, but another could not.
    #[error("not done, because another operation of the batch could not be done")]
    Undone,
    /// The store could not answer. After an answer that was lost it may have been done all the same.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WriteError {
    /// Whether the same request may work in a moment.
    pub fn is_retryable(&self) -> bool {
        match self {
            WriteError::Contended | WriteError::Held | WriteError::InFlight | WriteError::QueueDown => true,
            WriteError::Store(error) => error.is_retryable(),
            _ => false,
        }
    }
}

fn names(fields: &[ApiName]) -> String {
    fields.iter().map(ApiName::as_str).collect::<Vec<_>>().join(", ")
}

impl Records {
    /// The records kept in `table`, as [`crate::create_tables`] makes it; the messages of their writes in `outbox`.
    pub fn new(client: Client, table: String, outbox: Outbox, clock: Clock) -> Records {
        Records { table: Table { client, name: table }, outbox, clock }
    }
}

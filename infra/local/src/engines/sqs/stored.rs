//! A message as it lies in the store.

use rusqlite::Row;

/// A row of `message`, as far as a receiver sees it.
pub(super) struct Stored {
    pub(super) seq: i64,
    pub(super) message_id: String,
    pub(super) body: String,
    pub(super) attributes: String,
    pub(super) trace_header: Option<String>,
    pub(super) group_id: Option<String>,
    pub(super) deduplication_id: Option<String>,
    pub(super) source_arn: Option<String>,
    pub(super) sent_ms: i64,
    pub(super) first_received_ms: Option<i64>,
    pub(super) receives: i64,
    pub(super) receives_here: i64,
}

/// What [`Stored::read`] reads, in its order.
pub(super) const COLUMNS: &str =
    "seq, message_id, body, attributes, trace_header, group_id, deduplication_id, source_arn,
    sent_ms, first_received_ms, receives, receives_here";

impl Stored {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Stored> {
        Ok(Stored {
            seq: row.get(0)?,
            message_id: row.get(1)?,
            body: row.get(2)?,
            attributes: row.get(3)?,
            trace_header: row.get(4)?,
            group_id: row.get(5)?,
            deduplication_id: row.get(6)?,
            source_arn: row.get(7)?,
            sent_ms: row.get(8)?,
            first_received_ms: row.get(9)?,
            receives: row.get(10)?,
            receives_here: row.get(11)?,
        })
    }
}

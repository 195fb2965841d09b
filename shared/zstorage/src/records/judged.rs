use domain::{Operation, Record, RecordId, TableState};
use jiff::Timestamp;

use super::held::is_held;
use super::item::{item_of, keep_newer_fields, record_of};
use super::size::{MAX_RECORD_BYTES, item_bytes};
use super::{Change, ChangeKind, OpenTable, WriteError};
use crate::item::Item;

/// One change, judged by its table's rules against the record as it was read.
pub(super) struct Judged<'c> {
    pub(super) table: &'c OpenTable,
    pub(super) id: RecordId,
    pub(super) operation: Operation,
    /// The record before; `None` for one that is new.
    pub(super) old: Option<Record>,
    /// The record after and its item; `None` for one that is removed.
    pub(super) new: Option<(Record, Item)>,
    /// The item that was read.
    pub(super) old_item: Option<&'c Item>,
}

impl Judged<'_> {
    /// Whether the record stays as it is. Then it keeps its version: a write that changes nothing is none.
    pub(super) fn changes_nothing(&self) -> bool {
        match (&self.old, &self.new) {
            (Some(old), Some((new, _))) => old.values == new.values,
            _ => false,
        }
    }

    /// The version of the write; a removal counts as one more.
    pub(super) fn version(&self) -> u64 {
        self.old.as_ref().map_or(1, |old| old.version + 1)
    }

    /// The record that the answer shows, and its item.
    pub(super) fn shown(&self) -> (&Record, &Item) {
        let old = || Some((self.old.as_ref()?, self.old_item?));
        let new = self.new.as_ref().filter(|_| !self.changes_nothing()).map(|(record, item)| (record, item));
        new.or_else(old).expect("a change has a record before or after it")
    }
}

/// What `change` makes of the record `id`, whose item is `old_item`.
pub(super) fn judge<'c>(
    change: &'c Change,
    id: RecordId,
    old_item: Option<&'c Item>,
    now: Timestamp,
) -> Result<Judged<'c>, WriteError> {
    let table = &change.table;
    if id.table() != table.schema.table().prefix {
        // An id of another table is nobody's here.
        return Err(WriteError::Missing);
    }
    if table.schema.table().state == TableState::Deleting {
        return Err(WriteError::Deleting);
    }
    let judged = |operation, old, new| Judged { table, id, operation, old, new, old_item };
    let (fields, if_match) = match &change.kind {
        ChangeKind::Create(fields) => {
            let values = table.schema.create(fields, now)?;
            let record = Record { id, version: 1, values, created_at: now, updated_at: now };
            let item = fitting(item_of(table, &record))?;
            return Ok(judged(Operation::Create, None, Some((record, item))));
        }
        ChangeKind::Update { fields, if_match, .. } => (Some(fields), if_match),
        ChangeKind::Delete { if_match, .. } => (None, if_match),
    };
    let old_item = old_item.ok_or(WriteError::Missing)?;
    if is_held(old_item) {
        return Err(WriteError::Held);
    }
    let old = record_of(table, old_item)?;
    if if_match.is_some_and(|version| version != old.version) {
        return Err(WriteError::Stale { current: old.version });
    }
    let Some(fields) = fields else {
        table.schema.delete(&old.values)?;
        return Ok(judged(Operation::Delete, Some(old), None));
    };
    let values = table.schema.update(&old.values, fields)?;
    let new = Record { id, version: old.version + 1, values, created_at: old.created_at, updated_at: now };
    let mut item = item_of(table, &new);
    keep_newer_fields(&mut item, old_item, table.schema.table().next_field);
    let item = fitting(item)?;
    Ok(judged(Operation::Update, Some(old), Some((new, item))))
}

/// `item`, if it is not too large.
fn fitting(item: Item) -> Result<Item, WriteError> {
    let bytes = item_bytes(&item);
    if bytes > MAX_RECORD_BYTES { Err(WriteError::TooLarge { bytes }) } else { Ok(item) }
}

//! Guards: what no two records may have in common is an item of its own, so that one transaction can take it.

use std::collections::BTreeMap;

use domain::{EntryKey, Index, IndexId, RecordId, Table, Values, hex};
use sha2::{Digest, Sha256};

use super::held::HELD;
use super::index_key::values_key;
use crate::StoreError;
use crate::item::{Item, Reader, Writer, text};
use crate::table::{Action, Expression};

/// The sort key of a guard.
pub(crate) const SK: &str = "guard";

/// The record that holds it.
const HOLDER: &str = "id";

/// The partition of the guard of `values` in a unique index; `None` when one of them is absent, and nothing is guarded.
pub(crate) fn guard_of(table: &Table, index: &Index, values: &Values) -> Option<String> {
    let key = values_key(index, values).filter(|_| index.unique)?;
    Some(format!("{}#u#{}#{}", table.prefix, index.id.0, hex(&Sha256::digest(key))))
}

/// The guards that a record with `values` holds, and which index each belongs to.
pub(super) fn guards_of(table: &Table, values: &Values) -> BTreeMap<String, IndexId> {
    let guard = |index: &Index| Some((guard_of(table, index, values)?, index.id));
    table.kept_indexes().filter_map(guard).collect()
}

/// Who holds the guard.
pub(crate) fn holder(item: &Item) -> Result<RecordId, StoreError> {
    Reader(item).parsed(HOLDER)
}

/// The guards of all indexes that a record with `values` may hold: also of those that writes keep no more.
pub(super) fn all_guards_of(table: &Table, values: &Values) -> impl Iterator<Item = String> {
    table.indexes.iter().filter_map(|index| guard_of(table, index, values))
}

/// Takes a guard for `id`: it is free, or its own already, or held by one of `before`, who have no need of it once this is done.
/// Where a strict write takes it, `entry` marks it: until that write stands, its holder has not the values.
pub(super) fn take(pk: &str, id: RecordId, before: &[RecordId], entry: Option<&EntryKey>) -> Action {
    let item = Writer::new(pk, SK).set(HOLDER, text(id)).set_some(HELD, entry.map(text)).done();
    Action::Put(item, Some(free_or_held_by(before.iter().chain([&id]))))
}

/// Lets go of a guard that one of `holders` holds.
pub(super) fn free(pk: &str, holders: &[RecordId]) -> Action {
    let condition = free_or_held_by(holders.iter());
    Action::Delete { pk: pk.to_owned(), sk: SK.to_owned(), condition }
}

fn free_or_held_by<'i>(holders: impl Iterator<Item = &'i RecordId>) -> Expression {
    let mut condition = Expression::default().name("#holder", HOLDER);
    let mut placeholders = Vec::new();
    for (at, holder) in holders.enumerate() {
        let placeholder = format!(":holder{at}");
        condition = condition.value(&placeholder, text(holder));
        placeholders.push(placeholder);
    }
    condition.text = format!("attribute_not_exists(pk) OR #holder IN ({})", placeholders.join(", "));
    condition
}

//! What jobs do with a table's records: put those that were there before an index into it, or remove them all.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use domain::{Index, IndexId, RecordId};
use futures::stream::{self, TryStreamExt};

use super::guard::{self, all_guards_of, guard_of};
use super::index_key::index_key;
use super::item::{at_version, index_attributes, key_of, readable_values, record_of};
use super::stray::{Held, Stray};
use super::{OpenTable, Records};
use crate::StoreError;
use crate::item::{Item, Reader, bytes, key, text};
use crate::table::{ASKS, Action, Expression, Undone, held_by_a_transaction, patiently, pause_before};

/// Records that are put into an index at once.
const AT_ONCE: usize = 8;

/// A record that is written again each time before it could be put into the index is given up after so many.
const TURNS: usize = 20;

/// Deletes that one call may ask for.
const DELETES_AT_ONCE: usize = 25;

/// One slice of a job on a table's records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    /// Where the next slice begins; `None` = all is done.
    pub cursor: Option<String>,
    /// Records that this slice went through.
    pub done: u64,
    /// Pairs of records that have the same values where they must be unique.
    pub duplicates: Vec<(String, String)>,
    /// A strict write that is held is about to give one more record the values of one of these. Whether they stand twice then, is
    /// known once it stands or was undone: this slice is to be done again.
    pub waits: bool,
}

/// What keeps a record out of an index.
enum Barred {
    Duplicate(String, String),
    Waits,
}

/// How a record got into an index.
enum Put {
    Done,
    /// It is there, and another record holds its values.
    Duplicate(RecordId),
    /// A held write has its guard, and may be undone.
    Waits,
    /// Its guard is held by a record that has not its values.
    Stray(Stray),
    /// It was written meanwhile.
    Raced,
}

impl Records {
    /// Puts up to `limit` records behind `cursor` into `index`, each under the condition that nobody writes it meanwhile, and takes
    /// their guards. May be done again at any time. Records that are written by whoever knows the index stand in it already.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn build_slice(
        &self,
        table: &OpenTable,
        index: IndexId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        let Some(index) = table.schema.table().indexes.iter().find(|kept| kept.id == index) else {
            // It was dropped meanwhile: there is nothing to build.
            return Ok(Slice::default());
        };
        let (items, cursor) = self.items_behind(table, cursor, limit).await?;
        let done = items.len() as u64;
        let put = stream::iter(items.into_iter().map(Ok::<_, StoreError>));
        let put = put.map_ok(|item| self.put_into(table, index, item)).try_buffered(AT_ONCE);
        let barred: Vec<Option<Barred>> = put.try_collect().await?;
        let mut slice = Slice { cursor, done, ..Slice::default() };
        for barred in barred.into_iter().flatten() {
            match barred {
                Barred::Duplicate(one, other) => slice.duplicates.push((one, other)),
                Barred::Waits => slice.waits = true,
            }
        }
        Ok(slice)
    }

    async fn put_into(
        &self,
        table: &OpenTable,
        index: &Index,
        item: Item,
    ) -> Result<Option<Barred>, StoreError> {
        let mut item = item;
        let id = record_of(table, &item)?.id;
        let mut stray = None;
        for _ in 0..TURNS {
            match self.put_once(table, index, &item, stray.take()).await? {
                Put::Stray(seen) => stray = Some(seen),
                Put::Done => return Ok(None),
                Put::Duplicate(other) => {
                    return Ok(Some(Barred::Duplicate(other.to_string(), id.to_string())));
                }
                Put::Waits => return Ok(Some(Barred::Waits)),
                Put::Raced => match self.items_of(&[id]).await?.remove(&id) {
                    Some(now) => item = now,
                    // Removed meanwhile, and its guard with it.
                    None => return Ok(None),
                },
            }
        }
        Err(StoreError::Busy { operation: OPERATION })
    }

    /// The guard may be taken from `stray`.
    async fn put_once(
        &self,
        table: &OpenTable,
        index: &Index,
        item: &Item,
        stray: Option<Stray>,
    ) -> Result<Put, StoreError> {
        let definition = table.schema.table();
        let record = record_of(table, item)?;
        let guard = guard_of(definition, index, &record.values);
        let (pk, sk) = key_of(record.id);
        let condition = at_version(record.version);
        let place = index_key(definition, index, &record.values, &record.id);
        let update = index_attributes(index).and_then(|names| update(item, names, place));
        let (own, guard) = match (update, guard) {
            (None, None) => return Ok(Put::Done),
            (Some(update), None) => return self.update_alone((pk, sk), update, condition).await,
            (Some(update), Some(guard)) => (Action::Update { pk, sk, update, condition }, guard),
            (None, Some(guard)) => (Action::Check { pk, sk, condition }, guard),
        };
        let before: Vec<RecordId> = stray.iter().map(|stray| stray.holder).collect();
        let mut actions = vec![own, guard::take(&guard, record.id, &before, None)];
        actions.extend(stray.map(Stray::check));
        match self.table.transact(OPERATION, actions).await {
            Ok(()) => Ok(Put::Done),
            Err(Undone::Conditions(places)) if places.contains(&0) => Ok(Put::Raced),
            Err(Undone::Conditions(_)) => match self.held(table, index, &guard).await? {
                Held::By(other) => Ok(Put::Duplicate(other)),
                Held::ByHeldWrite => Ok(Put::Waits),
                Held::Stray(stray) => Ok(Put::Stray(stray)),
                // Let go of meanwhile.
                Held::Free => Ok(Put::Raced),
            },
            Err(Undone::Store(error)) => Err(error),
        }
    }

    /// Without a guard one item changes, and half the write units of a transaction do.
    async fn update_alone(
        &self,
        (pk, sk): (String, String),
        update: Expression,
        condition: Expression,
    ) -> Result<Put, StoreError> {
        let names = update.names.into_iter().chain(condition.names).collect();
        let values = update.values.into_iter().chain(condition.values).collect();
        let call = self.table.client.update_item().table_name(&self.table.name);
        let call = call
            .set_key(Some(key(&pk, &sk)))
            .update_expression(update.text)
            .condition_expression(condition.text)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values));
        match patiently(|| call.clone().send(), held_by_a_transaction).await {
            Ok(_) => Ok(Put::Done),
            Err(error) => match error.as_service_error() {
                Some(refusal) if refusal.is_conditional_check_failed_exception() => Ok(Put::Raced),
                _ => Err(StoreError::from_call(OPERATION, error)),
            },
        }
    }

    /// Removes up to `limit` records behind `cursor` with their guards. For a table in which nothing is written any more.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn drop_slice(
        &self,
        table: &OpenTable,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Slice, StoreError> {
        let (items, cursor) = self.items_behind(table, cursor, limit).await?;
        let mut records: Vec<Item> = Vec::new();
        // Each once: of an index that was not built to its end several records may have one.
        let mut guards = BTreeSet::new();
        for item in &items {
            let (pk, sk) = key_of(Reader(item).parsed("sk")?);
            records.push(key(&pk, &sk));
            guards.extend(all_guards_of(table.schema.table(), &readable_values(table, item)));
        }
        // Guards first: once its record is gone, nobody finds a guard any more.
        let guards: Vec<Item> = guards.iter().map(|guard| key(guard, guard::SK)).collect();
        for keys in guards.chunks(DELETES_AT_ONCE).chain(records.chunks(DELETES_AT_ONCE)) {
            self.remove(keys).await?;
        }
        Ok(Slice { cursor, done: items.len() as u64, ..Slice::default() })
    }

    async fn remove(&self, keys: &[Item]) -> Result<(), StoreError> {
        const OPERATION: &str = "remove a table's records";
        let delete = |key: &Item| {
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
            WriteRequest::builder().delete_request(delete.expect("the key is set")).build()
        };
        let mut left: Vec<WriteRequest> = keys.iter().map(delete).collect();
        for ask in 0..ASKS {
            pause_before(ask).await;
            let call = self.table.client.batch_write_item().request_items(&self.table.name, left);
            let answer = patiently(|| call.clone().send(), held_by_a_transaction).await;
            let answer = answer.map_err(|error| StoreError::from_call(OPERATION, error))?;
            left = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(StoreError::Busy { operation: OPERATION })
    }
}

const OPERATION: &str = "put a record into an index";

/// Sets the attributes of an index to its place in it; or takes away what another index left there, if it has none.
fn update(item: &Item, names: (String, String), place: Option<(String, Vec<u8>)>) -> Option<Expression> {
    let (pk_name, sk_name) = names;
    let named = |text: &str| Expression::new(text).name("#ipk", &pk_name).name("#isk", &sk_name);
    match place {
        Some((pk, sk)) => {
            let update = named("SET #ipk = :ipk, #isk = :isk");
            Some(update.value(":ipk", text(pk)).value(":isk", bytes(&sk)))
        }
        None => item.contains_key(&pk_name).then(|| named("REMOVE #ipk, #isk")),
    }
}

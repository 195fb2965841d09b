use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::{Fault, Faults, IndexId, RawFields, RecordId};
use rand::Rng;
use tokio::time::sleep;

use super::judged::{Judged, judge};
use super::links::{HeldWrite, Linked, MessageIds, linked};
use super::row::RowKey;
use super::stray::{Held, Stray};
use super::transaction::{Role, Seen, Transaction, Unfit, Wanted, lookup_errors, taken_error};
use super::{By, Change, ChangeKind, MERGES, OpenTable, Records, WriteError, Written};
use crate::item::Item;
use crate::table::{Action, Undone};

const OPERATION: &str = "write a record";

/// The first wait before a change is merged again, milliseconds; it doubles.
const PAUSE_MS: u64 = 8;

/// An answer for each change, in their order.
pub(super) type Answers = Vec<Result<Written, WriteError>>;

impl Change {
    /// The record that it is about, unless it makes one.
    pub(super) fn id(&self) -> Option<RecordId> {
        match &self.kind {
            ChangeKind::Create(_) => None,
            ChangeKind::Update { id, .. } | ChangeKind::Delete { id, .. } => Some(*id),
        }
    }
}

impl Records {
    /// Makes a record: one transaction with the guards of its unique values, its lookups and the idempotency row.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn create(
        &self,
        table: &OpenTable,
        fields: &RawFields,
        by: &By,
    ) -> Result<Written, WriteError> {
        self.one(table, ChangeKind::Create(fields.clone()), by).await
    }

    /// Changes `fields` of the record `id` and leaves the others. With `if_match` only if that is its version; without, the
    /// change is merged into whatever the record is by then, five times at most. What changes nothing is no write: the record
    /// keeps its version.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn update(
        &self,
        table: &OpenTable,
        id: RecordId,
        fields: &RawFields,
        if_match: Option<u64>,
        by: &By,
    ) -> Result<Written, WriteError> {
        let kind = ChangeKind::Update { id, fields: fields.clone(), if_match };
        self.one(table, kind, by).await
    }

    /// Removes the record `id`. Lookups that point at it stay as they are.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn delete(
        &self,
        table: &OpenTable,
        id: RecordId,
        if_match: Option<u64>,
        by: &By,
    ) -> Result<Written, WriteError> {
        self.one(table, ChangeKind::Delete { id, if_match }, by).await
    }

    async fn one(&self, table: &OpenTable, kind: ChangeKind, by: &By) -> Result<Written, WriteError> {
        let change = Change { table: table.clone(), kind };
        let mut answers = self.commit(&[change], RowKey::of(by, None).as_ref(), by.depth).await?;
        answers.pop().expect("one change has one answer")
    }

    /// Does all of `changes` in one transaction, or none. An idempotency key that was used before is looked at when anything
    /// at all speaks against the write: what an earlier request did may be the reason. The write follows from `depth` links. A change
    /// at which a strict link fires is held; it is the only one then.
    pub(super) async fn commit(
        &self,
        changes: &[Change],
        row: Option<&RowKey>,
        depth: u32,
    ) -> Result<Answers, WriteError> {
        let now = self.clock.now();
        let new_id = |change: &Change| {
            let table = change.table.schema.table();
            RecordId::new(table.prefix, table.buckets, now, &mut rand::rng())
        };
        // Chosen once: a transaction that is built again makes the same records.
        let ids: Vec<RecordId> =
            changes.iter().map(|change| change.id().unwrap_or_else(|| new_id(change))).collect();
        let repeated = repeated(changes);
        if !repeated.is_empty() {
            return self.refused(changes, row, repeated).await;
        }
        let (mut seen, mut messages) = (Seen::default(), MessageIds::default());
        for merge in 0..MERGES {
            pause_before(merge).await;
            let items = self.read_all(changes.iter().filter_map(Change::id)).await?;
            let judged = changes.iter().zip(&ids).map(|(change, id)| judge(change, *id, items.get(id), now));
            let (judged, faults) = split(judged);
            if !faults.is_empty() {
                return self.refused(changes, row, faults).await;
            }
            let linked = judged.iter().enumerate().map(|change| linked(change, depth, &mut messages, now));
            let (linked, faults) = split(linked);
            if !faults.is_empty() {
                return self.refused(changes, row, faults).await;
            }
            let barred = self.barred(&judged, &linked).await?;
            if !barred.is_empty() {
                return self.refused(changes, row, barred).await;
            }
            let wanted = Wanted { judged: &judged, linked: &linked, row };
            let transaction = match Transaction::of(&wanted, &seen, &self.outbox, now) {
                Ok(transaction) => transaction,
                Err(Unfit::Operations(faults)) => return self.refused(changes, row, faults).await,
                Err(Unfit::Whole(error)) => return self.known(changes, row).await?.ok_or(error),
            };
            // Each is looked at anew: its holder may have been written since.
            seen.strays.clear();
            let failed = match self.send(transaction.actions, transaction.others).await {
                Ok(()) => return Ok(judged.iter().zip(&linked).map(|done| Ok(written(done))).collect()),
                Err(Undone::Conditions(places)) => places,
                Err(Undone::Store(error)) => return Err(error.into()),
            };
            let failed: Vec<&Role> = failed.iter().filter_map(|at| transaction.roles.get(*at)).collect();
            if failed.contains(&&Role::Row) {
                return self.known(changes, row).await?.ok_or(WriteError::Contended);
            }
            let mut again = failed.contains(&&Role::Record) || failed.contains(&&Role::Message);
            for role in &failed {
                if let Role::Free { guard, holders } = role {
                    for holder in holders {
                        again |= seen.not_held.insert((guard.clone(), *holder));
                    }
                }
            }
            if !again {
                (seen.strays, again) = self.strays(&failed, &judged).await?;
            }
            if !again {
                return self.refused(changes, row, told(&failed, &judged)).await;
            }
        }
        let contended = changes.iter().map(|_| Err(WriteError::Contended));
        Ok(contended.collect())
    }

    /// Of the guards that could not be taken those that are stray, and whether taking any of them may do better now.
    async fn strays(
        &self,
        failed: &[&Role],
        judged: &[Judged<'_>],
    ) -> Result<(HashMap<String, Stray>, bool), WriteError> {
        let (mut strays, mut again) = (HashMap::new(), false);
        for role in failed {
            let Role::Take { operation, index, guard } = role else { continue };
            let table = judged[*operation].table;
            let index = table.schema.table().indexes.iter().find(|kept| kept.id == *index);
            match self.held(table, index.expect("a guard is of one of its table's indexes"), guard).await? {
                Held::By(_) | Held::ByHeldWrite => {}
                Held::Free => again = true,
                Held::Stray(stray) => {
                    strays.insert(guard.clone(), stray);
                    again = true;
                }
            }
        }
        Ok((strays, again))
    }

    async fn send(&self, actions: Vec<Action>, others: Vec<TransactWriteItem>) -> Result<(), Undone> {
        if actions.is_empty() && others.is_empty() {
            // Nothing changes, and nobody asks to remember it.
            return Ok(());
        }
        self.table.transact_with(OPERATION, actions, others).await
    }

    /// What an earlier request with this idempotency key did, if there was one.
    async fn known(&self, changes: &[Change], row: Option<&RowKey>) -> Result<Option<Answers>, WriteError> {
        let Some(row) = row else { return Ok(None) };
        let written = self.replay(row, changes).await?;
        Ok(written.map(|written| written.into_iter().map(Ok).collect()))
    }

    /// The answers when `faults` speak against some of the changes, and so against all.
    pub(super) async fn refused(
        &self,
        changes: &[Change],
        row: Option<&RowKey>,
        faults: Vec<(usize, WriteError)>,
    ) -> Result<Answers, WriteError> {
        if let Some(answers) = self.known(changes, row).await? {
            return Ok(answers);
        }
        let mut answers: Answers = changes.iter().map(|_| Err(WriteError::Undone)).collect();
        for (operation, error) in faults {
            match (&mut answers[operation], error) {
                (Err(WriteError::Invalid(all)), WriteError::Invalid(more)) => all.0.extend(more.0),
                (answer @ Err(WriteError::Undone), error) => *answer = Err(error),
                _ => {}
            }
        }
        Ok(answers)
    }

    /// The items of these records, those that are there.
    async fn read_all(
        &self,
        ids: impl Iterator<Item = RecordId>,
    ) -> Result<HashMap<RecordId, Item>, WriteError> {
        Ok(self.items_of(&ids.collect::<Vec<_>>()).await?)
    }
}

fn written((change, linked): (&Judged<'_>, &Linked)) -> Written {
    Written {
        record: change.shown().0.clone(),
        operation: change.operation,
        replayed: false,
        messages: linked.pending(),
        held: linked.held().map(|entry| HeldWrite { entry: entry.clone() }),
    }
}

/// All that is fit, and all faults.
fn split<T>(all: impl Iterator<Item = Result<T, WriteError>>) -> (Vec<T>, Vec<(usize, WriteError)>) {
    let (mut fit, mut faults) = (Vec::new(), Vec::new());
    for (operation, one) in all.enumerate() {
        match one {
            Ok(one) => fit.push(one),
            Err(error) => faults.push((operation, error)),
        }
    }
    (fit, faults)
}

/// One transaction does one thing to one record: later operations on the same one are refused.
fn repeated(changes: &[Change]) -> Vec<(usize, WriteError)> {
    let mut seen = HashSet::new();
    let again = |(operation, change): (usize, &Change)| {
        let id = change.id().filter(|id| !seen.insert(*id))?;
        let message =
            format!("the record {id} stands in this batch already: put all its changes into one operation");
        Some((operation, WriteError::Invalid(Faults::from(Fault::new("id", "repeated", message)))))
    };
    changes.iter().enumerate().filter_map(again).collect()
}

/// What failed conditions of guards and lookups say to the operations they are for.
fn told(failed: &[&Role], judged: &[Judged<'_>]) -> Vec<(usize, WriteError)> {
    let mut taken: BTreeMap<usize, Vec<IndexId>> = BTreeMap::new();
    let mut faults = Vec::new();
    for role in failed {
        match role {
            Role::Take { operation, index, .. } => taken.entry(*operation).or_default().push(*index),
            Role::Lookup(fields) => faults.extend(lookup_errors(fields)),
            Role::Record | Role::Free { .. } | Role::Row | Role::Message => {}
        }
    }
    let taken = taken.into_iter().map(|(operation, indexes)| {
        (operation, taken_error(judged[operation].table.schema.table(), &indexes))
    });
    taken.chain(faults).collect()
}

/// Waits a little before a change is merged again, a random time, so that those who lost together do not meet again.
async fn pause_before(merge: u32) {
    if merge > 0 {
        let most_ms = PAUSE_MS << merge;
        // Drawn before the wait: the generator stays on its thread.
        let pause = Duration::from_millis(rand::rng().random_range(0..=most_ms));
        sleep(pause).await;
    }
}

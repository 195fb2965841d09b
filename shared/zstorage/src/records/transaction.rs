//! The one transaction of a write: records, guards, lookups that must be there, the idempotency row, the entries of messages. No two
//! actions on one item. Where a strict link fires it is the first of two: see `held`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::{
    ApiName, EntryKey, Fault, Faults, FieldKind, IndexId, Operation, OutboxEntry, RecordId, Table, Value,
};
use jiff::Timestamp;

use super::guard::{self, guards_of};
use super::held::{HELD_BY, Plan, unheld_at};
use super::item::key_of;
use super::judged::Judged;
use super::links::Linked;
use super::row::{Outcome, RowKey};
use super::size::{MAX_TRANSACTION_BYTES, item_bytes};
use super::stray::Stray;
use super::{MAX_ACTIONS, WriteError};
use crate::Outbox;
use crate::item::text;
use crate::table::{Action, Expression};

/// What an action is for, so that a failed condition can be told in the caller's words. Operations are counted from 0.
#[derive(Debug, PartialEq)]
pub(super) enum Role {
    /// The record is as it was read, and no strict write holds it.
    Record,
    /// The operation takes what is unique to this index.
    Take { operation: usize, index: IndexId, guard: String },
    /// This guard is let go of by these records, one of which has it.
    Free { guard: String, holders: Vec<RecordId> },
    /// These fields of these operations point at a record.
    Lookup(Vec<(usize, ApiName)>),
    /// The client's idempotency key is free.
    Row,
    /// A message, or what lies beside a held one, is new.
    Message,
}

/// What is to be done.
pub(super) struct Wanted<'a, 'c> {
    pub(super) judged: &'a [Judged<'c>],
    /// The messages of each.
    pub(super) linked: &'a [Linked],
    pub(super) row: Option<&'a RowKey>,
}

/// What is sent, and what each part of it is for.
#[derive(Default)]
pub(super) struct Transaction {
    pub(super) actions: Vec<Action>,
    /// Those on the Outbox, which stand behind `actions`.
    pub(super) others: Vec<TransactWriteItem>,
    /// Of `actions`, then of `others`.
    pub(super) roles: Vec<Role>,
    /// Of a strict write, what it leaves to its second transaction.
    plan: Option<Plan>,
    /// Records that are not written, and the version each must have; `None` = it must be gone.
    checked: BTreeMap<RecordId, Option<u64>>,
}

/// What was seen of guards when an earlier transaction failed on them.
#[derive(Default)]
pub(super) struct Seen {
    /// Guards that a record was thought to hold and does not: while an index is built, two records may have one value.
    pub(super) not_held: HashSet<(String, RecordId)>,
    /// Guards whose holder has not what they guard.
    pub(super) strays: HashMap<String, Stray>,
}

/// Why nothing is sent.
#[derive(Debug)]
pub(super) enum Unfit {
    /// These operations stand in each other's way.
    Operations(Vec<(usize, WriteError)>),
    /// All together are too much.
    Whole(WriteError),
}

impl Transaction {
    fn add(&mut self, role: Role, action: Action) {
        self.actions.push(action);
        self.roles.push(role);
    }

    /// What carries out `wanted`, by what was `seen` of guards so far.
    pub(super) fn of(
        wanted: &Wanted<'_, '_>,
        seen: &Seen,
        outbox: &Outbox,
        now: Timestamp,
    ) -> Result<Transaction, Unfit> {
        let Wanted { judged, linked, row } = wanted;
        let mut transaction = Transaction::default();
        if row.is_none() && judged.iter().all(Judged::changes_nothing) {
            return Ok(transaction);
        }
        let held = linked.iter().find_map(Linked::held);
        if let (Some(held), [change], [linked]) = (held, *judged, *linked) {
            transaction.plan = Some(plan(change, held, linked));
            if let Some(hold) = hold(change, &held.key) {
                transaction.add(Role::Record, hold);
            }
        } else {
            for change in *judged {
                transaction.add(Role::Record, record(change));
            }
        }
        let mut faults = transaction.guards(judged, seen);
        faults.extend(transaction.lookups(judged));
        if !faults.is_empty() {
            return Err(Unfit::Operations(faults));
        }
        if let Some(row) = row {
            let outcomes = judged.iter().zip(*linked).map(|(change, linked)| outcome(change, linked));
            for action in row.take(outcomes, held.map(|held| &held.key), now.as_second()) {
                transaction.add(Role::Row, action);
            }
            if let Some(plan) = &mut transaction.plan {
                plan.row = Some(row.place());
            }
        }
        transaction.messages(linked, outbox);
        transaction.fitting(outbox).map_err(Unfit::Whole)
    }

    /// Saves the entries of messages; of a strict write its own, and all the rest as its plan.
    fn messages(&mut self, linked: &[Linked], outbox: &Outbox) {
        let entries = linked.iter().flat_map(|linked| &linked.entries);
        match &self.plan {
            None => self.others = entries.flat_map(|entry| outbox.entry_actions(entry)).collect(),
            Some(plan) => {
                let held = linked.iter().filter_map(Linked::held);
                self.others = held.flat_map(|entry| outbox.entry_actions(entry)).collect();
                let put = |item| outbox.table.wire(Action::Put(item, None));
                self.others.extend(plan.items().into_iter().map(put));
            }
        }
        self.roles.extend(self.others.iter().map(|_| Role::Message));
    }

    /// A guard that one operation lets go of and another takes is one action.
    fn guards(&mut self, judged: &[Judged<'_>], seen: &Seen) -> Vec<(usize, WriteError)> {
        let mut freed: BTreeMap<String, Vec<RecordId>> = BTreeMap::new();
        let mut taken: BTreeMap<String, (usize, IndexId)> = BTreeMap::new();
        let mut faults = Vec::new();
        for (operation, change) in judged.iter().enumerate() {
            let table = change.table.schema.table();
            let had = change.old.as_ref().map(|old| guards_of(table, &old.values)).unwrap_or_default();
            let has = change.new.as_ref().map(|(new, _)| guards_of(table, &new.values)).unwrap_or_default();
            for guard in had.keys().filter(|guard| !has.contains_key(*guard)) {
                if !seen.not_held.contains(&(guard.clone(), change.id)) {
                    freed.entry(guard.clone()).or_default().push(change.id);
                }
            }
            for (guard, index) in has.into_iter().filter(|(guard, _)| !had.contains_key(guard)) {
                match taken.entry(guard) {
                    Entry::Occupied(_) => faults.push((operation, taken_error(table, &[index]))),
                    Entry::Vacant(free) => drop(free.insert((operation, index))),
                }
            }
        }
        for (guard, (operation, index)) in taken {
            let mut before = freed.remove(&guard).unwrap_or_default();
            before.extend(seen.strays.get(&guard).and_then(|stray| self.still_stray(*stray, judged)));
            let held = self.plan.as_ref().map(|plan| &plan.key);
            let action = guard::take(&guard, judged[operation].id, &before, held);
            if let Some(plan) = &mut self.plan {
                plan.takes.push(guard.clone());
            }
            self.add(Role::Take { operation, index, guard }, action);
        }
        if let Some(plan) = &mut self.plan {
            // Until the write stands they are needed.
            plan.frees.extend(freed.into_keys());
            return faults;
        }
        for (guard, holders) in freed {
            let action = guard::free(&guard, &holders);
            self.add(Role::Free { guard, holders }, action);
        }
        faults
    }

    /// The holder of a stray guard, whom the transaction finds as it was seen or fails.
    fn still_stray(&mut self, stray: Stray, judged: &[Judged<'_>]) -> Option<RecordId> {
        let Stray { holder, version } = stray;
        if let Some(change) = judged.iter().find(|change| change.id == holder) {
            let read = change.old.as_ref().map(|old| old.version);
            return (read == version).then_some(holder);
        }
        match self.checked.get(&holder) {
            Some(checked) => (*checked == version).then_some(holder),
            None => {
                self.checked.insert(holder, version);
                self.add(Role::Record, stray.check());
                Some(holder)
            }
        }
    }

    /// A record that a lookup is set to must be there at that moment. Those that the same transaction writes are.
    fn lookups(&mut self, judged: &[Judged<'_>]) -> Vec<(usize, WriteError)> {
        let mut wanted: BTreeMap<RecordId, Vec<(usize, ApiName)>> = BTreeMap::new();
        for (operation, change) in judged.iter().enumerate() {
            let Some((new, _)) = &change.new else { continue };
            for field in &change.table.schema.table().fields {
                let before = change.old.as_ref().and_then(|old| old.values.get(&field.id));
                let after = new.values.get(&field.id);
                if let (FieldKind::Lookup { .. }, Some(Value::Lookup(id))) = (&field.kind, after)
                    && before != after
                {
                    wanted.entry(*id).or_default().push((operation, field.api_name.clone()));
                }
            }
        }
        let mut faults = Vec::new();
        for (id, fields) in wanted {
            match judged.iter().find(|change| change.id == id) {
                Some(change) if change.operation == Operation::Delete => {
                    faults.extend(lookup_errors(&fields))
                }
                Some(_) => {}
                None if self.checked.get(&id) == Some(&None) => faults.extend(lookup_errors(&fields)),
                None if self.checked.contains_key(&id) => {}
                None => {
                    let (pk, sk) = key_of(id);
                    let condition = Expression::present();
                    self.add(Role::Lookup(fields), Action::Check { pk, sk, condition });
                }
            }
        }
        faults
    }

    /// What is too much for one transaction, for this one or for the one that lets a strict write stand, is refused now.
    fn fitting(self, outbox: &Outbox) -> Result<Transaction, WriteError> {
        let of_others = |action: &TransactWriteItem| action.put().map_or(0, |put| item_bytes(put.item()));
        let messages: usize = self.others.iter().map(of_others).sum();
        let (second, again) = match &self.plan {
            Some(plan) => plan.second(outbox),
            None => (0, 0),
        };
        let actions = (self.actions.len() + self.others.len()).max(second);
        if actions > MAX_ACTIONS {
            return Err(WriteError::TooMany { actions });
        }
        let of_records = |action: &Action| match action {
            Action::Put(item, _) => item_bytes(item),
            _ => 0,
        };
        // The second one touches all that this one stores, and stores the plan's contents where they belong.
        let bytes = self.actions.iter().map(of_records).sum::<usize>() + messages + again;
        if bytes > MAX_TRANSACTION_BYTES { Err(WriteError::TooLarge { bytes }) } else { Ok(self) }
    }
}

/// What a strict write leaves to its second transaction; guards and row are added.
fn plan(change: &Judged<'_>, held: &OutboxEntry, linked: &Linked) -> Plan {
    let others = linked.entries.iter().filter(|entry| entry.key != held.key).cloned().collect();
    let image = change.new.as_ref().map(|(_, item)| item.clone());
    Plan::new(held, change.id, change.operation, image, others)
}

/// Marks the record as held; a new one is not there.
fn hold(change: &Judged<'_>, entry: &EntryKey) -> Option<Action> {
    let (pk, sk) = key_of(change.id);
    let condition = unheld_at(change.old.as_ref()?.version);
    let update = Expression::new("SET #by = :by").name("#by", HELD_BY).value(":by", text(entry));
    Some(Action::Update { pk, sk, update, condition })
}

fn outcome<'i>(change: &'i Judged<'_>, linked: &Linked) -> Outcome<'i> {
    Outcome { operation: change.operation, item: change.shown().1, messages: linked.pending() }
}

/// The action on the record itself.
fn record(change: &Judged<'_>) -> Action {
    let (pk, sk) = key_of(change.id);
    let unchanged = change.old.as_ref().map(|old| unheld_at(old.version));
    match (&change.new, unchanged) {
        (Some(_), Some(condition)) if change.changes_nothing() => Action::Check { pk, sk, condition },
        (Some((_, item)), condition) => {
            Action::Put(item.clone(), Some(condition.unwrap_or_else(Expression::absent)))
        }
        (None, condition) => {
            Action::Delete { pk, sk, condition: condition.expect("what is removed was read") }
        }
    }
}

/// Another record has what is unique to these indexes.
pub(super) fn taken_error(table: &Table, indexes: &[IndexId]) -> WriteError {
    let fields: BTreeSet<_> = table
        .indexes
        .iter()
        .filter(|index| indexes.contains(&index.id))
        .flat_map(|index| index.fields.iter().copied())
        .collect();
    let fields = fields.into_iter().filter_map(|id| Some(table.field_by_id(id)?.api_name.clone()));
    WriteError::Taken { fields: fields.collect() }
}

/// These fields point at a record that is not there.
pub(super) fn lookup_errors(fields: &[(usize, ApiName)]) -> Vec<(usize, WriteError)> {
    let error = |(operation, name): &(usize, ApiName)| {
        let fault = Fault::new(format!("fields/{name}"), "lookup", "there is no record with this id");
        (*operation, WriteError::Invalid(Faults::from(fault)))
    };
    fields.iter().map(error).collect()
}

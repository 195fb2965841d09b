use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValue::AllNew;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use domain::{EntryKey, EntryState, OutboxEntry};
use jiff::Timestamp;
use rand::Rng;

use super::Outbox;
use super::due::OutboxGroup;
use super::item::{self, keys, part_sk, reason};
use super::read::lacks_a_part;
use crate::StoreError;
use crate::item::{Item, Reader, key, number, text};
use crate::parts::parts;
use crate::table::{Action, Expression, Undone, held_by_a_transaction, patiently};

/// What is published is kept this long, seconds. What a person decided is kept for good.
const KEPT_SECS: i64 = 7 * 24 * 3600;

/// Which call made the last change of an entry: so a change whose answer was lost is not taken for another's.
const CHANGED_BY: &str = "changed-by";

/// What becomes of an entry's own item.
#[derive(Default)]
pub(super) struct Change {
    sets: Vec<String>,
    removes: Vec<String>,
    names: HashMap<String, String>,
    values: Item,
}

/// What became of a conditioned change.
pub(super) enum Changed {
    /// Done: the item as it is now.
    Done(Item),
    /// The condition did not hold: the item as it is, if there is one.
    Not(Option<Item>),
}

impl Change {
    pub(super) fn set(mut self, name: &str, value: AttributeValue) -> Change {
        let (name, value_name) = self.named(name);
        self.sets.push(format!("{name} = {value_name}"));
        self.values.insert(value_name, value);
        self
    }

    pub(super) fn one_more(mut self, name: &str) -> Change {
        let (name, value_name) = self.named(name);
        self.sets.push(format!("{name} = {name} + {value_name}"));
        self.values.insert(value_name, number(1));
        self
    }

    pub(super) fn remove(mut self, name: &str) -> Change {
        let (name, _) = self.named(name);
        self.removes.push(name);
        self
    }

    /// The state, and the entry's place in the index: what is done with is in it no more, and the time to live of what was
    /// published begins.
    pub(super) fn state(self, outbox: &Outbox, key: &EntryKey, state: EntryState, at: Timestamp) -> Change {
        let change = self.set("state", text(state.as_str()));
        match OutboxGroup::of(state) {
            Some(group) => change
                .set("due", text(group.of_pk(&keys(key).0)))
                .set("next-attempt-at", number(at.as_millisecond())),
            None => {
                let change = change.remove("due").remove("due-since").remove("next-attempt-at");
                match state {
                    EntryState::Published => change.set("expires-at", outbox.expires_at()),
                    _ => change,
                }
            }
        }
    }

    fn named(&mut self, name: &str) -> (String, String) {
        let at = self.names.len();
        self.names.insert(format!("#a{at}"), name.to_owned());
        (format!("#a{at}"), format!(":a{at}"))
    }

    pub(super) fn expression(self) -> Expression {
        let mut text = format!("SET {}", self.sets.join(", "));
        if !self.removes.is_empty() {
            text.push_str(&format!(" REMOVE {}", self.removes.join(", ")));
        }
        Expression { text, names: self.names, values: self.values }
    }
}

/// The entry is in one of these states.
pub(super) fn is_in(states: &[EntryState]) -> Expression {
    let words: Vec<String> = (0..states.len()).map(|at| format!(":state{at}")).collect();
    let condition = Expression::new(format!("#state IN ({})", words.join(", "))).name("#state", "state");
    let word = |condition: Expression, (placeholder, state): (&String, &EntryState)| {
        condition.value(placeholder, text(state.as_str()))
    };
    words.iter().zip(states).fold(condition, word)
}

/// `condition`, and the attribute `name` (a plain word) is `value`.
pub(super) fn and(mut condition: Expression, name: &str, value: AttributeValue) -> Expression {
    condition.text.push_str(&format!(" AND #{name} = :{name}"));
    condition.name(&format!("#{name}"), name).value(&format!(":{name}"), value)
}

/// The entry as it was seen: in one of these states, the same message, under the same lease.
pub(super) fn as_seen(entry: &OutboxEntry, states: &[EntryState], fence: Option<u64>) -> Expression {
    let mut condition = is_in(states);
    condition.text.push_str(" AND #message = :message");
    condition = condition.name("#message", "message-id").value(":message", text(entry.message_id));
    match fence {
        Some(lease) => and(condition, "lease", number(lease)),
        None => condition,
    }
}

impl Outbox {
    /// Takes an entry whose time has come for `secs`, if it still is to be sent and its time still has come: it has one lease
    /// more then, which the caller shows as its fence. `None` = not so any more: another one has it, or it is done with.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn lease(&self, key: &EntryKey, secs: u32) -> Result<Option<OutboxEntry>, StoreError> {
        let now_ms = self.now_ms();
        let until_ms = now_ms + i64::from(secs) * 1000;
        let change = Change::default().one_more("lease").set("next-attempt-at", number(until_ms));
        let mut condition = is_in(&[EntryState::Due, EntryState::Held, EntryState::Scheduled]);
        condition.text.push_str(" AND #next <= :now");
        let condition = condition.name("#next", "next-attempt-at").value(":now", number(now_ms));
        match self.change("lease an outbox entry", key, change, condition).await? {
            Changed::Done(item) => self.whole(item::read(&item)?).await,
            Changed::Not(_) => Ok(None),
        }
    }

    /// Marks the entry as published: the queue has its message under `engine_id`. With a fence, only while that lease
    /// stands; without one (it was sent as the stream rang) only while it is due. `false` = not so any more, and nothing was
    /// done. What is held is marked together with its record.
    ///
    /// # Errors
    /// The store's alone; the message is on its queue all the same.
    pub async fn published(
        &self,
        entry: &OutboxEntry,
        engine_id: &str,
        fence: Option<u64>,
    ) -> Result<bool, StoreError> {
        let states: &[EntryState] = match fence {
            Some(_) => &[EntryState::Due, EntryState::Scheduled],
            None => &[EntryState::Due],
        };
        let (change, condition) = (self.publishing(entry, Some(engine_id)), as_seen(entry, states, fence));
        let parts = parts(&entry.body).len();
        self.close("mark an outbox entry as published", &entry.key, parts, change, condition, Vec::new())
            .await
    }

    /// Notes that a send failed, or could not begin, for `reason`: the entry is looked at again at `until`. `counts` = it is
    /// one more failure. Only while the lease of `entry` stands; `false` = not so any more, and nothing was done.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn postpone(
        &self,
        entry: &OutboxEntry,
        reason: &str,
        until: Timestamp,
        counts: bool,
    ) -> Result<bool, StoreError> {
        let change = Change::default()
            .set("next-attempt-at", number(until.as_millisecond()))
            .set("failures", number(entry.failures + u32::from(counts)))
            .set("reason", item::reason(reason));
        let states = [EntryState::Due, EntryState::Held, EntryState::Scheduled];
        let condition = as_seen(entry, &states, Some(entry.lease));
        // The count as it was seen: of two who saw the same failure one notes it.
        let condition = and(condition, "failures", number(entry.failures));
        let changed = self.change("postpone an outbox entry", &entry.key, change, condition).await?;
        Ok(matches!(changed, Changed::Done(_)))
    }

    /// Gives the entry up for `reason`, which is one more failure: a person looks at it. Only while it is due or scheduled
    /// and its lease stands; `false` = not so any more, and nothing was done. What is held is given up together with its
    /// record.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn park(&self, entry: &OutboxEntry, reason: &str) -> Result<bool, StoreError> {
        let change = self.parking(entry, reason);
        let condition = as_seen(entry, &[EntryState::Due, EntryState::Scheduled], Some(entry.lease));
        let changed = self.change("park an outbox entry", &entry.key, change, condition).await?;
        Ok(matches!(changed, Changed::Done(_)))
    }

    pub(super) fn publishing(&self, entry: &OutboxEntry, engine_id: Option<&str>) -> Change {
        let now = self.clock.now();
        let change = Change::default().state(self, &entry.key, EntryState::Published, now);
        let change = change.set("published-at", text(now));
        match engine_id {
            Some(engine_id) => change.set("engine-id", text(engine_id)),
            None => change,
        }
    }

    pub(super) fn parking(&self, entry: &OutboxEntry, why: &str) -> Change {
        Change::default()
            .state(self, &entry.key, EntryState::Parked, self.clock.now())
            .set("failures", number(entry.failures.saturating_add(1)))
            .set("reason", reason(why))
    }

    /// When what is published now may be cleaned away, epoch seconds.
    fn expires_at(&self) -> AttributeValue {
        number(self.clock.now().as_second() + KEPT_SECS)
    }

    /// Changes an entry's own item under a condition. A change of ours whose answer was lost counts as done.
    pub(super) async fn change(
        &self,
        operation: &'static str,
        entry: &EntryKey,
        change: Change,
        condition: Expression,
    ) -> Result<Changed, StoreError> {
        let by = format!("{:032x}", rand::rng().random::<u128>());
        let update = change.set(CHANGED_BY, text(&by)).expression();
        let (mut names, mut values) = (update.names, update.values);
        names.extend(condition.names);
        values.extend(condition.values);
        let (pk, sk) = keys(entry);
        let call = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(key(&pk, &sk)))
            .update_expression(update.text)
            .condition_expression(condition.text)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values(AllNew)
            .return_values_on_condition_check_failure(AllOld);
        match patiently(|| call.clone().send(), held_by_a_transaction).await {
            Ok(done) => Ok(Changed::Done(done.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => match failed.item() {
                    Some(item) if Reader(item).text_or_none(CHANGED_BY)? == Some(&by) => {
                        Ok(Changed::Done(item.clone()))
                    }
                    item => Ok(Changed::Not(item.cloned())),
                },
                _ => Err(StoreError::from_call(operation, error)),
            },
        }
    }

    /// Changes an entry to a state in which nothing is left to do, together with `others`. So many of its `parts` are cleaned away
    /// with it: all of what is published, none of anything else. Whether it was done.
    pub(super) async fn close(
        &self,
        operation: &'static str,
        key: &EntryKey,
        parts: usize,
        change: Change,
        condition: Expression,
        others: Vec<Action>,
    ) -> Result<bool, StoreError> {
        if parts == 0 && others.is_empty() {
            let changed = self.change(operation, key, change, condition).await?;
            return Ok(matches!(changed, Changed::Done(_)));
        }
        let mut actions = others;
        let before = actions.len();
        actions.extend(self.closing(key, parts, change, condition));
        match self.table.transact(operation, actions).await {
            Ok(()) => Ok(true),
            Err(Undone::Conditions(places)) if places.iter().any(|at| *at <= before) => Ok(false),
            Err(Undone::Conditions(_)) => Err(lacks_a_part(key)),
            Err(Undone::Store(error)) => Err(error),
        }
    }

    /// What [`Outbox::close`] does in one transaction: the entry's own item first, then its parts.
    pub(super) fn closing(
        &self,
        key: &EntryKey,
        parts: usize,
        change: Change,
        condition: Expression,
    ) -> Vec<Action> {
        let (pk, sk) = keys(key);
        let part = |at| Action::Update {
            pk: pk.clone(),
            sk: part_sk(&sk, at),
            update: Change::default().set("expires-at", self.expires_at()).expression(),
            condition: Expression::present(),
        };
        let parts: Vec<Action> = (0..parts).map(part).collect();
        let head = Action::Update { pk, sk, update: change.expression(), condition };
        std::iter::once(head).chain(parts).collect()
    }
}

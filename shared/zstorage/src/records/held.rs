//! Strict writes between their two transactions. The first stores the `held` entry and beside it, under the same pk of the
//! Outbox, all that the second one needs: `h#LINK#VERSION#...`. Of what can be read the first changes nothing.
//!
//! | what | while the write is held |
//! |---|---|
//! | record | as it was, with the attribute `held-by`, at which only writes look; a new one is not there |
//! | guards it needs | taken, and marked with the entry: their holder may not have the values yet |
//! | guards it lets go of | still taken |
//! | idempotency row | taken, and marked with the entry: there is no answer yet |
//! | entries of other links | not there; their messages lie beside the held entry |
//!
//! The second transaction is conditioned on the held entry alone. A guard or row of ours that is another's by then, after a
//! day or a change of the table's design, is left to it.

mod plan;

use std::collections::HashSet;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{EntryKey, EntryState, MessageId, OutboxEntry, TablePrefix};
use jiff::Timestamp;

use self::plan::{Part, prefix};
use super::Records;
use super::item::at_version;
use super::links::SWEPT_AFTER;
use crate::StoreError;
use crate::item::{Item, Reader, text};
use crate::table::{Expression, Undone};

pub(super) use self::plan::Plan;

/// The attribute of a record that a strict write holds.
pub(crate) const HELD_BY: &str = "held-by";

/// So often a second transaction is built: each time without what was not ours any more.
const TURNS: usize = 8;

const READ: &str = "read a held write";

/// What has become of a held write's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The queue has it.
    Published {
        /// The engine's id of it, if it gave one.
        engine_id: Option<String>,
    },
    /// It is given up for now: the record stands, and the entry is a letter that people see.
    Parked {
        /// Why.
        reason: String,
    },
}

/// How a held write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// By this call.
    Now,
    /// Before it; this is its entry's state.
    Before(EntryState),
    /// It was undone, and nothing of it remains.
    Undone,
    /// It is held still: somebody else has leased its entry since.
    Outrun,
}

/// The condition under which a held entry is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fence {
    None,
    /// This lease stands.
    Lease(u64),
}

impl Records {
    /// Lets a held write stand: the record as it was to be, the other links' entries as due, and the entry as `how` says, all in
    /// one transaction whose only condition is that the entry is held; with `fence` also that this lease of it is the newest.
    /// May be done again at any time, by anyone who knows the message is on its queue.
    ///
    /// # Errors
    /// The store's alone; it may have been done all the same.
    pub async fn apply(
        &self,
        key: &EntryKey,
        how: Applied,
        fence: Option<u64>,
    ) -> Result<Settled, StoreError> {
        let fence = fence.map_or(Fence::None, Fence::Lease);
        let end = End::Applied(how);
        Ok(settled(self.settle(key, None, &end, fence).await?))
    }

    /// As [`Records::apply`], for who was given the `message` of a held write by its queue, under `engine_id`: the write that made this
    /// message stands then, if it was not undone. The record's next write may be held under the same key by now: that is another
    /// message, and is left alone. One read where it was settled before.
    ///
    /// # Errors
    /// The store's alone; it may have been done all the same.
    pub async fn let_stand(
        &self,
        key: &EntryKey,
        message: MessageId,
        engine_id: &str,
    ) -> Result<Settled, StoreError> {
        match self.outbox.state_of(key).await? {
            Some((own, EntryState::Held)) if own == message => {}
            Some((own, state)) if own == message => return Ok(Settled::Before(state)),
            _ => return Ok(Settled::Undone),
        }
        let end = End::Applied(Applied::Published { engine_id: Some(engine_id.to_owned()) });
        Ok(settled(self.settle(key, Some(message), &end, Fence::None).await?))
    }

    /// Takes a held write back, whose queue has refused its message for certain: entry, guards, `held-by` and idempotency row, in
    /// one transaction. Only while nobody has leased the entry: whoever did may have sent it. `false` = it was leased or it
    /// stands already, and nothing was taken back; `true` = nothing of it remains, also where an earlier call did it. The next
    /// write of the record may be held under the same key by then: that is another message, and is left alone.
    ///
    /// # Errors
    /// The store's alone; it may have been done all the same.
    pub async fn undo(&self, held: &OutboxEntry) -> Result<bool, StoreError> {
        let message = Some(held.message_id);
        let ended = self.settle(&held.key, message, &End::Undone, Fence::Lease(0)).await?;
        Ok(matches!(ended, Ended::Now | Ended::Not(None)))
    }

    /// Whether the table has writes that were held before `before` and are still. What they will write, they made by the table's
    /// design of that time.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn has_held(&self, table: TablePrefix, before: Timestamp) -> Result<bool, StoreError> {
        for key in self.outbox.held_keys(table).await? {
            let entry = self.outbox.entry(&key).await?;
            if entry.is_some_and(|entry| entry.state == EntryState::Held && entry.committed_at <= before) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Ends all held writes of a table that is being deleted, as if their queues had answered never: they stand, and their
    /// messages are letters that say `reason`. Their records go with the table's.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn park_held(&self, table: TablePrefix, reason: &str) -> Result<u64, StoreError> {
        let mut parked = 0;
        for key in self.outbox.held_keys(table).await? {
            let how = Applied::Parked { reason: reason.to_owned() };
            parked += u64::from(self.apply(&key, how, None).await? == Settled::Now);
        }
        Ok(parked)
    }

    /// Whether the entry of this name is held.
    pub(super) async fn is_held(&self, key: &EntryKey) -> Result<bool, StoreError> {
        Ok(self.outbox.entry(key).await?.is_some_and(|entry| entry.state == EntryState::Held))
    }

    /// With `message` only the write that made this message.
    async fn settle(
        &self,
        key: &EntryKey,
        message: Option<MessageId>,
        end: &End,
        fence: Fence,
    ) -> Result<Ended, StoreError> {
        let is_other = |entry: &OutboxEntry| message.is_some_and(|message| entry.message_id != message);
        let mut others = HashSet::new();
        for _ in 0..TURNS {
            let Some((entry, plan)) = self.plan_of(key).await? else {
                let entry = self.outbox.entry(key).await?.filter(|entry| !is_other(entry));
                match entry.map(|entry| entry.state) {
                    // It was stored between the two reads.
                    Some(EntryState::Held) => continue,
                    state => return Ok(Ended::Not(state)),
                }
            };
            if is_other(&entry) {
                return Ok(Ended::Not(None));
            }
            if fence_fails(&entry, fence) {
                return Ok(Ended::Not(Some(entry.state)));
            }
            let (parts, actions) = self.ending(&entry, &plan, end, fence, &others);
            match self.table.transact_with(end.operation(), Vec::new(), actions).await {
                Ok(()) => return Ok(Ended::Now),
                Err(Undone::Store(error)) => return Err(error),
                Err(Undone::Conditions(places)) => {
                    others.extend(places.iter().filter_map(|at| parts.get(*at)).cloned());
                    // Not ours to leave out: it was settled or leased, and the next turn sees that.
                    others.remove(&Part::Entry);
                }
            }
        }
        Err(StoreError::Busy { operation: end.operation() })
    }

    /// All of the second transaction but the parts that are `others'` by now. What each action is about, and the actions.
    fn ending(
        &self,
        entry: &OutboxEntry,
        plan: &Plan,
        end: &End,
        fence: Fence,
        others: &HashSet<Part>,
    ) -> (Vec<Part>, Vec<TransactWriteItem>) {
        let lease = match fence {
            Fence::None => None,
            Fence::Lease(lease) => Some(lease),
        };
        let own = match end {
            End::Applied(Applied::Published { engine_id }) => {
                self.outbox.publish_held(entry, engine_id.as_deref(), lease)
            }
            End::Applied(Applied::Parked { reason }) => self.outbox.park_held(entry, reason, lease),
            End::Undone => self.outbox.remove_held(entry),
        };
        let mut all: Vec<(Part, TransactWriteItem)> =
            own.into_iter().map(|action| (Part::Entry, action)).collect();
        let of_records = match end {
            End::Applied(_) => plan.standing(),
            End::Undone => plan.taken_back(),
        };
        all.extend(of_records.into_iter().map(|(part, action)| (part, self.table.wire(action))));
        all.retain(|(part, _)| !others.contains(part));
        let gone = plan.removal().into_iter().map(|action| (Part::Entry, self.outbox.table.wire(action)));
        all.extend(gone);
        if let End::Applied(_) = end {
            let now = self.clock.now();
            for entry in plan.others.clone() {
                let due = OutboxEntry {
                    committed_at: now,
                    next_attempt_at: Some(now + SWEPT_AFTER),
                    state: EntryState::Due,
                    ..entry
                };
                all.extend(self.outbox.entry_actions(&due).into_iter().map(|action| (Part::Entry, action)));
            }
        }
        all.into_iter().unzip()
    }

    /// A held entry and what lies beside it; `None` when nothing does.
    async fn plan_of(&self, key: &EntryKey) -> Result<Option<(OutboxEntry, Plan)>, StoreError> {
        for _ in 0..TURNS {
            let items = self.items_beside(key).await?;
            if items.is_empty() {
                return Ok(None);
            }
            let entry = self.outbox.entry(key).await?.filter(|entry| entry.state == EntryState::Held);
            // Pages are read one after the other: of what is being settled only some may be there. And of a write that was undone
            // meanwhile the plan was read, but the entry is that of the next one.
            if let (Some(entry), Some(plan)) = (entry, Plan::of(key, items)?)
                && plan.message == entry.message_id
            {
                return Ok(Some((entry, plan)));
            }
        }
        Err(StoreError::Busy { operation: READ })
    }

    async fn items_beside(&self, key: &EntryKey) -> Result<Vec<Item>, StoreError> {
        let Some((pk, prefix)) = prefix(key) else { return Ok(Vec::new()) };
        let outbox = &self.outbox.table;
        let (mut items, mut last) = (Vec::new(), None::<Item>);
        loop {
            let call = outbox
                .client
                .query()
                .table_name(&outbox.name)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", text(&pk))
                .expression_attribute_values(":prefix", AttributeValue::S(prefix.clone()))
                .consistent_read(true)
                .set_exclusive_start_key(last);
            let answer = call.send().await.map_err(|error| StoreError::from_call(READ, error))?;
            items.extend(answer.items.unwrap_or_default());
            last = answer.last_evaluated_key;
            if last.is_none() {
                return Ok(items);
            }
        }
    }
}

/// How a held write is to end.
enum End {
    Applied(Applied),
    Undone,
}

fn settled(ended: Ended) -> Settled {
    match ended {
        Ended::Now => Settled::Now,
        Ended::Not(None) => Settled::Undone,
        Ended::Not(Some(EntryState::Held)) => Settled::Outrun,
        Ended::Not(Some(state)) => Settled::Before(state),
    }
}

/// What a try to end it came to.
enum Ended {
    Now,
    /// The state that its entry is in instead; `None` = there is no entry.
    Not(Option<EntryState>),
}

impl End {
    fn operation(&self) -> &'static str {
        match self {
            End::Applied(_) => "let a held write stand",
            End::Undone => "take a held write back",
        }
    }
}

fn fence_fails(entry: &OutboxEntry, fence: Fence) -> bool {
    matches!(fence, Fence::Lease(lease) if entry.lease != lease)
}

/// Whether a strict write holds the record of this item.
pub(super) fn is_held(item: &Item) -> bool {
    item.contains_key(HELD_BY)
}

/// The record still has this version, and no strict write holds it.
pub(super) fn unheld_at(version: u64) -> Expression {
    let mut condition = at_version(version).name("#by", HELD_BY);
    condition.text.push_str(" AND attribute_not_exists(#by)");
    condition
}

/// The entry that marks `item`, a guard or a row.
pub(super) fn marked_by(item: &Item) -> Result<Option<EntryKey>, StoreError> {
    Reader(item).parsed_or_none(HELD)
}

/// The attribute of a guard or row that a held write has taken.
pub(super) const HELD: &str = "held";

//! What a table's links make of a write: outbox entries, which are committed with it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use domain::{
    EntryKey, EntryOrigin, EntryState, Fault, Faults, Link, LinkId, LinkMode, MAX_BODY_BYTES, MAX_LINK_DEPTH,
    MessageId, Operation, OutboxEntry, QueueId, RecordWrite, forbidden_character,
};
use jiff::Timestamp;

use super::judged::Judged;
use super::{Change, ChangeKind, Records, WriteError};
use crate::StoreError;

/// An entry that nobody has published by then is the sweeper's.
pub(super) const SWEPT_AFTER: Duration = Duration::from_secs(60);

/// What is known of the queues that a table's links go to. One that is not among them is taken for one without order, that
/// takes the largest of bodies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkQueues(pub BTreeMap<QueueId, LinkQueue>);

/// What a write must know of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkQueue {
    /// Whether it keeps the order of messages with one ordering key.
    pub ordered: bool,
    /// The largest body it takes, bytes.
    pub max_body_bytes: usize,
    /// Whether it took messages lately, as far as we know: its breaker is closed. Strict writes ask.
    pub accepts: bool,
}

/// A message that was committed with a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its outbox entry.
    pub entry: EntryKey,
    /// Its id.
    pub message_id: MessageId,
    /// Where it goes.
    pub queue: QueueId,
}

/// A write that stands once its strict link's queue has the message: the store holds it until then, and nobody can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldWrite {
    /// The entry to send. Then exactly one of [`Records::apply`] and [`Records::undo`].
    pub entry: OutboxEntry,
}

/// The entries of one change, in the order of its table's links.
#[derive(Debug, Default)]
pub(super) struct Linked {
    pub(super) entries: Vec<OutboxEntry>,
}

/// The ids of a request's messages: however often its transaction is built, they stay.
#[derive(Debug, Default)]
pub(super) struct MessageIds(HashMap<(usize, LinkId), MessageId>);

impl Default for LinkQueue {
    fn default() -> LinkQueue {
        LinkQueue { ordered: false, max_body_bytes: MAX_BODY_BYTES, accepts: true }
    }
}

impl LinkQueues {
    fn of(&self, queue: QueueId) -> LinkQueue {
        self.0.get(&queue).copied().unwrap_or_default()
    }
}

impl MessageIds {
    fn of(&mut self, operation: usize, link: LinkId, now: Timestamp) -> MessageId {
        *self.0.entry((operation, link)).or_insert_with(|| MessageId::new(now, &mut rand::rng()))
    }
}

impl Linked {
    /// The entry of a strict link that has fired.
    pub(super) fn held(&self) -> Option<&OutboxEntry> {
        self.entries.iter().find(|entry| entry.state == EntryState::Held)
    }

    /// What the caller is told of the messages.
    pub(super) fn pending(&self) -> Vec<Pending> {
        let pending = |entry: &OutboxEntry| Pending {
            entry: entry.key,
            message_id: entry.message_id,
            queue: entry.queue,
        };
        self.entries.iter().map(pending).collect()
    }
}

/// What the links of its table make of `change`, the request's `operation`-th, which follows from `depth` links.
pub(super) fn linked(
    (operation, change): (usize, &Judged<'_>),
    depth: u32,
    ids: &mut MessageIds,
    now: Timestamp,
) -> Result<Linked, WriteError> {
    let table = change.table.schema.table();
    if table.links.is_empty() || change.changes_nothing() {
        return Ok(Linked::default());
    }
    let write = RecordWrite {
        id: change.id,
        operation: change.operation,
        version: change.version(),
        old: change.old.as_ref().map(|old| &old.values),
        new: change.new.as_ref().map(|(new, _)| &new.values),
    };
    let mut faults = Faults::none();
    let mut linked = Linked::default();
    for (link, message) in change.table.schema.fired(&write) {
        let queue = change.table.queues.of(link.queue);
        let path = format!("links/{}", link.id);
        if depth >= MAX_LINK_DEPTH {
            let message = format!(
                "this write follows from {depth} links, one from the other, and would make one more message: that is taken for a ring"
            );
            faults.add(path, "link-depth", message);
            continue;
        }
        let entry = OutboxEntry {
            key: EntryKey::Link { record: change.id, link: link.id, version: write.version },
            message_id: ids.of(operation, link.id, now),
            queue: link.queue,
            ordering_key: queue
                .ordered
                .then(|| message.ordering_key.unwrap_or_else(|| change.id.to_string())),
            body: message.body,
            ordered: queue.ordered,
            origin: Some(EntryOrigin { table: table.api_name.clone(), operation: change.operation, depth }),
            round: 0,
            notes: message.notes,
            state: match link.mode {
                LinkMode::Outbox => EntryState::Due,
                LinkMode::Strict => EntryState::Held,
            },
            failures: 0,
            lease: 0,
            committed_at: now,
            next_attempt_at: Some(now + SWEPT_AFTER),
            reason: None,
            engine_id: None,
        };
        check(&entry, queue.max_body_bytes, &path, &mut faults);
        linked.entries.push(entry);
    }
    if faults.is_empty() { Ok(linked) } else { Err(WriteError::Invalid(faults)) }
}

/// Whether the entry's queue can carry its body. An ordering key is one that can be: links see to that.
fn check(entry: &OutboxEntry, max_body_bytes: usize, path: &str, faults: &mut Faults) {
    if entry.body.len() > max_body_bytes {
        let message = format!(
            "the message of this link has {} bytes; its queue takes at most {max_body_bytes}",
            entry.body.len()
        );
        faults.add(path, "too-large", message);
    }
    if let Some((at, c)) = forbidden_character(&entry.body) {
        let message = format!(
            "the message of this link has a character that no queue carries: character {at} (U+{:04X})",
            u32::from(c)
        );
        faults.add(path, "forbidden-character", message);
    }
}

/// An atomic batch cannot wait for a queue: its operations on tables with a strict link are refused, whether or not it would fire.
pub(super) fn strict_faults(changes: &[Change]) -> Vec<(usize, WriteError)> {
    let fault = |(at, change): (usize, &Change)| {
        let operation = match change.kind {
            ChangeKind::Create(_) => Operation::Create,
            ChangeKind::Update { .. } => Operation::Update,
            ChangeKind::Delete { .. } => Operation::Delete,
        };
        let is_strict =
            |link: &&Link| link.enabled && link.mode == LinkMode::Strict && link.on.contains(operation);
        let link = change.table.schema.table().links.iter().find(is_strict)?;
        let message = format!(
            "the table has a strict link ({}) for this operation, and a batch that is all or nothing cannot wait for its queue: send it alone, or in a batch that is not atomic",
            link.id
        );
        let fault = Fault::new("", "strict-link", message);
        Some((at, WriteError::Invalid(Faults::from(fault))))
    };
    changes.iter().enumerate().filter_map(fault).collect()
}

impl Records {
    /// Which of `judged` cannot be written, because the queue of a strict link cannot be waited for: it refused lately, or this
    /// record's message before is not there yet.
    pub(super) async fn barred(
        &self,
        judged: &[Judged<'_>],
        linked: &[Linked],
    ) -> Result<Vec<(usize, WriteError)>, StoreError> {
        let mut barred = Vec::new();
        for (at, (change, linked)) in judged.iter().zip(linked).enumerate() {
            if let Some(entry) = linked.held()
                && self.is_barred(change, entry).await?
            {
                barred.push((at, WriteError::QueueDown));
            }
        }
        Ok(barred)
    }

    async fn is_barred(&self, change: &Judged<'_>, entry: &OutboxEntry) -> Result<bool, StoreError> {
        if !change.table.queues.of(entry.queue).accepts {
            return Ok(true);
        }
        // Nobody can have written a first version before.
        if !entry.ordered || change.operation == Operation::Create {
            return Ok(false);
        }
        let (_, before) = self.outbox.with_predecessor(&entry.key).await?;
        Ok(before.is_some_and(|state| !state.lets_others_pass()))
    }
}

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::{ApiName, LinkId, MessageId, Operation, QueueId, RecordId};

/// The most links that may follow from one another: a write makes a message, its handler writes, and so on. What goes further
/// is taken for a ring.
pub const MAX_LINK_DEPTH: u32 = 8;

/// Which outbox entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntryKey {
    /// The message of one link for one write of one record.
    Link {
        /// Whose write.
        record: RecordId,
        /// Which link.
        link: LinkId,
        /// The version that the write gave to the record; a removal counts as one more.
        version: u64,
    },
    /// A message that somebody asked to be published at a date.
    Scheduled(MessageId),
}

/// A text that does not name an outbox entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' does not name an outbox entry: it is RECORD.LINK.VERSION, or a message's id")]
pub struct EntryKeyError(String);

/// A message that was committed and is to be sent: with a record, or for a date. Its row is the truth; whoever sends it
/// marks it afterwards, so it may be sent twice, under the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Which it is.
    pub key: EntryKey,
    /// The message's id: fixed here, and the same whenever it is sent.
    pub message_id: MessageId,
    /// Where it goes.
    pub queue: QueueId,
    /// The body, byte for byte as the queue gets it.
    pub body: String,
    /// The key within which an ordered queue keeps order.
    pub ordering_key: Option<String>,
    /// Whether it must wait for the entry of the same link for the record's version before: its queue keeps order.
    pub ordered: bool,
    /// The write that it tells of; `None` for a scheduled message.
    pub origin: Option<EntryOrigin>,
    /// How often it was redriven.
    pub round: u32,
    /// What could not be computed and was left out, for a person.
    pub notes: Vec<String>,
    /// What has become of it.
    pub state: EntryState,
    /// Sends that failed.
    pub failures: u32,
    /// How often the sweeper has taken it: a fencing token.
    pub lease: u64,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// When the sweeper looks at it next; `None` when nothing is left to do.
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last send failed, or what a person said who discarded it.
    pub reason: Option<String>,
    /// The engine's id of the message, once it has it.
    pub engine_id: Option<String>,
}

/// The write that an entry tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryOrigin {
    /// The record's table.
    pub table: ApiName,
    /// What was done.
    pub operation: Operation,
    /// How many links this one follows from; 0 = from nobody's handler.
    pub depth: u32,
}

/// What has become of an outbox entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryState {
    /// To be sent.
    Due,
    /// Of a strict link: the record stands once the queue has the message.
    Held,
    /// To be sent at its date.
    Scheduled,
    /// The queue has it.
    Published,
    /// Given up for now: a person looks at it, and sends it again or discards it.
    Parked,
    /// A person wants it no more, or nobody's record stands behind it.
    Discarded,
}

impl EntryState {
    /// All of them.
    pub const ALL: [EntryState; 6] = [
        EntryState::Due,
        EntryState::Held,
        EntryState::Scheduled,
        EntryState::Published,
        EntryState::Parked,
        EntryState::Discarded,
    ];

    /// The word for it: `due`, `held`, `scheduled`, `published`, `parked`, `discarded`.
    pub fn as_str(self) -> &'static str {
        match self {
            EntryState::Due => "due",
            EntryState::Held => "held",
            EntryState::Scheduled => "scheduled",
            EntryState::Published => "published",
            EntryState::Parked => "parked",
            EntryState::Discarded => "discarded",
        }
    }

    /// The state of this word.
    pub fn of_word(word: &str) -> Option<EntryState> {
        EntryState::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether entries behind it in order may go on: it is on its queue, or nobody wants it there.
    pub fn lets_others_pass(self) -> bool {
        matches!(self, EntryState::Published | EntryState::Discarded)
    }
}

impl EntryKey {
    /// The record whose write it tells of.
    pub fn record(&self) -> Option<RecordId> {
        match self {
            EntryKey::Link { record, .. } => Some(*record),
            EntryKey::Scheduled(_) => None,
        }
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryKey::Link { record, link, version } => write!(f, "{record}.{link}.{version}"),
            EntryKey::Scheduled(message) => message.fmt(f),
        }
    }
}

impl FromStr for EntryKey {
    type Err = EntryKeyError;

    fn from_str(text: &str) -> Result<EntryKey, EntryKeyError> {
        let link = || {
            let mut parts = text.split('.');
            let (record, link, version) = (parts.next()?, parts.next()?, parts.next()?);
            let key = EntryKey::Link {
                record: record.parse().ok()?,
                link: link.parse().ok()?,
                version: version.parse().ok()?,
            };
            // One key has one spelling.
            Some(key).filter(|key| key.to_string() == text)
        };
        let scheduled = || text.parse().ok().map(EntryKey::Scheduled);
        link().or_else(scheduled).ok_or_else(|| EntryKeyError(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::TablePrefix;

    #[test]
    fn an_entrys_key_has_one_spelling() {
        let table = TablePrefix::nth(7).unwrap();
        let record = RecordId::new(table, 4, Timestamp::UNIX_EPOCH, &mut rand::rng());
        let key = EntryKey::Link { record, link: LinkId { table, number: 3 }, version: 12 };
        assert_eq!(key.to_string().parse(), Ok(key));
        let scheduled = EntryKey::Scheduled(MessageId::new(Timestamp::UNIX_EPOCH, &mut rand::rng()));
        assert_eq!(scheduled.to_string().parse(), Ok(scheduled));
        let text = key.to_string();
        for wrong in ["", ".", "..", &format!("{text}.1"), &text.to_lowercase(), &text.replace(".12", ".012")]
        {
            assert!(wrong.parse::<EntryKey>().is_err(), "{wrong}");
        }
        assert!(EntryState::ALL.into_iter().all(|state| EntryState::of_word(state.as_str()) == Some(state)));
    }
}

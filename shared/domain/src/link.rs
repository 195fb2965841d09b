use std::fmt;
use std::str::FromStr;

use crate::{FieldId, HandlerName, Operations, QueueId, TablePrefix};

/// The most links of one table.
pub const MAX_LINKS: usize = 10;

/// A link's id: `0AL`, its table's prefix, its number in that table; never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId {
    /// Whose link it is.
    pub table: TablePrefix,
    /// Which of the table's, from 1.
    pub number: u32,
}

/// A text that is not a link's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a link's id: it must be 0AL, the three characters of a table and six digits")]
pub struct LinkIdError(String);

/// What ties a table to a queue: writes of its records become messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// Where its messages go.
    pub queue: QueueId,
    /// At which writes it is asked.
    pub on: Operations,
    /// How a write and its message hang together.
    pub mode: LinkMode,
    /// CEL over `old` and `new`; it fires where this is true. `None` = always.
    pub condition: Option<String>,
    /// Of updates: it fires only where one of these has changed. Empty = any.
    pub only_fields: Vec<FieldId>,
    /// The handler that the worker is to run. `None` = the queue's own.
    pub handler: Option<HandlerName>,
    /// What the message says.
    pub payload: LinkPayload,
    /// A text with CEL holes: on FIFO queues and Kafka, messages with the same key keep their order. `None` = the record's id.
    pub ordering_key: Option<String>,
    /// Whether it fires at all.
    pub enabled: bool,
}

/// How a write and its message hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMode {
    /// The message is committed with the record and goes out after the answer.
    Outbox,
    /// The answer waits until the queue has accepted the message; where it refuses, nothing is written.
    Strict,
}

/// What a link's message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkPayload {
    /// The record, and before a change also as it was.
    Whole,
    /// As `Whole`, but these fields of it alone.
    Fields(Vec<FieldId>),
    /// JSON text whose strings have CEL holes: `"${new.email}"`.
    Template(String),
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0AL{}{:06}", self.table, self.number)
    }
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LinkId {
    type Err = LinkIdError;

    fn from_str(text: &str) -> Result<LinkId, LinkIdError> {
        let read = || {
            let (table, number) = text.strip_prefix("0AL")?.split_at_checked(3)?;
            Some(LinkId { table: table.parse().ok()?, number: number.parse().ok()? })
        };
        // One id has one spelling.
        read().filter(|id| id.to_string() == text).ok_or_else(|| LinkIdError(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_links_id_has_one_spelling_and_knows_its_table() {
        let id = LinkId { table: TablePrefix::nth(77).unwrap(), number: 12 };
        assert_eq!(id.to_string(), "0ALA2D000012");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "0ALA2D12", "0ALA2D+00012", "0ala2d000012", "0BLA2D000012", "0ALé00000012"] {
            assert!(wrong.parse::<LinkId>().is_err(), "{wrong}");
        }
    }
}

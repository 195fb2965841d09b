//! What is to be sent: entries committed with the records that they tell of, and messages for a date. Each change of an
//! entry's state is one conditional write; the number of its lease is the fence that keeps a late sender out.

mod change;
mod due;
mod held;
mod image;
mod item;
mod lag;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod laws;
mod person;
mod read;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::{Clock, OutboxEntry};

pub(crate) use due::{DUE_INCLUDES, DUE_INDEX};
pub use due::{DuePage, OutboxGroup, OutboxPlace};
pub use image::{Seen, entry_of_image};
pub(crate) use item::entry_items;
pub use lag::Lag;
pub use person::{Cancelled, Discarded, Redriven};

use crate::table::{Action, Expression, Table};

/// The entries, kept in Outbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub(crate) table: Table,
    clock: Clock,
}

impl Outbox {
    /// Over so many shards is spread what is due: `0..SHARDS`.
    pub const SHARDS: u8 = item::SHARDS;

    /// The entries kept in `table`, as [`crate::create_tables`] makes it.
    pub fn new(client: Client, table: String, clock: Clock) -> Outbox {
        Outbox { table: Table { client, name: table }, clock }
    }

    /// The actions that save a new entry and the parts of its body, to stand in one transaction with what it is for. They
    /// fail where there is an entry of its key.
    pub(crate) fn entry_actions(&self, entry: &OutboxEntry) -> Vec<TransactWriteItem> {
        inserting(entry).into_iter().map(|action| self.table.wire(action)).collect()
    }

    /// Now, in epoch milliseconds.
    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }
}

/// What saves a new entry. Of its items the first alone tells whether there is one: parts come and go with it.
fn inserting(entry: &OutboxEntry) -> Vec<Action> {
    let mut items = entry_items(entry).into_iter();
    let head = items.next().map(|head| Action::Put(head, Some(Expression::absent())));
    head.into_iter().chain(items.map(|part| Action::Put(part, None))).collect()
}

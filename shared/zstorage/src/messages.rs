mod bodies;
mod failures;
mod letter_item;
mod letters;
mod rows;

use aws_sdk_dynamodb::Client;
use domain::Clock;

pub use letter_item::MAX_LETTER_BYTES;
pub use rows::{Begun, IdempotencyKey};

use crate::StoreError;
use crate::table::Table;

/// The table's attribute of time to live, epoch seconds. It only cleans: what is over is told by code.
const TTL: &str = "expires-at";

/// What is kept of messages on their way: idempotency rows of publishes, letters, failure counters. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Messages {
    table: Table,
    clock: Clock,
}

/// Why Messages did not do as it was asked. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum MessagesError {
    /// The letter does not fit into one item.
    #[error("a letter of {bytes} bytes without its body cannot be kept: {MAX_LETTER_BYTES} is the most")]
    TooLarge {
        /// The length of all of it but its body, bytes.
        bytes: usize,
    },
    /// What is to be marked refused was taken over by another call of the same key, or accepted: ask again where it stands.
    #[error("another request with this idempotency key came in between")]
    Overtaken,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MessagesError {
    /// Whether another request was there first.
    pub fn is_conflict(&self) -> bool {
        matches!(self, MessagesError::Overtaken)
    }

    /// Whether the same request may work in a moment.
    pub fn is_retryable(&self) -> bool {
        matches!(self, MessagesError::Store(error) if error.is_retryable())
    }
}

impl Messages {
    /// The messages kept in `table`, whose key is `pk` and `sk` and whose time to live is in `expires-at`.
    pub fn new(client: Client, table: String, clock: Clock) -> Messages {
        Messages { table: Table { client, name: table }, clock }
    }

    /// Now, in epoch milliseconds.
    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    /// Now and `secs` more, in epoch seconds.
    fn secs_from_now(&self, secs: i64) -> i64 {
        self.clock.now().as_second() + secs
    }
}

/// The partition of all that is kept of one message.
fn message_pk(message_id: &str) -> String {
    format!("m#{message_id}")
}

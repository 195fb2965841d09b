//! Everything kept in DynamoDB: one module per table, and the sealing of what must not be read there.
//!
//! zstorage does not know HTTP, queues' engines or Lua. Items are its own wire form: they are read and written here,
//! never shown outside, and a field that cannot be read is an error, not a default.

mod cache;
mod catalog;
mod error;
mod item;
mod jobs;
mod messages;
mod outbox;
mod page;
mod parts;
mod records;
mod seal;
mod table;
mod tables;

pub use catalog::{Catalog, CatalogError, PackageError, Released};
pub use error::StoreError;
pub use jobs::Jobs;
pub use messages::{Begun, IdempotencyKey, MAX_LETTER_BYTES, Messages, MessagesError};
pub use outbox::{
    Cancelled, Discarded, DuePage, Lag, Outbox, OutboxGroup, OutboxPlace, Redriven, Seen, entry_of_image,
};
pub use page::{Cursor, CursorError, Page};
pub use records::{
    Applied, By, Change, ChangeKind, Direction, Explain, Found, HeldWrite, LinkQueue, LinkQueues,
    MAX_ACTIONS, MAX_ITEMS_COUNTED, MAX_ITEMS_READ, MAX_LIMIT, MAX_RECORD_BYTES, MAX_SEARCH_BYTES,
    MAX_TRANSACTION_BYTES, MERGES, OpenTable, Pending, Query, QueryError, Records, Scanned, Settled, Slice,
    WriteError, Written,
};
pub use seal::{DataKey, DataKeys, KeyFile, SealError, Sealer, TableKeys};
pub use tables::{TableNames, create_tables};

//! Everything kept in DynamoDB: one module per table, and the sealing of what must not be read there.
//!
//! zstorage does not know HTTP, queues' engines or Lua. Items are its own wire form: they are read and written here,
//! never shown outside, and a field that cannot be read is an error, not a default.

mod cache;
mod catalog;
mod error;
mod item;
mod messages;
mod page;
mod seal;
mod table;
mod tables;

pub use catalog::{Catalog, CatalogError};
pub use error::StoreError;
pub use messages::{Begun, IdempotencyKey, MAX_LETTER_BYTES, Messages, MessagesError};
pub use page::{Cursor, CursorError, Page};
pub use seal::{KeyFile, SealError, Sealer};
pub use tables::create_tables;

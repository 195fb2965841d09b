//! The HTTP edge: what every function that answers HTTP does alike.
//!
//! A function gives an [`axum::Router`] without a fallback. [`serve`] puts authentication, fallback, limits, the catch
//! of panics and problem documents around it, so that **no route can be reached without a key** (health excepted) and
//! **every error is an RFC 9457 problem document**. Absent here: SQS, and any rule about queues.

mod body;
mod caller;
mod fields;
mod header;
mod keys;
mod path;
mod problem;
mod record;
mod serve;
mod tables;
mod version;

pub use body::{Body, JsonObject, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, answer_bytes};
pub use caller::Caller;
pub use fields::{Fields, Given};
pub use header::header;
pub use keys::Keys;
pub use path::{PathText, PathTexts, QueryText};
pub use problem::{Kind, Problem};
pub use record::record_document;
pub use serve::serve;
pub use tables::{TableScope, Tables};
pub use version::{IfMatch, etag};

/// Every path of the API begins with it.
pub const BASE: &str = "/api/v1/zstorage";

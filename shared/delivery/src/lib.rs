//! A message on its way to its queue: checked, sent, marked, or kept as a letter. Whence it comes: from a caller ([`Publisher`]), with a
//! record ([`Writer`]), out of the outbox ([`Courier`]).
//!
//! **Success means that the engine has the message.** What the engine refused, or did not answer for, is kept in Messages
//! where that is possible, and the caller is told either way. Delivery is at least once: between the engine's yes
//! and our mark lies a moment in which a process can die, and the same `message-id` may then travel twice.
//!
//! Absent here: HTTP, and the registry's rules. Whoever calls has found the queue and checked the right to it.

mod batch;
mod breaker;
mod door;
mod error;
mod message;
mod outbox;
mod publisher;
mod roads;
mod schedule;
mod strict;
mod wait;
mod writer;

pub use error::{PublishError, Undelivered};
pub use message::{MAX_DELAY_SECS, NewMessage, Options, Published};
pub use outbox::{Courier, CourierParts, Swept};
pub use publisher::Publisher;
pub use writer::{Answer, Answers, EngineId, Sent, Writer, WriterError};

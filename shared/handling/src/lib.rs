//! A message given to its handler, and its effects carried out.
//!
//! [`Handling`] picks the handler, lets the Lua host run it, answers what it asks of the world ([`Door`]), counts its
//! failures and puts what is poison where a person will find it. What comes out is one [`domain::Outcome`]
//! that the receiver only has to pass on.
//!
//! **No message is ever acknowledged silently**: an `Ack` means that its handler said so, or that its dead letter is
//! safely elsewhere, or (of Kafka and RabbitMQ) that it waits on the retry queue. The order of a burial is: letter kept, body
//! forwarded to the dead-letter queue, then the ack.
//!
//! Which handlers there are says [`Handlers`]: a release of a package is at work within 10 s, and **a batch ends on the handlers that it
//! began with**.
//!
//! This crate does not know how messages arrive: SQS events, Kafka records and AMQP deliveries become a [`Received`] elsewhere.

mod broker;
mod burial;
mod door;
mod error;
mod handlers;
mod handling;
mod log;
mod pick;
mod received;
mod redact;
mod start;
mod verdict;

pub use broker::BrokerHandling;
pub use door::{Door, DoorParts};
pub use error::HandlingError;
pub use handlers::{Handlers, HandlersError, HandlersParts, LiveHandlers};
pub use handling::{DEFAULT_CPU_BUDGET, Handling, HandlingParts, MAX_VISIBILITY_SECS, RETURN_SECS};
pub use received::{Body, Received, Source};
pub use start::{Ground, HandlingSettings, StartError};

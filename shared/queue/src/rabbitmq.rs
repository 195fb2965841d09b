//! Sending to RabbitMQ, one connection per broker and process.
//!
//! A message is accepted once the broker has confirmed it and not returned it. Each message on its way has a channel of
//! its own: the broker names no message when it returns one or closes a channel over one, so that two on a channel could
//! be taken for each other, and a lost message for an accepted one.

mod connection;
mod judge;
mod place;
mod send;

pub use place::RabbitPlace;
pub use send::RabbitConnections;

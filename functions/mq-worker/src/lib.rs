//! `mq-worker`: a batch of RabbitMQ messages in, Lua handlers run, success out.
//!
//! **A queue moves on.** Poison is buried here, and what failed or was not reached in time waits on the stack's retry queue,
//! where `sqs-worker` goes on with it. **When the retry queue refused any, the invocation fails**, for an answer cannot name
//! messages: the broker brings all of the batch again, those that were handled too.

mod event;
mod start;
mod worker;

pub use event::EventError;
pub use start::start;
pub use worker::MqWorker;

//! `sqs-worker`: a batch of SQS messages in, Lua handlers run, the partial batch response out.
//!
//! **An answer names exactly the messages that must come back.** Lambda deletes every other message of the batch, takes an
//! empty list for success, and a missing, empty or unknown id for the failure of all: so the answer is a typed one with
//! ids that came in, and a batch with a record that cannot be named is refused as a whole before anything ran.

mod event;
mod start;
mod worker;

pub use event::EventError;
pub use start::start;
pub use worker::SqsWorker;

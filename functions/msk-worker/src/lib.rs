//! `msk-worker`: a batch of Kafka records in, Lua handlers run, the partial batch response out.
//!
//! **A partition moves on.** Poison is buried here, and what failed or was not reached in time waits on the stack's retry
//! queue, where `sqs-worker` goes on with it; order per key holds among records that succeed at once. **Only what the retry
//! queue refused is reported failed**: nobody else has it.

mod answer;
mod event;
mod seen;
mod start;
mod worker;

pub use answer::{BatchItemFailure, ItemIdentifier, KafkaBatchResponse};
pub use event::EventError;
pub use start::start;
pub use worker::{FailedRecords, MskWorker};

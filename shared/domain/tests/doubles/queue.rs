//! A registered queue, as the tests of many rooms begin with one.
#![allow(unreachable_pub, reason = "each test binary includes this file by its path")]

use domain::{
    DEFAULT_MAX_FAILURES, Destination, Queue, QueueId, QueueName, QueueState, SqsQueue, WorkerMode,
};
use jiff::Timestamp;

/// The queue `name` over `place`, as plain as can be: standard, in use, made by others, with no worker of ours.
pub fn queue_at(name: &str, place: SqsQueue, now: Timestamp) -> Queue {
    Queue {
        id: QueueId::new(now, &mut rand::rng()),
        name: QueueName::parse(name).unwrap(),
        destination: Destination::Sqs(place),
        credentials: None,
        default_handler: None,
        schema: None,
        fifo: false,
        worker: WorkerMode::None,
        mapping: None,
        state: QueueState::Ready,
        max_failures: DEFAULT_MAX_FAILURES,
        dead_letter_queue: None,
        owned: false,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

use std::collections::BTreeMap;

use jiff::Timestamp;

/// An id given by others may be this long.
const MAX_ID_BYTES: usize = 128;

/// One message as it came from its engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The engine's own id of this delivery's message; SQS gives a new one at each redrive.
    pub sqs_message_id: String,
    /// What settles this delivery.
    pub receipt_handle: String,
    /// The queue it came from.
    pub queue_arn: String,
    /// How often it was received, from 1.
    pub receive_count: u32,
    /// When it was put on the queue, where the engine says so.
    pub sent_at: Option<Timestamp>,
    /// The group whose order is kept; `None` on queues that keep none.
    pub group: Option<String>,
    /// Our id of it, from the attribute `message-id`.
    pub message_id: Option<String>,
    /// How often it was redriven, from the attribute `round`.
    pub round: u32,
    /// The body, byte for byte.
    pub body: String,
    /// What else travelled beside it, as text; without `message-id` and `round`.
    pub attributes: BTreeMap<String, String>,
}

impl Received {
    /// The message's id through all its deliveries and rounds: ours where it has one, else the engine's.
    ///
    /// An attribute that could be no id of anybody's (empty, overlong, not plain characters) is not believed: it becomes a
    /// key in our tables.
    pub fn id(&self) -> &str {
        let plain = |id: &&str| {
            (1..=MAX_ID_BYTES).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        self.message_id.as_deref().filter(plain).unwrap_or(&self.sqs_message_id)
    }
}

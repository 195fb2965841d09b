use jiff::Timestamp;

use crate::{DeadReason, HandlerName, QueueId, QueueName};

/// A dead letter: a message that could not be pushed onto its queue, or that its handler could not work off, kept with
/// everything a person needs to see why, fix it and send it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The message's id: ours (0BF...), or for a message that others put on the queue its SQS `MessageId`.
    pub message_id: String,
    /// How often the message was redriven before: 0 on its first way.
    pub round: u32,
    /// The queue it was for, or came from.
    pub queue_id: QueueId,
    /// That queue's name when it happened.
    pub queue_name: QueueName,
    /// Where on its way it died.
    pub origin: LetterOrigin,
    /// Why.
    pub reason: DeadReason,
    /// The body, byte for byte. `None` in a worker's letter whose unchanged body is in the dead-letter queue, or was lost.
    pub body: Option<LetterBody>,
    /// Headers it was published with, to publish it so again.
    pub ordering_key: Option<String>,
    /// Attempts made: handler runs, or sends.
    pub attempts: u32,
    /// The handler that ran, with its package.
    pub handler: Option<HandlerName>,
    /// The last 16 KiB of what the handler logged.
    pub log: String,
    /// When it died.
    pub died_at: Timestamp,
    /// What has become of it.
    pub state: LetterState,
}

/// The body of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LetterBody {
    /// UTF-8, as all bodies are that came in through the door.
    Text(String),
    /// What is no UTF-8: others put it on a topic or a queue of RabbitMQ.
    Bytes(Vec<u8>),
}

/// Where on its way a message died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterOrigin {
    /// At the door: the engine refused it, or did not answer (`outcome_unknown`: it may be on the queue all the same).
    Publish {
        /// Whether the engine may have taken it.
        outcome_unknown: bool,
        /// Whether the caller, without an `Idempotency-Key`, may have sent it again as another message.
        may_have_been_retried: bool,
    },
    /// At work: its handler failed or refused it.
    Worker,
}

/// What has become of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterState {
    /// Waits for a person.
    Open,
    /// A later publish under the same idempotency key was accepted.
    Closed,
}

impl LetterBody {
    /// The body of these bytes.
    pub fn of(bytes: Vec<u8>) -> LetterBody {
        match String::from_utf8(bytes) {
            Ok(text) => LetterBody::Text(text),
            Err(error) => LetterBody::Bytes(error.into_bytes()),
        }
    }

    /// It, byte for byte.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            LetterBody::Text(text) => text.as_bytes(),
            LetterBody::Bytes(bytes) => bytes,
        }
    }
}

impl From<String> for LetterBody {
    fn from(text: String) -> LetterBody {
        LetterBody::Text(text)
    }
}

use std::collections::BTreeMap;
use std::fmt;

use domain::{DeadReason, Engine, MAX_BODY_BYTES, QueueId, QueueName, forbidden_character};
use jiff::Timestamp;

use crate::pick::BAD_BODY;

/// An id given by others may be this long.
const MAX_ID_BYTES: usize = 128;

/// One message as it came from its engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The engine's own id of it. SQS: its `MessageId`, a new one at each redrive. Kafka: `topic-partition-offset`. RabbitMQ has none:
    /// it is the message's own, or one that whoever received it made.
    pub engine_id: String,
    /// Where it came from.
    pub source: Source,
    /// How often it was received, from 1. Brokers do not count: from them, 2 is a message that may have come before, and by way of the
    /// retry queue its receipt from there counts as one.
    pub receive_count: u32,
    /// When it was put on the queue, where the engine says so.
    pub sent_at: Option<Timestamp>,
    /// The group whose order is kept; `None` on queues that keep none.
    pub group: Option<String>,
    /// Our id of it, from the attribute or header `message-id`.
    pub message_id: Option<String>,
    /// How often it was redriven, from the attribute `round`.
    pub round: u32,
    /// The body, byte for byte.
    pub body: Body,
    /// What else travelled beside it, as text; without `message-id` and `round`.
    pub attributes: BTreeMap<String, String>,
}

/// Where a message came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From an SQS queue, which is registered by its ARN.
    Sqs {
        /// The queue's.
        arn: String,
    },
    /// From Kafka or RabbitMQ: the topic or queue there, whose name is that of the registered queue.
    Broker {
        /// Which of the two.
        engine: Engine,
        /// The name.
        queue: QueueName,
    },
    /// From Kafka or RabbitMQ by way of the stack's retry queue.
    Retry {
        /// The registered queue that it came from.
        queue: QueueId,
        /// Before this it is not to be handled; `None` = now.
        not_before: Option<Timestamp>,
    },
}

/// A message's body as it was received.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// UTF-8.
    Text(String),
    /// What is no UTF-8, and so never JSON.
    Bytes(Vec<u8>),
    /// It lies in Messages at this address, for SQS could not carry it.
    Kept(String),
}

impl Body {
    /// The body of these bytes.
    pub fn of(bytes: Vec<u8>) -> Body {
        match String::from_utf8(bytes) {
            Ok(text) => Body::Text(text),
            Err(error) => Body::Bytes(error.into_bytes()),
        }
    }

    /// What a handler can be given of it, or why none can.
    pub(crate) fn text(&self) -> Result<&str, DeadReason> {
        match self {
            Body::Text(text) => Ok(text),
            Body::Bytes(bytes) => {
                let bytes = bytes.len();
                let why = format!("no handler can be given this body: its {bytes} bytes are no UTF-8 text");
                Err(DeadReason::new(BAD_BODY, why))
            }
            Body::Kept(at) => Err(DeadReason::new(
                "lost-body",
                format!("its body was kept at {at}, and is not there any more"),
            )),
        }
    }

    /// The body, if SQS carries it: not what is empty, too large, or has characters that are none of XML.
    pub(crate) fn travels(&self) -> Option<&str> {
        let Body::Text(text) = self else { return None };
        let fits = (1..=MAX_BODY_BYTES).contains(&text.len()) && forbidden_character(text).is_none();
        fits.then_some(text)
    }
}

impl fmt::Debug for Body {
    /// Without what it says: that is for its reader alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Body::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Body::Kept(at) => write!(f, "Kept({at})"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Sqs { arn } => f.write_str(arn),
            Source::Broker { queue, .. } => write!(f, "{queue}"),
            Source::Retry { queue, .. } => write!(f, "{queue}, by the retry queue"),
        }
    }
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
        self.message_id.as_deref().filter(plain).unwrap_or(&self.engine_id)
    }
}

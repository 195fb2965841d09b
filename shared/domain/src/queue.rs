use jiff::Timestamp;
use serde_json::Value;

use crate::{Destination, Engine, HandlerName, QueueId, QueueName, Secret, SqsQueue};

/// A worker gets this many messages at once, and sends go out in chunks of as many.
pub const BATCH_SIZE: usize = 10;

/// A message that failed this often is a dead letter, unless its queue says otherwise.
pub const DEFAULT_MAX_FAILURES: u32 = 3;

/// The highest own limit: beyond it the redrive policy (20 receives) could come first.
pub const MAX_FAILURES_LIMIT: u32 = 10;

/// A registered queue: where messages go, by what right, and who works on them.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Its id, for ever.
    pub id: QueueId,
    /// Its name, unique.
    pub name: QueueName,
    /// The engine behind it and the place there.
    pub destination: Destination,
    /// Foreign credentials, sealed; `None` = our own role.
    pub credentials: Option<Sealed>,
    /// The handler of messages that name none, or an unknown one.
    pub default_handler: Option<HandlerName>,
    /// JSON Schema that a payload must meet at the door.
    pub schema: Option<Value>,
    /// Whether it is a FIFO queue of SQS. Whether order is kept on any engine: [`Queue::keeps_order`].
    pub fifo: bool,
    /// Whether our worker receives from it.
    pub worker: WorkerMode,
    /// The worker's event source mapping, once made.
    pub mapping: Option<String>,
    /// Where it stands in its life.
    pub state: QueueState,
    /// Failures after which a message is a dead letter.
    pub max_failures: u32,
    /// Where dead messages go; `None` = the queue has no redrive policy.
    pub dead_letter_queue: Option<SqsQueue>,
    /// Whether the SQS queues were made by us, and go when this registration is deleted.
    pub owned: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When its settings last changed.
    pub updated_at: Timestamp,
    /// Counts changes; a change is conditioned on it, so that none is lost.
    pub version: u64,
}

/// Whether our worker receives from a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerMode {
    /// An event source mapping feeds `sqs-worker`.
    Attached,
    /// Publish only: others receive.
    None,
}

/// Where a queue stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueState {
    /// Saved, its resources not all made: the same request resumes it.
    Creating,
    /// In use.
    Ready,
    /// Being taken down: the same DELETE resumes it.
    Deleting,
}

/// What an event source mapping is doing, as Lambda says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappingState {
    /// Messages are received.
    Enabled,
    /// Paused.
    Disabled,
    /// On its way from one to the other.
    Changing,
}

/// Encrypted bytes of credentials; only the sealer that made them can open them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sealed(pub Vec<u8>);

/// A user name and a password for a queue's engine; for SQS an access key id and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name or access key id.
    pub username: Secret,
    /// Password or secret access key.
    pub password: Secret,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(..)")
    }
}

impl Queue {
    /// The SQS queue behind it, if SQS it is.
    pub fn sqs(&self) -> Option<&SqsQueue> {
        match &self.destination {
            Destination::Sqs(place) => Some(place),
            Destination::Kafka(_) | Destination::RabbitMq(_) => None,
        }
    }

    /// The engine behind it.
    pub fn engine(&self) -> Engine {
        match &self.destination {
            Destination::Sqs(_) => Engine::Sqs,
            Destination::Kafka(_) => Engine::Kafka,
            Destination::RabbitMq(_) => Engine::RabbitMq,
        }
    }

    /// Whether it lies on the Kafka or RabbitMQ of this installation: on that alone its name is the name of what lies there.
    pub fn is_on_own_broker(&self) -> bool {
        match &self.destination {
            Destination::Sqs(_) => false,
            Destination::Kafka(topic) => topic.cluster.is_none(),
            Destination::RabbitMq(queue) => queue.broker.is_none(),
        }
    }

    /// Whether messages with the same ordering key arrive in the order they were sent: on FIFO queues of SQS, and on Kafka.
    pub fn keeps_order(&self) -> bool {
        match &self.destination {
            Destination::Sqs(_) => self.fifo,
            Destination::Kafka(_) => true,
            Destination::RabbitMq(_) => false,
        }
    }
}

//! What Kafka and RabbitMQ have in common here.

use std::time::Duration;

/// No send takes longer: whoever waits for the answer does so for 5 s at most.
pub(crate) const LONGEST: Duration = Duration::from_millis(4500);

/// Clusters or brokers that are connected at once, and for how long unused.
pub(crate) const KEPT: u64 = 16;
pub(crate) const KEPT_IDLE: Duration = Duration::from_secs(3600);

/// What a broker said when it took a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAccepted {
    /// Where it is. Kafka: `topic-partition-offset`. RabbitMQ gives no id of its own: the message id it took.
    pub engine_id: String,
}

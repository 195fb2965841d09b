use domain::SqsQueue;

use crate::Brokers;

/// What this installation is and allows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The stack's name: our own queues are `<stack>-*`.
    pub stack: String,
    /// The home region.
    pub region: String,
    /// Our account, twelve digits.
    pub account: String,
    /// Where SQS is, if not at AWS.
    pub sqs_endpoint: Option<String>,
    /// Whether queues may be made at run time.
    pub creation_allowed: bool,
    /// How long one batch may take the worker, seconds.
    pub worker_timeout_secs: u32,
    /// What is known of Kafka and RabbitMQ.
    pub brokers: Brokers,
}

/// What failed on Kafka and RabbitMQ and is given up lies here, behind the stack's name.
const RETRY_DEAD: &str = "retry-dead";

/// The queues of the system itself, behind the stack's name: its jobs, what is left of those that failed, what handlers are to do
/// again for Kafka and RabbitMQ, what is left of that, and Lambda's notes of what it gave up of Kafka and of the outbox's stream.
const SYSTEM_QUEUES: [&str; 6] = ["jobs", "jobs-dead", "kafka-failed", "outbox-failed", "retry", RETRY_DEAD];

/// SQS takes names this long.
const MAX_SQS_NAME: usize = 80;

impl Settings {
    /// Whether our own role may be used on `queue`: only on what belongs to this stack, or a caller could make our
    /// rights serve another's ends.
    pub(crate) fn is_ours(&self, queue: &SqsQueue) -> bool {
        self.own_name(queue).is_some() && !self.is_the_systems(queue)
    }

    /// Whether `queue` is the system's own, and so nobody's to register: our roles send there for their own ends.
    pub(crate) fn is_the_systems(&self, queue: &SqsQueue) -> bool {
        queue.region == self.region && self.own_name(queue).is_some_and(|name| SYSTEM_QUEUES.contains(&name))
    }

    /// What a queue of this stack is called behind the stack's name; `None` = it is of another one.
    fn own_name<'q>(&self, queue: &'q SqsQueue) -> Option<&'q str> {
        let name = queue.name.strip_prefix(&self.stack)?.strip_prefix('-')?;
        (queue.account == self.account).then_some(name)
    }

    /// Where a queue that we make lies; `None` = its name would be too long for SQS, or its dead-letter queue's.
    pub(crate) fn own_place(&self, name: &str, fifo: bool) -> Option<SqsQueue> {
        let suffix = if fifo { ".fifo" } else { "" };
        let stem = self.own_stem(name);
        if stem.len() + "-dead".len() + suffix.len() > MAX_SQS_NAME {
            return None;
        }
        Some(SqsQueue {
            region: self.region.clone(),
            account: self.account.clone(),
            name: format!("{stem}{suffix}"),
        })
    }

    /// Where the dead-letter queue beside it lies.
    pub(crate) fn own_dead_place(&self, name: &str, fifo: bool) -> Option<SqsQueue> {
        let suffix = if fifo { ".fifo" } else { "" };
        let place = self.own_place(name, fifo)?;
        Some(SqsQueue { name: format!("{}-dead{suffix}", self.own_stem(name)), ..place })
    }

    /// The SQS name of a queue that we make, without `.fifo`.
    pub(crate) fn own_stem(&self, name: &str) -> String {
        format!("{}-{name}", self.stack)
    }

    /// Where dead messages of Kafka and RabbitMQ go, whose queues have no dead-letter queue of their own.
    pub(crate) fn retry_dead_place(&self) -> SqsQueue {
        SqsQueue {
            region: self.region.clone(),
            account: self.account.clone(),
            name: format!("{}-{RETRY_DEAD}", self.stack),
        }
    }

    /// The visibility timeout of queues that feed the worker, seconds: six times its own, as Lambda asks.
    pub(crate) fn visibility_secs(&self) -> u32 {
        self.worker_timeout_secs.saturating_mul(6)
    }
}

use domain::{Engine, Faults, MessageId, Payload, Queue, QueueId, QueueState};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::PublishError;

/// SQS holds a message back this long at most, seconds.
pub const MAX_DELAY_SECS: u32 = 900;

/// A message that somebody asks to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Its body, checked, and no larger than the queue takes.
    pub payload: Payload,
    /// How it is to travel.
    pub options: Options,
}

/// What a caller may ask for beside the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The same key with the same message, within 24 h: the same answer, not a second message.
    pub idempotency_key: Option<String>,
    /// On a FIFO queue, and on Kafka: messages with the same key keep their order.
    pub ordering_key: Option<String>,
    /// On a standard queue of SQS: held back this long, seconds, at most [`MAX_DELAY_SECS`].
    pub deliver_after_secs: Option<u32>,
    /// On any queue: kept back until this date. One that is past asks for nothing.
    pub deliver_at: Option<Timestamp>,
}

/// A message that is on its queue, or kept for its date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Ours.
    pub message_id: MessageId,
    /// The engine of its queue.
    pub engine: Engine,
    /// The engine's; a message that is kept for its date has none yet.
    pub engine_id: Option<String>,
    /// Where it is.
    pub queue_id: QueueId,
    /// The date it is kept for; `None` = it is on its queue.
    pub deliver_at: Option<Timestamp>,
    /// Whether this answer was given before, under the same idempotency key.
    pub replayed: bool,
}

impl Options {
    /// What is wrong with them, for `queue`; paths are `idempotency-key`, `ordering-key`, `deliver-after`,
    /// `deliver-at`.
    pub fn faults(&self, queue: &Queue) -> Faults {
        let mut faults = Faults::none();
        if let Some(key) = &self.idempotency_key
            && (key.is_empty() || key.len() > 255 || key.chars().any(char::is_control))
        {
            faults.add(
                "idempotency-key",
                "length",
                "an idempotency key has 1 to 255 bytes, none of them a control character",
            );
        }
        match &self.ordering_key {
            None => {}
            Some(_) if !queue.keeps_order() => {
                let (code, message) = match queue.engine() {
                    Engine::RabbitMq => (
                        "not-on-rabbitmq",
                        "a queue of RabbitMQ keeps no order by key; leave the ordering key out, or publish to a Kafka queue or an SQS queue made with \"fifo\": true",
                    ),
                    Engine::Sqs | Engine::Kafka => (
                        "not-on-standard",
                        "a standard queue keeps no order; leave the ordering key out, or publish to a queue made with \"fifo\": true",
                    ),
                };
                faults.add("ordering-key", code, message);
            }
            Some(key) if !(1..=128).contains(&key.len()) || !key.chars().all(|c| c.is_ascii_graphic()) => {
                let message = "an ordering key has 1 to 128 ASCII letters, digits and punctuation marks";
                faults.add("ordering-key", "ordering-key", message);
            }
            Some(_) => {}
        }
        match self.deliver_after_secs {
            None => {}
            Some(_) if queue.fifo || queue.engine() != Engine::Sqs => {
                let (code, which) = match queue.engine() {
                    Engine::Sqs => ("not-on-fifo", "a FIFO queue"),
                    Engine::Kafka => ("not-on-kafka", "Kafka"),
                    Engine::RabbitMq => ("not-on-rabbitmq", "RabbitMQ"),
                };
                let message = format!(
                    "{which} holds no single message back; say deliver-at, or use a standard queue of SQS"
                );
                faults.add("deliver-after", code, message);
            }
            Some(secs) if secs > MAX_DELAY_SECS => {
                let message = format!("a message is held back 0 to {MAX_DELAY_SECS} seconds");
                faults.add("deliver-after", "range", message);
            }
            Some(_) => {}
        }
        if self.deliver_after_secs.is_some() && self.deliver_at.is_some() {
            let message = "a message is held back for some seconds or until a date, not both";
            faults.add("deliver-at", "not-with-deliver-after", message);
        }
        faults
    }
}

impl NewMessage {
    /// What tells this message from another under the same idempotency key: body and options.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        // Lengths first, so that nothing moves from one part to the next unseen.
        for part in [self.payload.as_str(), self.options.ordering_key.as_deref().unwrap_or_default()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(self.options.deliver_after_secs.unwrap_or(0).to_be_bytes());
        // Only where there is one: rows of messages without are older than dates.
        if let Some(date) = self.options.deliver_at {
            hash.update(date.as_nanosecond().to_be_bytes());
        }
        hash.finalize().into()
    }
}

/// Refuses a queue that is being made or taken down.
pub(crate) fn in_use(queue: &Queue) -> Result<(), PublishError> {
    match queue.state {
        QueueState::Ready => Ok(()),
        QueueState::Creating => Err(PublishError::NotInUse { doing: "created" }),
        QueueState::Deleting => Err(PublishError::NotInUse { doing: "deleted" }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn message(body: &str, ordering_key: Option<&str>, delay: Option<u32>) -> NewMessage {
        let options = Options {
            idempotency_key: None,
            ordering_key: ordering_key.map(str::to_owned),
            deliver_after_secs: delay,
            deliver_at: None,
        };
        NewMessage { payload: Payload::parse(body.as_bytes(), 1000).unwrap(), options }
    }

    #[test]
    fn messages_that_differ_in_anything_differ_in_their_fingerprint() {
        let mut dated = message("1", None, None);
        dated.options.deliver_at = Some(Timestamp::UNIX_EPOCH);
        let all = [
            dated,
            message("1", None, None),
            message("2", None, None),
            message("1 ", None, None),
            message("1", Some("a"), None),
            message("1", None, Some(5)),
            message("11", None, None),
            message("1", Some("1"), None),
        ];
        let prints: std::collections::HashSet<[u8; 32]> = all.iter().map(NewMessage::fingerprint).collect();
        assert_eq!(prints.len(), all.len());
        // No delay and a delay of nothing ask for the same.
        assert_eq!(all[1].fingerprint(), message("1", None, Some(0)).fingerprint());
    }
}

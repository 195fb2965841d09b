use std::fmt;

use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};

use crate::SqsPlace;

/// A message to send. Beside the body travel `message-id`, `round` and its own `attributes`, as message attributes or headers; to a FIFO queue
/// also the deduplication id `message-id#round` and the group: the ordering key, or else the message id.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Our id of it, or that of whoever put it on a queue.
    pub message_id: String,
    /// How often it was redriven before.
    pub round: u32,
    /// The body, byte for byte.
    pub body: String,
    /// The key within which a FIFO queue and a topic of Kafka keep order. Others ignore it.
    pub ordering_key: Option<String>,
    /// Seconds until it becomes visible, at most 900. Only standard queues of SQS have such a thing; elsewhere it is left out.
    pub delay_secs: u32,
    /// What else travels beside the body: names and texts, at most eight.
    pub attributes: Vec<(&'static str, String)>,
}

impl fmt::Debug for Outgoing {
    /// Without the body: that is for its reader alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("message_id", &self.message_id)
            .field("round", &self.round)
            .finish_non_exhaustive()
    }
}

/// What the engine said when it took a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its id there. SQS: the one it gave. Kafka: `topic-partition-offset`. RabbitMQ gives none: the message's own.
    pub engine_id: String,
}

impl Outgoing {
    fn attributes(&self) -> impl Iterator<Item = (&'static str, &'static str, String)> + '_ {
        let ours =
            [("message-id", "String", self.message_id.clone()), ("round", "Number", self.round.to_string())];
        ours.into_iter().chain(self.attributes.iter().map(|(name, value)| (*name, "String", value.clone())))
    }

    /// What SQS counts of it: body, and names, types and values of its attributes, bytes.
    pub(crate) fn bytes(&self) -> usize {
        let beside = self.attributes().map(|(name, kind, value)| name.len() + kind.len() + value.len());
        self.body.len() + beside.sum::<usize>()
    }

    fn group(&self, to: &SqsPlace) -> Option<String> {
        to.fifo.then(|| self.ordering_key.clone().unwrap_or_else(|| self.message_id.clone()))
    }

    fn deduplication_id(&self, to: &SqsPlace) -> Option<String> {
        to.fifo.then(|| format!("{}#{}", self.message_id, self.round))
    }

    fn delay(&self, to: &SqsPlace) -> Option<i32> {
        // Without one the queue's own default would hold, and a caller who asked for none got it.
        (!to.fifo && self.delay_secs > 0).then(|| i32::try_from(self.delay_secs).unwrap_or(i32::MAX))
    }

    /// `call` with this message in it.
    pub(crate) fn fill(&self, call: SendMessageFluentBuilder, to: &SqsPlace) -> SendMessageFluentBuilder {
        let call = call
            .message_body(&self.body)
            .set_delay_seconds(self.delay(to))
            .set_message_group_id(self.group(to))
            .set_message_deduplication_id(self.deduplication_id(to));
        self.attributes()
            .fold(call, |call, (name, kind, value)| call.message_attributes(name, attribute(kind, value)))
    }

    pub(crate) fn entry(&self, id: usize, to: &SqsPlace) -> SendMessageBatchRequestEntry {
        let mut entry = SendMessageBatchRequestEntry::builder()
            .id(id.to_string())
            .message_body(&self.body)
            .set_delay_seconds(self.delay(to))
            .set_message_group_id(self.group(to))
            .set_message_deduplication_id(self.deduplication_id(to));
        for (name, kind, value) in self.attributes() {
            entry = entry.message_attributes(name, attribute(kind, value));
        }
        entry.build().expect("id and body are set")
    }
}

fn attribute(kind: &str, value: String) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(kind).string_value(value).build().expect("the type is set")
}

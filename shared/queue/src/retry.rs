//! The stack's retry queue: where a message of Kafka or RabbitMQ goes that was not done with at its first receipt, for a partition
//! does not wait, and a broker has no visibility timeout.

use std::collections::BTreeMap;

use domain::{QueueId, SqsQueue, ascii_json};
use serde_json::Value;

use crate::{Outgoing, Queues, SendError, SqsPlace};

/// SQS delays a message by this much at most, seconds.
pub const MAX_DELAY_SECS: u32 = 900;

/// The body of a message whose own lies in Messages.
const ELSEWHERE: &str = "{}";

/// Of a message's own attributes so much travels on, bytes of JSON. Kafka's headers may be as large as a message.
const MAX_OWN_BYTES: usize = 32 * 1024;

/// A longer ordering key is left behind, bytes: behind a failure no order is kept.
const MAX_KEY_BYTES: usize = 1024;

/// A message on the retry queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryMessage {
    /// The message's id through all its deliveries.
    pub message_id: String,
    /// How often it was redriven.
    pub round: u32,
    /// The registered queue that it came from.
    pub queue: QueueId,
    /// The broker's own id of it.
    pub engine_id: String,
    /// When it was put on its queue, epoch milliseconds.
    pub sent_at_ms: Option<i64>,
    /// Before this it is not to be handled, epoch seconds; `None` = now.
    pub not_before_secs: Option<i64>,
    /// Within this its order was kept, up to here.
    pub ordering_key: Option<String>,
    /// The body, or where it lies.
    pub body: RetryBody,
    /// What else travelled beside it.
    pub attributes: BTreeMap<String, String>,
}

/// The body of a message on the retry queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryBody {
    /// As it is. SQS takes neither an empty one nor one with characters that are none of XML.
    Text(String),
    /// It lies in Messages, at this address.
    At(String),
}

/// The stack's retry queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RetryQueue {
    queues: Queues,
    place: SqsPlace,
}

impl RetryQueue {
    /// The retry queue at `queue`, a standard queue, reached by our own role.
    pub fn new(queues: Queues, queue: SqsQueue) -> RetryQueue {
        RetryQueue { queues, place: SqsPlace { queue, credentials: None, fifo: false } }
    }

    /// Puts a message on the queue, visible after `delay_secs`, [`MAX_DELAY_SECS`] at most. Takes 3.5 s at most.
    ///
    /// # Errors
    /// [`SendError`]; one that [is of the message](SendError::is_of_the_message) may be taken with its body elsewhere.
    pub async fn send(&self, message: &RetryMessage, delay_secs: u32) -> Result<(), SendError> {
        let outgoing = message.outgoing(delay_secs.min(MAX_DELAY_SECS));
        self.queues.send(&self.place, &outgoing).await.map(|_| ())
    }
}

impl RetryMessage {
    fn outgoing(&self, delay_secs: u32) -> Outgoing {
        let (body, at) = match &self.body {
            RetryBody::Text(text) => (text.clone(), None),
            RetryBody::At(at) => (ELSEWHERE.to_owned(), Some(at.clone())),
        };
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        let key = self.ordering_key.clone().filter(|key| {
            (1..=MAX_KEY_BYTES).contains(&key.len()) && domain::forbidden_character(key).is_none()
        });
        let own = Some(&self.attributes).filter(|own| !own.is_empty()).map(own_json);
        let attributes = [
            ("queue-id", Some(self.queue.to_string())),
            ("engine-id", Some(self.engine_id.clone())),
            ("sent-at", number(self.sent_at_ms)),
            ("not-before", number(self.not_before_secs)),
            ("ordering-key", key),
            ("body-at", at),
            ("attributes", own),
        ];
        Outgoing {
            message_id: self.message_id.clone(),
            round: self.round,
            body,
            // On a standard queue a group would mean something else (fair queues).
            ordering_key: None,
            delay_secs,
            attributes: attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        }
    }

    /// Reads a message that was received from the retry queue.
    ///
    /// # Errors
    /// What is wrong with one that is none of [`RetryQueue::send`]'s.
    pub fn read(mut attributes: BTreeMap<String, String>, body: String) -> Result<RetryMessage, String> {
        let mut take = |name: &'static str| (name, attributes.remove(name));
        let queue = needed(take("queue-id"))?.parse::<QueueId>().map_err(|_| wrong("queue-id"))?;
        let own = match take("attributes") {
            (_, None) => BTreeMap::new(),
            (name, Some(json)) => serde_json::from_str(&json).map_err(|_| wrong(name))?,
        };
        Ok(RetryMessage {
            message_id: needed(take("message-id"))?,
            round: needed(take("round"))?.parse().map_err(|_| wrong("round"))?,
            queue,
            engine_id: needed(take("engine-id"))?,
            sent_at_ms: number(take("sent-at"))?,
            not_before_secs: number(take("not-before"))?,
            ordering_key: take("ordering-key").1,
            body: take("body-at").1.map_or(RetryBody::Text(body), RetryBody::At),
            attributes: own,
        })
    }
}

fn wrong(name: &str) -> String {
    format!("a message on the retry queue has an attribute {name} that is none of ours")
}

fn needed((name, value): (&str, Option<String>)) -> Result<String, String> {
    value.ok_or_else(|| format!("a message on the retry queue has no attribute {name}: it is none of ours"))
}

fn number((name, value): (&str, Option<String>)) -> Result<Option<i64>, String> {
    value.map(|text| text.parse().map_err(|_| wrong(name))).transpose()
}

/// A message's own attributes as JSON of ASCII alone, which SQS always carries: one attribute, for there may be ten in all.
/// Those that are too large together are left behind, the largest ones first.
fn own_json(own: &BTreeMap<String, String>) -> String {
    let text = |text: &str| ascii_json(&Value::from(text).to_string());
    let member = |(name, value): (&String, &String)| format!("{}:{}", text(name), text(value));
    let mut members: Vec<String> = own.iter().map(member).collect();
    members.sort_by_key(String::len);
    let mut bytes = "{".len();
    let kept: Vec<String> = members
        .into_iter()
        .take_while(|member| {
            bytes += member.len() + ",".len();
            bytes <= MAX_OWN_BYTES
        })
        .collect();
    format!("{{{}}}", kept.join(","))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use proptest::prelude::*;

    use super::*;

    fn received(outgoing: &Outgoing) -> (BTreeMap<String, String>, String) {
        let ours = [("message-id", outgoing.message_id.clone()), ("round", outgoing.round.to_string())];
        let all = ours.into_iter().chain(outgoing.attributes.clone());
        (all.map(|(name, value)| (name.to_owned(), value)).collect(), outgoing.body.clone())
    }

    prop_compose! {
        fn messages()(
            message_id in "[A-Za-z0-9._-]{1,40}", round in any::<u32>(), engine_id in "[a-z.]{1,20}-[0-9]-[0-9]{1,12}",
            sent_at_ms in proptest::option::of(any::<i64>()), not_before_secs in proptest::option::of(any::<i64>()),
            ordering_key in proptest::option::of("[ -~é😀]{1,60}"), body in "\\PC{1,200}", kept in any::<bool>(),
            attributes in proptest::collection::btree_map("\\PC{0,30}", any::<String>(), 0..12),
        ) -> RetryMessage {
            let queue = "0AV01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
            let body = if kept { RetryBody::At(body) } else { RetryBody::Text(body) };
            RetryMessage { message_id, round, queue, engine_id, sent_at_ms, not_before_secs, ordering_key, body, attributes }
        }
    }

    fn message_with(attributes: BTreeMap<String, String>) -> RetryMessage {
        RetryMessage {
            message_id: "m".to_owned(),
            round: 0,
            queue: "0AV01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
            engine_id: "orders-0-7".to_owned(),
            sent_at_ms: None,
            not_before_secs: None,
            ordering_key: None,
            body: RetryBody::Text("{}".to_owned()),
            attributes,
        }
    }

    /// As many as a record of 1 MiB can have. Were each tried anew, the batch's time would end here, and its partition stand still.
    #[test]
    fn of_a_hundred_thousand_headers_the_smallest_travel_on() {
        let headers = (0..100_000).map(|at| (format!("h{at:05}"), "é".to_owned()));
        let mut all: BTreeMap<String, String> = headers.collect();
        all.insert("a".to_owned(), "b".to_owned());
        let (attributes, body) = received(&message_with(all).outgoing(0));
        let bytes = attributes["attributes"].len();
        assert!((MAX_OWN_BYTES - 100..=MAX_OWN_BYTES).contains(&bytes), "{bytes}");
        let kept = RetryMessage::read(attributes, body).unwrap().attributes;
        assert_eq!((kept["a"].as_str(), kept["h00000"].as_str()), ("b", "é"));
    }

    proptest! {
        #[test]
        fn what_was_put_off_is_read_back_as_it_was(message in messages()) {
            let (attributes, body) = received(&message.outgoing(7));
            prop_assert!(attributes.len() <= 10, "{attributes:?}");
            prop_assert!(attributes.values().all(|value| !value.is_empty() && domain::forbidden_character(value).is_none()));
            prop_assert_eq!(RetryMessage::read(attributes, body), Ok(message));
        }
    }
}

//! From Lambda's SQS event to messages. The wire types are our own: a field that Lambda leaves out or sends as null
//! must cost one record at most, never the batch.

use std::collections::BTreeMap;

use handling::{Body, Received, Source};
use jiff::Timestamp;
use lambda_runtime::Diagnostic;
use queue::{RetryBody, RetryMessage};
use serde::Deserialize;
use serde_json::Value;

/// The event cannot be answered message by message, so the whole batch fails and comes back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is no SQS event.
    #[error("this is not an SQS event: {0}")]
    NotABatch(&'static str),
    /// Some records have no id. An answer could only leave them out, and Lambda would delete them.
    #[error(
        "records {places:?} of {total} have no messageId, so they cannot be reported as failed: the whole batch fails"
    )]
    Unnamed {
        /// Their places in the batch, from 1.
        places: Vec<usize>,
        /// The size of the batch.
        total: usize,
    },
}

impl From<EventError> for Diagnostic {
    /// What Lambda shows as the invocation's error.
    fn from(error: EventError) -> Diagnostic {
        let kind = match error {
            EventError::NotABatch(_) => "NotABatch",
            EventError::Unnamed { .. } => "Unnamed",
        };
        Diagnostic { error_type: format!("EventError.{kind}"), error_message: error.to_string() }
    }
}

/// One record of a batch: it has a name, but what it holds may be broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// What the answer calls it.
    pub(crate) id: String,
    /// What its visibility is set by.
    pub(crate) receipt_handle: Option<String>,
    /// The queue it came from.
    pub(crate) queue_arn: Option<String>,
    /// The group whose order is kept.
    pub(crate) group: Option<String>,
    /// The message, or what is wrong with it.
    pub(crate) message: Result<Received, String>,
}

/// Reads a batch. Every record is decoded alone. A message that SQS delivered twice at once is one record, settled by the later
/// receipt handle: an answer has one verdict per id. Those of the queue `retry_arn` came from Kafka or RabbitMQ.
pub(crate) fn records(event: Value, retry_arn: &str) -> Result<Vec<Record>, EventError> {
    let Value::Object(mut event) = event else { return Err(EventError::NotABatch("it is no JSON object")) };
    let Some(Value::Array(raw)) = event.remove("Records") else {
        return Err(EventError::NotABatch("it has no list of Records"));
    };
    let (total, mut records, mut unnamed) = (raw.len(), Vec::with_capacity(raw.len()), Vec::new());
    for (at, raw) in raw.into_iter().enumerate() {
        match record(raw, retry_arn) {
            Some(record) => match records.iter_mut().find(|known: &&mut Record| known.id == record.id) {
                Some(known) => known.receipt_handle = record.receipt_handle.or(known.receipt_handle.take()),
                None => records.push(record),
            },
            None => unnamed.push(at + 1),
        }
    }
    if !unnamed.is_empty() {
        return Err(EventError::Unnamed { places: unnamed, total });
    }
    Ok(records)
}

/// One record; `None` where it has no id.
fn record(raw: Value, retry_arn: &str) -> Option<Record> {
    let text =
        |field: &str| raw.get(field).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
    let id = text("messageId")?;
    let (receipt_handle, queue_arn) = (text("receiptHandle"), text("eventSourceARN"));
    // On a standard queue MessageGroupId is about fairness between tenants, not about order.
    let fifo = queue_arn.as_deref().is_some_and(|arn| arn.ends_with(".fifo"));
    let group =
        raw.pointer("/attributes/MessageGroupId").and_then(Value::as_str).filter(|_| fifo).map(str::to_owned);
    let message = serde_json::from_value::<Wire>(raw)
        .map_err(|error| error.to_string())
        .and_then(|wire| received(wire, group.clone(), retry_arn));
    Some(Record { id, receipt_handle, queue_arn, group, message })
}

/// One record as Lambda sends it: what we read of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    message_id: String,
    body: String,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: String,
    attributes: Option<SystemAttributes>,
    message_attributes: Option<BTreeMap<String, Option<Attribute>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct SystemAttributes {
    approximate_receive_count: Option<String>,
    /// Milliseconds since 1970.
    sent_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    string_value: Option<String>,
}

fn received(wire: Wire, group: Option<String>, retry_arn: &str) -> Result<Received, String> {
    let system = wire.attributes.unwrap_or_default();
    let mut attributes: BTreeMap<String, String> = wire
        .message_attributes
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, attribute)| Some((name, attribute?.string_value?)))
        .collect();
    let receive_count = match system.approximate_receive_count {
        // Without a count failures are looked up rather than forgotten.
        None => 2,
        Some(count) => count.parse().map_err(|_| "ApproximateReceiveCount is no number".to_owned())?,
    };
    let sent_at =
        system.sent_timestamp.and_then(|millis| Timestamp::from_millisecond(millis.parse().ok()?).ok());
    if wire.event_source_arn == retry_arn {
        return put_off(RetryMessage::read(attributes, wire.body)?, receive_count);
    }
    let message_id = attributes.remove("message-id");
    // Another's `round` that is no number is none of ours.
    let round = attributes.remove("round").and_then(|round| round.parse().ok()).unwrap_or(0);
    Ok(Received {
        engine_id: wire.message_id,
        source: Source::Sqs { arn: wire.event_source_arn },
        receive_count,
        sent_at,
        group,
        message_id,
        round,
        body: Body::Text(wire.body),
        attributes,
    })
}

/// A message of the retry queue, as it was received from its broker. That receipt counts, too, so it is not the first, and failures are
/// looked up.
fn put_off(message: RetryMessage, receive_count: u32) -> Result<Received, String> {
    let time = |secs: i64| {
        let secs = Timestamp::from_second(secs);
        secs.map_err(|_| "a message on the retry queue is to wait until no time at all".to_owned())
    };
    Ok(Received {
        engine_id: message.engine_id,
        source: Source::Retry {
            queue: message.queue,
            not_before: message.not_before_secs.map(time).transpose()?,
        },
        receive_count: receive_count.saturating_add(1),
        sent_at: message.sent_at_ms.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        group: message.ordering_key,
        message_id: Some(message.message_id),
        round: message.round,
        body: match message.body {
            RetryBody::Text(text) => Body::Text(text),
            RetryBody::At(at) => Body::Kept(at),
        },
        attributes: message.attributes,
    })
}

#[cfg(test)]
mod tests;

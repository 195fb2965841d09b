//! From Lambda's Kafka event, of MSK or of a cluster of one's own, to messages.
//!
//! **Every record becomes a message**, whatever its fields hold: what has no readable body is one that no handler can be given,
//! and so a dead letter, and what is odd beside the body is left out. The wire is read field by field: a null or a missing one
//! costs its record at most, never the batch.

use std::collections::{BTreeMap, HashSet};

use domain::{Engine, QueueName, hex};
use handling::{Body, Received, Source};
use jiff::Timestamp;
use lambda_runtime::Diagnostic;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use worker::{text_of_bytes, unpacked};

use crate::answer::ItemIdentifier;

/// The whole batch fails and comes back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is no Kafka event.
    #[error("this is not a Kafka event: {0}")]
    NotABatch(&'static str),
    /// The retry queue refused some, and this is the only way to say so.
    #[error(
        "{refused} of {total} records could be neither handled nor put on the retry queue, and {why}: the whole batch comes back"
    )]
    Refused {
        /// So many.
        refused: usize,
        /// The size of the batch.
        total: usize,
        /// Why they are not named.
        why: &'static str,
    },
}

impl From<EventError> for Diagnostic {
    /// What Lambda shows as the invocation's error.
    fn from(error: EventError) -> Diagnostic {
        let kind = match error {
            EventError::NotABatch(_) => "NotABatch",
            EventError::Refused { .. } => "Refused",
        };
        Diagnostic { error_type: format!("EventError.{kind}"), error_message: error.to_string() }
    }
}

/// One record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// What the answer calls it; `None` where it has no offset, so that it cannot be named.
    pub(crate) id: Option<ItemIdentifier>,
    /// The partition and key whose order is kept; `None` = it has no key.
    pub(crate) group: Option<String>,
    /// The message; or the topic, where that can be no queue's name.
    pub(crate) message: Result<Received, String>,
}

/// Reads a batch. A record that is in it twice is one: it has one verdict, and its id appears once in the answer.
pub(crate) fn records(event: Value) -> Result<Vec<Record>, EventError> {
    let Value::Object(mut event) = event else { return Err(EventError::NotABatch("it is no JSON object")) };
    let Some(Value::Object(partitions)) = event.remove("records") else {
        return Err(EventError::NotABatch("it has no records by partition"));
    };
    let (mut records, mut seen) = (Vec::new(), HashSet::new());
    for (partition, of_partition) in partitions {
        let raw = match of_partition {
            Value::Array(raw) => raw,
            Value::Null => Vec::new(),
            // No list: it is read as the one record that it may be.
            other => vec![other],
        };
        for raw in raw {
            let record = record(&partition, raw);
            if record.id.as_ref().is_none_or(|id| seen.insert(id.clone())) {
                records.push(record);
            }
        }
    }
    Ok(records)
}

/// One record of `partition`, which is `topic-number`.
fn record(partition: &str, raw: Value) -> Record {
    let field = |name: &str| raw.get(name).filter(|value| !value.is_null());
    let topic = field("topic")
        .and_then(Value::as_str)
        .or_else(|| partition.rsplit_once('-').map(|(topic, _)| topic))
        .unwrap_or(partition);
    let offset = field("offset").and_then(Value::as_i64);
    let id = offset.map(|offset| ItemIdentifier { partition: partition.to_owned(), offset });
    let key = field("key");
    let group = key.map(|key| format!("{partition} {key}"));
    let Ok(queue) = QueueName::parse(topic) else {
        return Record { id, group, message: Err(topic.to_owned()) };
    };
    let number = field("partition")
        .and_then(Value::as_i64)
        .or_else(|| partition.rsplit_once('-').and_then(|(_, number)| number.parse().ok()));
    let engine_id = match number.zip(offset) {
        Some((number, offset)) => format!("{topic}-{number}-{offset}"),
        None => format!("{topic}-{}", hex(&Sha256::digest(raw.to_string())[..16])),
    };
    let mut attributes = headers(field("headers"));
    let message_id = attributes.remove("message-id");
    // Another's `round` that is no number is none of ours.
    let round = attributes.remove("round").and_then(|round| round.parse().ok()).unwrap_or(0);
    // A record without a time has -1.
    let sent_at = field("timestamp").and_then(Value::as_i64).filter(|millis| *millis >= 0);
    let received = Received {
        engine_id,
        source: Source::Broker { engine: Engine::Kafka, queue },
        // Kafka does not count: what may have come before is known by its offset, see `Seen`.
        receive_count: 1,
        sent_at: sent_at.and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        group: key.and_then(text_of_key),
        message_id,
        round,
        body: body(&raw),
        attributes,
    };
    Record { id, group, message: Ok(received) }
}

/// A key as text; one that is none stays in base64.
fn text_of_key(key: &Value) -> Option<String> {
    unpacked(key).ok().or_else(|| key.as_str().map(str::to_owned)).filter(|key| !key.is_empty())
}

/// The value. A null one, Kafka's word for "gone" (a tombstone), is the JSON `null`. What is no base64, or no record at all, is kept
/// as it came, as bytes: no handler can be given it.
fn body(raw: &Value) -> Body {
    match (raw, raw.get("value")) {
        (Value::Object(_), None | Some(Value::Null)) => Body::Text("null".to_owned()),
        (Value::Object(_), Some(value)) => unpacked(value).map_or_else(Body::Bytes, Body::Text),
        (no_record, _) => Body::Bytes(no_record.to_string().into_bytes()),
    }
}

/// Headers come as a list of objects with one name each, their values as lists of bytes. Of several with one name the last
/// counts, as in Kafka; what is null or no text is left out.
fn headers(raw: Option<&Value>) -> BTreeMap<String, String> {
    let all = raw.and_then(Value::as_array).into_iter().flatten();
    let named = all.filter_map(Value::as_object).flat_map(Map::iter);
    named.filter_map(|(name, value)| Some((name.clone(), text_of_bytes(value)?))).collect()
}

#[cfg(test)]
mod tests;

//! From Lambda's Amazon MQ event of RabbitMQ to messages.
//!
//! **Every message of the event becomes one**, whatever its fields hold: what has no readable body is one that no handler can
//! be given, and so a dead letter, and what is odd beside the body is left out. The wire is read field by field: a null or a
//! missing one costs its message at most, never the batch.

use std::collections::BTreeMap;

use domain::{Engine, QueueName};
use handling::{Body, Received, Source};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use worker::{text_of_bytes, unpacked};

/// The whole batch fails and comes back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is no event of RabbitMQ.
    #[error("this is not an Amazon MQ event of RabbitMQ: {0}")]
    NotABatch(&'static str),
    /// The retry queue refused some, and there is no other way to say so.
    #[error(
        "{refused} of {total} messages could be neither handled nor put on the retry queue: the whole batch comes back"
    )]
    Refused {
        /// So many.
        refused: usize,
        /// The size of the batch.
        total: usize,
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

/// Reads a batch: each is a message; or the queue it lay on, where that can be no registered queue's name.
///
/// A message to which nobody gave an id gets a `new_id`, another one at each delivery. Nothing that it says would do: of two that
/// say the same, one would be taken for the other, and die of its failures.
pub(crate) fn messages(
    event: Value,
    mut new_id: impl FnMut() -> String,
) -> Result<Vec<Result<Received, String>>, EventError> {
    let Value::Object(mut event) = event else { return Err(EventError::NotABatch("it is no JSON object")) };
    let Some(Value::Object(queues)) = event.remove("rmqMessagesByQueue") else {
        return Err(EventError::NotABatch("it has no messages by queue"));
    };
    let mut messages = Vec::new();
    for (place, of_queue) in queues {
        match of_queue {
            Value::Array(raw) => messages.extend(raw.iter().map(|raw| message(&place, raw, new_id()))),
            Value::Null => {}
            // No list: it is read as the one message that it may be.
            other => messages.push(message(&place, &other, new_id())),
        }
    }
    Ok(messages)
}

/// One message that lay at `place`, which is `queue::virtual host`.
fn message(place: &str, raw: &Value, new_id: String) -> Result<Received, String> {
    // A registered queue's name has no colon; a virtual host may have any.
    let queue = place.split_once("::").map_or(place, |(queue, _)| queue);
    let queue = QueueName::parse(queue).map_err(|_| queue.to_owned())?;
    let property = |name: &str| raw.get("basicProperties").and_then(|all| all.get(name));
    let mut attributes = headers(property("headers"));
    let of_property = property("messageId").and_then(Value::as_str).map(str::to_owned);
    let message_id = attributes.remove("message-id").or(of_property);
    // Another's `round` that is no number is none of ours.
    let round = attributes.remove("round").and_then(|round| round.parse().ok()).unwrap_or(0);
    let redelivered = raw.get("redelivered").and_then(Value::as_bool).unwrap_or(false);
    let mut received = Received {
        engine_id: new_id,
        source: Source::Broker { engine: Engine::RabbitMq, queue },
        // RabbitMQ does not count, but says whether it brought the message before.
        receive_count: if redelivered { 2 } else { 1 },
        sent_at: property("timestamp").and_then(Value::as_str).and_then(moment),
        group: None,
        message_id,
        round,
        body: body(raw),
        attributes,
    };
    // RabbitMQ itself gives none.
    received.engine_id = received.id().to_owned();
    Ok(received)
}

/// The message's data; without any, an empty text. What is no base64, or no message at all, is kept as it came, as bytes: no
/// handler can be given it.
fn body(raw: &Value) -> Body {
    match (raw, raw.get("data")) {
        (Value::Object(_), None | Some(Value::Null)) => Body::Text(String::new()),
        (Value::Object(_), Some(data)) => unpacked(data).map_or_else(Body::Bytes, Body::Text),
        (no_message, _) => Body::Bytes(no_message.to_string().into_bytes()),
    }
}

/// Headers as text: AMQP's strings come as bytes, numbers and truths as themselves, tables as JSON. What is null or no text is
/// left out.
fn headers(raw: Option<&Value>) -> BTreeMap<String, String> {
    let all = raw.and_then(Value::as_object).into_iter().flatten();
    all.filter_map(|(name, value)| Some((name.clone(), text_of(value)?))).collect()
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(object) if object.len() == 1 && object.contains_key("bytes") => {
            text_of_bytes(&object["bytes"])
        }
        other => Some(other.to_string()),
    }
}

/// Times come as Java writes them for Americans, in UTC: `Jan 1, 1970, 12:33:41 AM`, newer ones with a narrow space before AM.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.replace('\u{202f}', " ");
    let at = DateTime::strptime("%b %d, %Y, %I:%M:%S %p", text).ok()?;
    at.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests;

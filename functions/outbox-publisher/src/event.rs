//! From Lambda's event of a DynamoDB stream to the entries that it rings for, and the answer's form.

use domain::EntryState;
use lambda_runtime::Diagnostic;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zstorage::{Seen, entry_of_image};

/// The event cannot be answered record by record, so the whole batch fails and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is no event of a stream.
    #[error("this is not an event of a DynamoDB stream: it has no list of Records")]
    NotABatch,
    /// A record has no sequence number. An answer could only leave it out, and Lambda would take it for done.
    #[error(
        "record {place} of {total} has no SequenceNumber, so it cannot be reported as failed: the whole batch fails"
    )]
    Unnamed {
        /// Its place in the batch, from 1.
        place: usize,
        /// The size of the batch.
        total: usize,
    },
}

impl From<EventError> for Diagnostic {
    /// What Lambda shows as the invocation's error.
    fn from(error: EventError) -> Diagnostic {
        Diagnostic { error_type: "EventError".to_owned(), error_message: error.to_string() }
    }
}

/// What Lambda is told: where the stream goes on from. A list that is empty means that all is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamAnswer {
    /// The records that are to come again; Lambda goes back to the first of them, whatever their order here.
    pub batch_item_failures: Vec<StreamFailure>,
}

/// A record that is to come again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamFailure {
    /// Its sequence number.
    pub item_identifier: String,
}

impl StreamAnswer {
    pub(crate) fn new(sequence_numbers: impl IntoIterator<Item = String>) -> StreamAnswer {
        let failure = |item_identifier| StreamFailure { item_identifier };
        StreamAnswer { batch_item_failures: sequence_numbers.into_iter().map(failure).collect() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamEvent {
    records: Vec<Value>,
}

/// One change of the table. Other fields of it are nothing to us.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StreamRecord {
    event_name: Option<String>,
    event_version: Option<String>,
    dynamodb: StreamChange,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamChange {
    sequence_number: String,
    /// The item as it is now, in DynamoDB's own JSON.
    new_image: Option<Value>,
}

/// The version of records whose shape is known here: 1.0, 1.1.
const KNOWN_VERSION: &str = "1.";

/// A record, and what it means.
#[derive(Debug)]
pub(crate) struct Ring {
    /// What the answer calls it.
    pub(crate) sequence_number: String,
    /// The entry that is to be sent. `None` = it is not for us: a mark, a part of a body, what time has removed, or an entry
    /// that waits for something else. An error says why it cannot be told.
    pub(crate) entry: Result<Option<Seen>, String>,
}

pub(crate) fn rings(event: Value) -> Result<Vec<Ring>, EventError> {
    let event: StreamEvent = serde_json::from_value(event).map_err(|_no_list| EventError::NotABatch)?;
    let total = event.records.len();
    let ring = |(at, record): (usize, Value)| {
        let record: StreamRecord = serde_json::from_value(record)
            .map_err(|_no_sequence_number| EventError::Unnamed { place: at + 1, total })?;
        Ok(Ring { entry: entry(&record), sequence_number: record.dynamodb.sequence_number })
    };
    event.records.into_iter().enumerate().map(ring).collect()
}

fn entry(record: &StreamRecord) -> Result<Option<Seen>, String> {
    let version = record.event_version.as_deref().unwrap_or("none");
    if !version.starts_with(KNOWN_VERSION) {
        return Err(format!("its event version is {version}, and only 1 is known here"));
    }
    // What the mapping's filter lets through, said once more: a filter is easily lost.
    let image = record.new_image_of_insert();
    match image.filter(|image| image["state"]["S"] == EntryState::Due.as_str()) {
        Some(image) => entry_of_image(image).map(Some).map_err(|error| domain::causes(&error)),
        None => Ok(None),
    }
}

impl StreamRecord {
    fn new_image_of_insert(&self) -> Option<&Value> {
        self.dynamodb.new_image.as_ref().filter(|_| self.event_name.as_deref() == Some("INSERT"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_that_cannot_be_answered_record_by_record_is_refused_whole() {
        let check = |event: Value, expect: EventError| assert_eq!(rings(event).unwrap_err(), expect);
        let named = json!({"dynamodb": {"SequenceNumber": "1"}});
        check(json!(null), EventError::NotABatch);
        check(json!({"records": []}), EventError::NotABatch);
        check(json!({"Records": {}}), EventError::NotABatch);
        check(json!({"Records": [named, {}]}), EventError::Unnamed { place: 2, total: 2 });
        check(
            json!({"Records": [{"dynamodb": {"SequenceNumber": 1}}]}),
            EventError::Unnamed { place: 1, total: 1 },
        );
        assert!(rings(json!({"Records": []})).unwrap().is_empty());
    }

    #[test]
    fn an_answer_is_spelt_as_lambda_reads_it() {
        let answer = StreamAnswer::new(["17".to_owned(), "18".to_owned()]);
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(text, r#"{"batchItemFailures":[{"itemIdentifier":"17"},{"itemIdentifier":"18"}]}"#);
        assert_eq!(serde_json::to_string(&StreamAnswer::new([])).unwrap(), r#"{"batchItemFailures":[]}"#);
    }
}

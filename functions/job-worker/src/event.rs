//! From Lambda's SQS event to the jobs it is about.

use domain::JobId;
use lambda_runtime::Diagnostic;
use serde_json::Value;

/// The event cannot be answered message by message, so the whole batch fails and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is no SQS event.
    #[error("this is not an SQS event: it has no list of Records")]
    NotABatch,
    /// A record has no id. An answer could only leave it out, and Lambda would delete it.
    #[error(
        "record {place} of {total} has no messageId, so it cannot be reported as failed: the whole batch fails"
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

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bell {
    /// What the answer calls it.
    pub(crate) id: String,
    /// What its visibility is set by.
    pub(crate) receipt_handle: Option<String>,
    /// The queue it came from.
    pub(crate) queue_arn: Option<String>,
    /// Its job; `None` = it is about something else.
    pub(crate) job: Option<JobId>,
    /// How often it was received, this time included.
    pub(crate) receives: u32,
    /// When it was received first, milliseconds of the epoch; `None` = the event does not say.
    pub(crate) first_received_ms: Option<i64>,
}

pub(crate) fn bells(event: &Value) -> Result<Vec<Bell>, EventError> {
    let records = event["Records"].as_array().ok_or(EventError::NotABatch)?;
    let total = records.len();
    records
        .iter()
        .enumerate()
        .map(|(at, record)| bell(record).ok_or(EventError::Unnamed { place: at + 1, total }))
        .collect()
}

fn bell(record: &Value) -> Option<Bell> {
    let text = |key: &str| record[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let attribute = |key: &str| record["attributes"][key].as_str();
    Some(Bell {
        id: text("messageId")?,
        receipt_handle: text("receiptHandle"),
        queue_arn: text("eventSourceARN"),
        job: record["body"].as_str().and_then(queue::job_of),
        receives: attribute("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1),
        first_received_ms: attribute("ApproximateFirstReceiveTimestamp").and_then(|at| at.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_without_an_id_fails_the_batch_and_one_without_a_job_does_not() {
        let job = "0AJ01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let good = json!({
            "messageId": "m", "receiptHandle": "r", "eventSourceARN": "a", "body": format!("{{\"job\":\"{job}\",\"slice\":3}}"),
            "attributes": {"ApproximateReceiveCount": "4", "ApproximateFirstReceiveTimestamp": "1700000000000"},
        });
        let expect = Bell {
            id: "m".into(),
            receipt_handle: Some("r".into()),
            queue_arn: Some("a".into()),
            job: job.parse().ok(),
            receives: 4,
            first_received_ms: Some(1_700_000_000_000),
        };
        assert_eq!(bells(&json!({"Records": [good]})), Ok(vec![expect]));
        let other = bells(&json!({"Records": [{"messageId": "m", "body": "x"}]})).unwrap();
        assert_eq!((other[0].job, other[0].receives), (None, 1));
        assert_eq!(bells(&json!({"Records": [{}]})), Err(EventError::Unnamed { place: 1, total: 1 }));
        assert_eq!(bells(&json!([])), Err(EventError::NotABatch));
    }
}

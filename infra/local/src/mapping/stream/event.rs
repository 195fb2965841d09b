//! The event that Lambda's stream poller gives to a function.

use aws_sdk_dynamodbstreams::types::{AttributeValue, Record};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// A stream record on its way to a function.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// As the function gets it.
    pub(super) json: Value,
    /// Its place in the shard.
    pub(super) sequence_number: String,
    /// When it was written, to the second.
    pub(super) written_at: Timestamp,
}

impl Seen {
    /// `record` of the stream `arn`. What AWS always sets and is absent all the same is empty.
    pub(super) fn of(arn: &str, record: &Record) -> Seen {
        let change = record.dynamodb();
        let sequence_number = change.and_then(|change| change.sequence_number()).unwrap_or_default();
        let written_secs =
            change.and_then(|change| change.approximate_creation_date_time()).map_or(0, |at| at.secs());
        let mut dynamodb = json!({
            "ApproximateCreationDateTime": written_secs,
            "SequenceNumber": sequence_number,
            "SizeBytes": change.and_then(|change| change.size_bytes()).unwrap_or_default(),
        });
        if let Some(change) = change {
            let view = change.stream_view_type().map(|view| json!(view.as_str()));
            let images = [
                ("Keys", change.keys().map(image)),
                ("NewImage", change.new_image().map(image)),
                ("OldImage", change.old_image().map(image)),
                ("StreamViewType", view),
            ];
            for (name, value) in images {
                if let Some(value) = value {
                    dynamodb[name] = value;
                }
            }
        }
        let mut json = json!({
            "eventID": record.event_id(),
            "eventName": record.event_name().map(|name| name.as_str()),
            "eventVersion": record.event_version(),
            "eventSource": "aws:dynamodb",
            "awsRegion": record.aws_region(),
            "dynamodb": dynamodb,
            "eventSourceARN": arn,
        });
        if let Some(who) = record.user_identity() {
            json["userIdentity"] = json!({"type": who.r#type(), "principalId": who.principal_id()});
        }
        let written_at = Timestamp::from_second(written_secs).unwrap_or(Timestamp::UNIX_EPOCH);
        Seen { json, sequence_number: sequence_number.to_owned(), written_at }
    }
}

/// The event for these records.
pub(super) fn event(records: &[Seen]) -> Value {
    json!({ "Records": records.iter().map(|record| &record.json).collect::<Vec<_>>() })
}

fn image(item: &std::collections::HashMap<String, AttributeValue>) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>())
}

/// A value as DynamoDB writes it in JSON. A kind that this release of the SDK does not know is `{}`.
fn attribute(value: &AttributeValue) -> Value {
    let binary = |bytes: &aws_smithy_types::Blob| STANDARD.encode(bytes);
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(digits) => json!({ "N": digits }),
        AttributeValue::B(bytes) => json!({ "B": binary(bytes) }),
        AttributeValue::Bool(is) => json!({ "BOOL": is }),
        AttributeValue::Null(is) => json!({ "NULL": is }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(digits) => json!({ "NS": digits }),
        AttributeValue::Bs(all) => json!({ "BS": all.iter().map(binary).collect::<Vec<_>>() }),
        AttributeValue::L(values) => json!({ "L": values.iter().map(attribute).collect::<Vec<_>>() }),
        AttributeValue::M(values) => json!({ "M": image(values) }),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use aws_sdk_dynamodbstreams::types::{OperationType, StreamRecord, StreamViewType};
    use aws_smithy_types::{Blob, DateTime};

    #[test]
    fn an_event_has_the_keys_and_kinds_that_aws_writes() {
        let s = |text: &str| AttributeValue::S(text.to_owned());
        let change = StreamRecord::builder()
            .approximate_creation_date_time(DateTime::from_secs(1_479_499_740))
            .keys("pk", s("A"))
            .new_image("pk", s("A"))
            .new_image("n", AttributeValue::N("3.50".to_owned()))
            .new_image("b", AttributeValue::B(Blob::new([1, 2])))
            .new_image("l", AttributeValue::L(vec![AttributeValue::Bool(true), AttributeValue::Null(true)]))
            .new_image("m", AttributeValue::M([("k".to_owned(), s("v"))].into()))
            .new_image("ss", AttributeValue::Ss(vec!["a".to_owned()]))
            .sequence_number("100000000000000000001")
            .size_bytes(59)
            .stream_view_type(StreamViewType::NewImage)
            .build();
        let record = Record::builder()
            .event_id("e1")
            .event_name(OperationType::Insert)
            .event_version("1.1")
            .event_source("aws:dynamodb")
            .aws_region("eu-west-1")
            .dynamodb(change)
            .build();
        let seen = Seen::of("arn:stream", &record);
        assert_eq!(seen.written_at, "2016-11-18T20:09:00Z".parse().unwrap());
        assert_eq!(
            event(&[seen]),
            json!({"Records": [{
                "eventID": "e1",
                "eventName": "INSERT",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "eu-west-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1_479_499_740,
                    "Keys": {"pk": {"S": "A"}},
                    "NewImage": {
                        "pk": {"S": "A"},
                        "n": {"N": "3.50"},
                        "b": {"B": "AQI="},
                        "l": {"L": [{"BOOL": true}, {"NULL": true}]},
                        "m": {"M": {"k": {"S": "v"}}},
                        "ss": {"SS": ["a"]},
                    },
                    "SequenceNumber": "100000000000000000001",
                    "SizeBytes": 59,
                    "StreamViewType": "NEW_IMAGE",
                },
                "eventSourceARN": "arn:stream",
            }]})
        );
    }
}

//! The event that Lambda's SQS poller gives to a function.

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::SqsQueue;
use serde_json::{Map, Value, json};

/// The event for `messages` received from `queue`, each key as AWS writes it.
pub(super) fn event(queue: &SqsQueue, messages: &[Message]) -> Value {
    json!({ "Records": messages.iter().map(|message| record(queue, message)).collect::<Vec<_>>() })
}

fn record(queue: &SqsQueue, message: &Message) -> Value {
    let attributes: Map<String, Value> = message
        .attributes()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
        .collect();
    let message_attributes: Map<String, Value> = message
        .message_attributes()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), message_attribute(value)))
        .collect();
    let mut record = json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body().unwrap_or_default(),
        "attributes": attributes,
        "messageAttributes": message_attributes,
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn(),
        "awsRegion": queue.region,
    });
    if let Some(md5) = message.md5_of_message_attributes() {
        record["md5OfMessageAttributes"] = json!(md5);
    }
    record
}

fn message_attribute(value: &MessageAttributeValue) -> Value {
    let mut attribute = json!({
        "dataType": value.data_type(),
        "stringListValues": [],
        "binaryListValues": [],
    });
    if let Some(text) = value.string_value() {
        attribute["stringValue"] = json!(text);
    }
    if let Some(bytes) = value.binary_value() {
        attribute["binaryValue"] = json!(STANDARD.encode(bytes));
    }
    attribute
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use aws_sdk_sqs::types::MessageSystemAttributeName;
    use aws_smithy_types::Blob;

    #[test]
    fn an_event_is_the_one_that_typed_functions_read() {
        let queue = SqsQueue::from_arn("arn:aws:sqs:eu-west-1:123456789012:orders.fifo").unwrap();
        let text = MessageAttributeValue::builder().data_type("String").string_value("0BF").build().unwrap();
        let bytes = MessageAttributeValue::builder()
            .data_type("Binary")
            .binary_value(Blob::new([1, 2]))
            .build()
            .unwrap();
        let message = Message::builder()
            .message_id("m-1")
            .receipt_handle("r-1")
            .body("{\"a\":1}")
            .md5_of_body("bb6cb5c68df4652941caf652a366f2d8")
            .md5_of_message_attributes("00")
            .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "2")
            .attributes(MessageSystemAttributeName::MessageGroupId, "g")
            .message_attributes("message-id", text)
            .message_attributes("blob", bytes)
            .build();
        let event = event(&queue, &[message, Message::builder().message_id("m-2").build()]);
        assert_eq!(event["Records"][0]["eventSourceARN"], queue.arn());
        assert_eq!(event["Records"][0]["messageAttributes"]["blob"]["binaryValue"], "AQI=");

        let read: aws_lambda_events::event::sqs::SqsEvent = serde_json::from_value(event).unwrap();
        let first = &read.records[0];
        assert_eq!(first.message_id.as_deref(), Some("m-1"));
        assert_eq!(first.body.as_deref(), Some("{\"a\":1}"));
        assert_eq!(first.attributes["ApproximateReceiveCount"], "2");
        assert_eq!(first.attributes["MessageGroupId"], "g");
        assert_eq!(first.message_attributes["message-id"].string_value.as_deref(), Some("0BF"));
        assert_eq!(first.aws_region.as_deref(), Some("eu-west-1"));
        assert_eq!(read.records[1].body.as_deref(), Some(""));
    }
}

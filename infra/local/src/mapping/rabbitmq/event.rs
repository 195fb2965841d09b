//! The event of Amazon MQ for RabbitMQ, as Lambda makes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use queue::local::{RabbitDelivery, RabbitHeader, RabbitProperties};
use serde_json::{Map, Value, json};

use super::super::kafka::signed;

/// There is no broker with an ARN here.
const BROKER_ARN: &str =
    "arn:aws:mq:us-east-1:000000000000:broker:local:b-00000000-0000-0000-0000-000000000000";

/// A batch as Lambda tells it: under the queue and its virtual host.
pub(super) fn event(queue: &str, vhost: &str, deliveries: &[RabbitDelivery]) -> Value {
    let messages: Vec<Value> = deliveries
        .iter()
        .map(|one| {
            json!({
                "basicProperties": properties(&one.properties, one.body.len()),
                "redelivered": one.redelivered,
                "data": STANDARD.encode(&one.body),
            })
        })
        .collect();
    json!({
        "eventSource": "aws:rmq",
        "eventSourceArn": BROKER_ARN,
        "rmqMessagesByQueue": { format!("{queue}::{vhost}"): messages },
    })
}

fn properties(given: &RabbitProperties, body_bytes: usize) -> Value {
    json!({
        "contentType": given.content_type,
        "contentEncoding": given.content_encoding,
        "headers": given.headers.as_deref().map(table),
        "deliveryMode": given.delivery_mode,
        "priority": given.priority,
        "correlationId": given.correlation_id,
        "replyTo": given.reply_to,
        "expiration": given.expiration,
        "messageId": given.message_id,
        "timestamp": given.timestamp.and_then(date),
        "type": given.kind,
        "userId": given.user_id,
        "appId": given.app_id,
        "clusterId": given.cluster_id,
        "bodySize": body_bytes,
    })
}

fn table(headers: &[(String, RabbitHeader)]) -> Value {
    let told: Map<String, Value> =
        headers.iter().map(|(name, value)| (name.clone(), header(value))).collect();
    told.into()
}

fn header(value: &RabbitHeader) -> Value {
    match value {
        RabbitHeader::Null => Value::Null,
        RabbitHeader::Bool(value) => json!(value),
        RabbitHeader::Int(value) => json!(value),
        RabbitHeader::Float(value) => json!(value),
        RabbitHeader::Bytes(bytes) => json!({ "bytes": signed(bytes) }),
        RabbitHeader::Timestamp(secs) => json!(date(*secs)),
        RabbitHeader::List(values) => values.iter().map(header).collect(),
        RabbitHeader::Table(headers) => table(headers),
    }
}

/// As Java's `DateFormat` writes it for Americans: `Jan 1, 1970, 12:33:41 AM`, UTC.
fn date(secs: u64) -> Option<String> {
    let at = Timestamp::from_second(secs.try_into().ok()?).ok()?;
    Some(at.strftime("%b %-d, %Y, %-I:%M:%S %p").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_told_as_lambda_tells_it() {
        let text = |text: &str| Some(text.to_owned());
        let bytes = |text: &str| RabbitHeader::Bytes(text.as_bytes().to_vec());
        let full = RabbitDelivery {
            tag: 1,
            redelivered: true,
            properties: RabbitProperties {
                content_type: text("text/plain"),
                headers: Some(vec![
                    ("header1".to_owned(), bytes("value1")),
                    ("name".to_owned(), bytes("é")),
                    ("number".to_owned(), RabbitHeader::Int(10)),
                    (
                        "list".to_owned(),
                        RabbitHeader::List(vec![RabbitHeader::Bool(true), RabbitHeader::Null]),
                    ),
                    (
                        "table".to_owned(),
                        RabbitHeader::Table(vec![("half".to_owned(), RabbitHeader::Float(0.5))]),
                    ),
                ]),
                delivery_mode: Some(2),
                expiration: text("60000"),
                message_id: text("0BF"),
                timestamp: Some(2021),
                user_id: text("AIDACKCEVSQ6C2EXAMPLE"),
                ..RabbitProperties::default()
            },
            body: b"{\"a\":1}".to_vec(),
        };
        let bare = RabbitDelivery {
            tag: 2,
            redelivered: false,
            properties: RabbitProperties::default(),
            body: Vec::new(),
        };
        let told = event("pizzas", "/", &[full, bare]);
        let none = json!({
            "contentType": null, "contentEncoding": null, "headers": null, "deliveryMode": null, "priority": null,
            "correlationId": null, "replyTo": null, "expiration": null, "messageId": null, "timestamp": null,
            "type": null, "userId": null, "appId": null, "clusterId": null, "bodySize": 0,
        });
        let mut first = none.clone();
        let given = json!({
            "contentType": "text/plain",
            "headers": {
                "header1": {"bytes": [118, 97, 108, 117, 101, 49]},
                "name": {"bytes": [-61, -87]},
                "number": 10,
                "list": [true, null],
                "table": {"half": 0.5},
            },
            "deliveryMode": 2, "expiration": "60000", "messageId": "0BF",
            "timestamp": "Jan 1, 1970, 12:33:41 AM", "userId": "AIDACKCEVSQ6C2EXAMPLE", "bodySize": 7,
        });
        for (name, value) in given.as_object().into_iter().flatten() {
            first[name] = value.clone();
        }
        assert_eq!(told["eventSource"], "aws:rmq");
        assert_eq!(
            told["rmqMessagesByQueue"],
            json!({"pizzas::/": [
                {"basicProperties": first, "redelivered": true, "data": "eyJhIjoxfQ=="},
                {"basicProperties": none, "redelivered": false, "data": ""},
            ]})
        );
    }
}

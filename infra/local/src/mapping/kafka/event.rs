//! The event of a self-managed Kafka, as Lambda makes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use queue::local::{KafkaRecord, StampedBy};
use serde_json::{Map, Value, json};

/// A batch as Lambda tells it: by partition, bodies and keys in base64, header values as Java's bytes.
pub(super) fn event(bootstrap: &str, records: &[KafkaRecord]) -> Value {
    let mut of_partition: Map<String, Value> = Map::new();
    for one in records {
        let list = of_partition.entry(name(one)).or_insert_with(|| json!([]));
        list.as_array_mut().expect("it was made as one").push(record(one));
    }
    json!({ "eventSource": "SelfManagedKafka", "bootstrapServers": bootstrap, "records": of_partition })
}

/// How events and answers call a record's partition: `topic-0`.
pub(super) fn name(record: &KafkaRecord) -> String {
    format!("{}-{}", record.topic, record.partition)
}

fn record(record: &KafkaRecord) -> Value {
    let packed = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
    let (timestamp, kind) = match record.timestamp {
        Some((millis, StampedBy::Producer)) => (millis, "CREATE_TIME"),
        Some((millis, StampedBy::Broker)) => (millis, "LOG_APPEND_TIME"),
        None => (-1, "NO_TIMESTAMP_TYPE"),
    };
    let headers: Vec<Value> =
        record.headers.iter().map(|(name, value)| json!({ name: value.as_deref().map(signed) })).collect();
    let mut told = json!({
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": timestamp,
        "timestampType": kind,
        "value": packed(&record.value),
        "headers": headers,
    });
    // A record without a key has no such field, one without a value has it as null.
    if let Some(key) = packed(&record.key) {
        told["key"] = key.into();
    }
    told
}

/// Bytes as Java writes them into JSON: numbers from -128 to 127.
pub(in crate::mapping) fn signed(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|byte| byte.cast_signed()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn at(partition: i32, offset: i64) -> KafkaRecord {
        KafkaRecord {
            topic: "orders".to_owned(),
            partition,
            offset,
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_batch_is_told_as_lambda_tells_it() {
        let full = KafkaRecord {
            timestamp: Some((1_545_084_650_987, StampedBy::Producer)),
            key: Some(b"ada".to_vec()),
            value: Some(b"{\"a\":1}".to_vec()),
            headers: vec![
                ("message-id".to_owned(), Some(b"0BF".to_vec())),
                ("name".to_owned(), Some("é".as_bytes().to_vec())),
                ("none".to_owned(), None),
            ],
            ..at(0, 15)
        };
        let stamped = KafkaRecord { timestamp: Some((7, StampedBy::Broker)), ..at(1, 3) };
        let told = event("b-1.example:9092,b-2.example:9092", &[full, at(0, 16), stamped]);
        assert_eq!(
            told,
            json!({
                "eventSource": "SelfManagedKafka",
                "bootstrapServers": "b-1.example:9092,b-2.example:9092",
                "records": {
                    "orders-0": [
                        {
                            "topic": "orders", "partition": 0, "offset": 15,
                            "timestamp": 1_545_084_650_987_i64, "timestampType": "CREATE_TIME",
                            "key": "YWRh", "value": "eyJhIjoxfQ==",
                            "headers": [
                                {"message-id": [48, 66, 70]}, {"name": [-61, -87]}, {"none": null},
                            ],
                        },
                        {
                            "topic": "orders", "partition": 0, "offset": 16,
                            "timestamp": -1, "timestampType": "NO_TIMESTAMP_TYPE",
                            "value": null, "headers": [],
                        },
                    ],
                    "orders-1": [
                        {
                            "topic": "orders", "partition": 1, "offset": 3,
                            "timestamp": 7, "timestampType": "LOG_APPEND_TIME",
                            "value": null, "headers": [],
                        },
                    ],
                },
            })
        );
    }
}

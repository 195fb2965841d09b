use domain::{EntryKey, OutboxEntry, Queue};
use serde_json::{Value, json};

use crate::documents::payload;

/// An entry in a list: what it is about and how it stands.
pub(super) fn of_listed(entry: &OutboxEntry, queue: Option<&Queue>) -> Value {
    let origin = entry.origin.as_ref();
    let mut document = of_message(entry, queue);
    document["entry"] = json!(entry.key.to_string());
    document["table"] = json!(origin.map(|origin| origin.table.as_str()));
    document["operation"] = json!(origin.map(|origin| origin.operation.as_str()));
    document["link-depth"] = json!(origin.map(|origin| origin.depth));
    let (record, link, version) = match &entry.key {
        EntryKey::Link { record, link, version } => (Some(record), Some(link), Some(version)),
        EntryKey::Scheduled(_) => (None, None, None),
    };
    document["record-id"] = json!(record.map(ToString::to_string));
    document["link-id"] = json!(link.map(ToString::to_string));
    document["version"] = json!(version);
    document
}

/// An entry whole, as JSON text: its payload stands in it as it would be sent.
pub(super) fn of_entry(entry: &OutboxEntry, queue: Option<&Queue>) -> String {
    let mut document = of_listed(entry, queue);
    document["notes"] = json!(entry.notes);
    let document = document.to_string();
    let open = document.strip_suffix('}').unwrap_or(&document);
    format!("{open},\"payload\":{}}}", payload(&entry.body))
}

/// What there is to say of a message, whoever asked for it. The engine's id bears the engine's name, as in the answer to a publish;
/// while the message is on no queue, all that is known of it is that there is none. Once its queue is not registered any more,
/// nobody knows whose id it is.
pub(super) fn of_message(entry: &OutboxEntry, queue: Option<&Queue>) -> Value {
    let mut document = json!({
        "message-id": entry.message_id.to_string(),
        "queue-id": entry.queue.to_string(),
        "queue-name": queue.map(|queue| queue.name.as_str()),
        "state": entry.state.as_str(),
        "round": entry.round,
        "failures": entry.failures,
        "reason": entry.reason,
        "ordering-key": entry.ordering_key,
        "committed-at": entry.committed_at.to_string(),
        "next-attempt-at": entry.next_attempt_at.map(|at| at.to_string()),
    });
    if let Some(engine) = queue.map(Queue::engine) {
        document[engine.id_name()] = json!(entry.engine_id);
    }
    document
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use domain::{
        ApiName, EntryOrigin, EntryState, LinkId, MessageId, Operation, QueueId, RecordId, TablePrefix,
    };
    use jiff::Timestamp;

    fn entry() -> OutboxEntry {
        let (now, random) = (Timestamp::UNIX_EPOCH, &mut rand::rng());
        let table = TablePrefix::nth(7).unwrap();
        let record = RecordId::new(table, 4, now, random);
        OutboxEntry {
            key: EntryKey::Link { record, link: LinkId { table, number: 3 }, version: 12 },
            message_id: MessageId::new(now, random),
            queue: QueueId::new(now, random),
            body: r#"{"n": 1.0e2}"#.to_owned(),
            ordering_key: Some(record.to_string()),
            ordered: true,
            origin: Some(EntryOrigin {
                table: ApiName::parse("Estudante").unwrap(),
                operation: Operation::Update,
                depth: 1,
            }),
            round: 2,
            notes: vec!["a hole".to_owned()],
            state: EntryState::Parked,
            failures: 12,
            lease: 12,
            committed_at: now,
            next_attempt_at: None,
            reason: Some("the queue is gone".to_owned()),
            engine_id: None,
        }
    }

    #[test]
    fn an_entry_tells_whose_write_it_tells_of_and_what_would_be_sent() {
        let entry = entry();
        let text = of_entry(&entry, None);
        assert!(text.ends_with(r#","payload":{"n": 1.0e2}}"#), "as it would be sent: {text}");
        let document: Value = serde_json::from_str(&text).unwrap();
        for (member, expect) in [
            ("entry", json!(entry.key.to_string())),
            ("message-id", json!(entry.message_id.to_string())),
            ("queue-name", Value::Null),
            ("state", json!("parked")),
            ("round", json!(2)),
            ("failures", json!(12)),
            ("reason", json!("the queue is gone")),
            ("table", json!("Estudante")),
            ("operation", json!("update")),
            ("link-depth", json!(1)),
            ("version", json!(12)),
            ("notes", json!(["a hole"])),
            ("next-attempt-at", Value::Null),
        ] {
            assert_eq!(document[member], expect, "{member}: {document}");
        }
    }

    #[test]
    fn a_scheduled_message_tells_of_no_record() {
        let entry = entry();
        let entry = OutboxEntry { key: EntryKey::Scheduled(entry.message_id), origin: None, ..entry };
        let document = of_listed(&entry, None);
        assert_eq!(document["entry"], document["message-id"]);
        for member in ["table", "operation", "record-id", "link-id", "version"] {
            assert_eq!(document[member], Value::Null, "{member}");
        }
        assert_eq!(document.get("payload"), None);
    }
}

use delivery::{Answer, Sent};
use domain::{EntryKey, LinkMode};
use serde_json::{Value, json};
use zstorage::OpenTable;

/// The messages of a write as its answer tells them: `[{"message-id","sqs-id","queue-id"}]` (`kafka-id` or `amqp-id`, if that is the
/// queue's engine), with the `state` in place of the engine's id where that is not known, as of what was not out in time.
/// `None` = the answer says nothing of messages: nobody waited for any, and no link is strict.
pub(crate) fn shown(table: &OpenTable, answer: &Answer, waits: bool) -> Option<Value> {
    let is_shown = waits || answer.messages.iter().any(|sent| is_strict(table, sent));
    is_shown.then(|| answer.messages.iter().map(message).collect())
}

fn is_strict(table: &OpenTable, sent: &Sent) -> bool {
    let EntryKey::Link { link, .. } = sent.entry else { return false };
    table.schema.link(link).is_some_and(|link| link.mode == LinkMode::Strict)
}

fn message(sent: &Sent) -> Value {
    let (key, value) = match &sent.engine_id {
        Some(known) => (known.engine.id_name(), known.id.as_str()),
        None => ("state", sent.state.as_str()),
    };
    json!({ "message-id": sent.message_id.to_string(), key: value, "queue-id": sent.queue.to_string() })
}

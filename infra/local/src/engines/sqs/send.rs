//! Taking messages in: checked, deduplicated, stored.

use super::{
    batch::{self, Entry},
    content::{self, MAX_BYTES, MessageAttribute, MessageAttributes},
    queues::Queue,
    refusal::Refusal,
    store::Turn,
};
use domain::hex;
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How long SQS remembers a deduplication id, deleted messages included.
const DEDUPLICATION_MS: i64 = 5 * 60 * 1000;
const MAX_DELAY_SECS: i64 = 900;
const MAX_ID_BYTES: usize = 128;

/// A message on its way in, alone or as an entry of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: MessageAttributes,
    #[serde(default)]
    message_system_attributes: BTreeMap<String, MessageAttribute>,
    message_deduplication_id: Option<String>,
    message_group_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Send {
    queue_url: String,
    #[serde(flatten)]
    message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendBatch {
    queue_url: String,
    entries: Vec<SendEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendEntry {
    id: String,
    #[serde(flatten)]
    message: Message,
}

impl Entry for SendEntry {
    fn id(&self) -> &str {
        &self.id
    }
}

pub(super) fn send(turn: &Turn<'_>, request: Send) -> Result<Value, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    let answer = accept(turn, &queue, &request.message)?;
    turn.ring(&queue.name);
    Ok(answer)
}

/// Up to ten messages, 1 MiB in all. An entry that is refused by itself stands in `Failed`.
pub(super) fn send_batch(turn: &Turn<'_>, request: SendBatch) -> Result<Value, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    batch::check(&request.entries)?;
    let size = |entry: &SendEntry| {
        content::check(&entry.message.message_body, &entry.message.message_attributes).unwrap_or(0)
    };
    let bytes: usize = request.entries.iter().map(size).sum();
    if bytes > MAX_BYTES {
        return Err(Refusal::batch_too_long(bytes));
    }
    let answer = batch::each(&request.entries, |entry| accept(turn, &queue, &entry.message))?;
    turn.ring(&queue.name);
    Ok(answer)
}

/// One message: every check comes before the first write.
fn accept(turn: &Turn<'_>, queue: &Queue, message: &Message) -> Result<Value, Refusal> {
    check_size(queue, message)?;
    let trace_header = trace_header(message)?;
    let delay_secs = delay_secs(queue, message)?;
    check_ids(queue, message)?;
    let deduplication_id = deduplication_id(queue, message)?;
    let scope = match (queue.attributes.get("DeduplicationScope"), &message.message_group_id) {
        (Some("messageGroup"), Some(group)) => group.as_str(),
        _ => "",
    };
    let known = match &deduplication_id {
        Some(id) => recall(turn, queue, scope, id)?,
        None => None,
    };
    let (message_id, seq) = match known {
        Some(first) => first,
        None => {
            let message_id = uuid::Uuid::new_v4().to_string();
            let visible_ms = turn.now_ms + delay_secs * 1000;
            turn.prepare_cached(
                "INSERT INTO message (queue_id, message_id, body, attributes, trace_header, group_id, deduplication_id,
                 sent_ms, enqueued_ms, visible_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)",
            )?
            .execute((
                queue.id,
                &message_id,
                &message.message_body,
                json!(message.message_attributes).to_string(),
                trace_header,
                &message.message_group_id,
                &deduplication_id,
                turn.now_ms,
                visible_ms,
            ))?;
            let seq = turn.last_insert_rowid();
            if let Some(id) = &deduplication_id {
                remember(turn, queue, scope, id, &message_id, seq)?;
            }
            (message_id, seq)
        }
    };
    let mut answer =
        json!({"MessageId": message_id, "MD5OfMessageBody": content::body_md5(&message.message_body)});
    if let Some(md5) = content::attributes_md5(&message.message_attributes) {
        answer["MD5OfMessageAttributes"] = json!(md5);
    }
    if let Some(md5) = content::attributes_md5(&message.message_system_attributes) {
        answer["MD5OfMessageSystemAttributes"] = json!(md5);
    }
    if queue.is_fifo() {
        answer["SequenceNumber"] = json!(sequence_number(seq));
    }
    Ok(answer)
}

/// A message's place in its queue as SQS writes it: 20 digits, so that text and number sort alike.
pub(super) fn sequence_number(seq: i64) -> String {
    (10_000_000_000_000_000_000u64 + seq.unsigned_abs()).to_string()
}

fn check_size(queue: &Queue, message: &Message) -> Result<(), Refusal> {
    let bytes = content::check(&message.message_body, &message.message_attributes)?;
    let most = queue.attributes.number("MaximumMessageSize");
    if i64::try_from(bytes).is_ok_and(|bytes| bytes <= most) {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
    )))
}

/// The only system attribute that can be sent: X-Ray's trace header.
fn trace_header(message: &Message) -> Result<Option<&str>, Refusal> {
    if let Some(name) = message.message_system_attributes.keys().find(|name| *name != "AWSTraceHeader") {
        return Err(Refusal::invalid(format!("Message system attribute name '{name}' is invalid.")));
    }
    Ok(message.message_system_attributes.get("AWSTraceHeader").and_then(MessageAttribute::text))
}

fn delay_secs(queue: &Queue, message: &Message) -> Result<i64, Refusal> {
    match message.delay_seconds {
        None => Ok(queue.attributes.number("DelaySeconds")),
        Some(secs) if !(0..=MAX_DELAY_SECS).contains(&secs) => {
            Err(Refusal::invalid_value(secs, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900."))
        }
        Some(secs) if queue.is_fifo() && secs != 0 => Err(Refusal::invalid_value(
            secs,
            "DelaySeconds",
            "The request include parameter that is not valid for this queue type.",
        )),
        Some(_) if queue.is_fifo() => Ok(queue.attributes.number("DelaySeconds")),
        Some(secs) => Ok(secs),
    }
}

/// Group and deduplication id: letters, digits and punctuation, up to 128.
fn check_ids(queue: &Queue, message: &Message) -> Result<(), Refusal> {
    let ids = [
        ("MessageGroupId", &message.message_group_id),
        ("MessageDeduplicationId", &message.message_deduplication_id),
    ];
    for (name, id) in ids.into_iter().filter_map(|(name, id)| id.as_ref().map(|id| (name, id))) {
        if id.is_empty() || id.len() > MAX_ID_BYTES || !id.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(Refusal::invalid_value(
                id,
                name,
                &format!(
                    "{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."
                ),
            ));
        }
    }
    if queue.is_fifo() && message.message_group_id.is_none() {
        return Err(Refusal::missing("MessageGroupId"));
    }
    if let (false, Some(id)) = (queue.is_fifo(), &message.message_deduplication_id) {
        return Err(Refusal::invalid_value(
            id,
            "MessageDeduplicationId",
            "The request includes a parameter that is not valid for this queue type.",
        ));
    }
    Ok(())
}

/// The id a FIFO message is known by: the sender's, else the digest of its body where the queue allows that.
fn deduplication_id(queue: &Queue, message: &Message) -> Result<Option<String>, Refusal> {
    match &message.message_deduplication_id {
        _ if !queue.is_fifo() => Ok(None),
        Some(id) => Ok(Some(id.clone())),
        None if queue.attributes.flag("ContentBasedDeduplication") => {
            Ok(Some(hex(&Sha256::digest(&message.message_body))))
        }
        None => Err(Refusal::invalid(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        )),
    }
}

/// The message that came with this deduplication id in the last five minutes: its id and place.
fn recall(turn: &Turn<'_>, queue: &Queue, scope: &str, id: &str) -> Result<Option<(String, i64)>, Refusal> {
    turn.prepare_cached("DELETE FROM deduplication WHERE expires_ms <= ?1")?.execute([turn.now_ms])?;
    let mut find = turn.prepare_cached(
        "SELECT message_id, seq FROM deduplication WHERE queue_id = ?1 AND scope = ?2 AND deduplication_id = ?3",
    )?;
    Ok(find.query_row((queue.id, scope, id), |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn remember(
    turn: &Turn<'_>,
    queue: &Queue,
    scope: &str,
    id: &str,
    message_id: &str,
    seq: i64,
) -> Result<(), Refusal> {
    turn.prepare_cached("INSERT INTO deduplication VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute((
        queue.id,
        scope,
        id,
        message_id,
        seq,
        turn.now_ms + DEDUPLICATION_MS,
    ))?;
    Ok(())
}

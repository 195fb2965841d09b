//! What a receiver does with a message in flight: delete it, or say when it is visible again.

use super::{
    batch::{self, Entry},
    queues::Queue,
    refusal::Refusal,
    store::Turn,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;

/// The longest a message may stay in flight after one receive, in seconds.
const MAX_VISIBILITY_SECS: i64 = 43_200;

/// A receipt handle: the message it is for, and a secret of this one receive. The next receive makes another.
pub(super) struct Receipt {
    seq: i64,
    secret: String,
}

impl Receipt {
    pub(super) fn new(seq: i64) -> Receipt {
        Receipt { seq, secret: uuid::Uuid::new_v4().simple().to_string() }
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    fn parse(text: &str) -> Result<Receipt, Refusal> {
        let refused = || Refusal::receipt_handle(text);
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
        let plain = String::from_utf8(bytes).map_err(|_| refused())?;
        let (seq, secret) = plain.split_once(':').ok_or_else(refused)?;
        Ok(Receipt { seq: seq.parse().map_err(|_| refused())?, secret: secret.to_owned() })
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("{}:{}", self.seq, self.secret)))
    }
}

/// How a receipt stands to its message.
struct Held {
    /// Nobody received the message since.
    is_latest: bool,
    visible_ms: i64,
    received_ms: i64,
}

fn held(turn: &Turn<'_>, queue: &Queue, receipt: &Receipt) -> Result<Option<Held>, Refusal> {
    let mut find = turn.prepare_cached(
        "SELECT handle, visible_ms, coalesce(received_ms, 0) FROM message WHERE seq = ?1 AND queue_id = ?2",
    )?;
    let row = find.query_row((receipt.seq, queue.id), |row| {
        let handle: Option<String> = row.get(0)?;
        let is_latest = handle.as_deref() == Some(receipt.secret());
        Ok(Held { is_latest, visible_ms: row.get(1)?, received_ms: row.get(2)? })
    });
    Ok(row.optional()?)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Delete {
    queue_url: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteBatch {
    queue_url: String,
    entries: Vec<DeleteEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteEntry {
    id: String,
    receipt_handle: String,
}

impl Entry for DeleteEntry {
    fn id(&self) -> &str {
        &self.id
    }
}

pub(super) fn delete(turn: &Turn<'_>, request: Delete) -> Result<Value, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    remove(turn, &queue, &request.receipt_handle)
}

pub(super) fn delete_batch(turn: &Turn<'_>, request: DeleteBatch) -> Result<Value, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    batch::each(&request.entries, |entry| remove(turn, &queue, &entry.receipt_handle))
}

/// Deletes one message. What is gone already is deleted. An older receipt is accepted on a standard queue and
/// deletes nothing (SQS: "the request succeeds, but the message might not be deleted"); a FIFO queue refuses it, and
/// one whose visibility timeout has passed, since its group may have gone on.
fn remove(turn: &Turn<'_>, queue: &Queue, handle: &str) -> Result<Value, Refusal> {
    let receipt = Receipt::parse(handle)?;
    let Some(held) = held(turn, queue, &receipt)? else { return Ok(json!({})) };
    let lapsed = held.visible_ms <= turn.now_ms;
    if queue.is_fifo() && (!held.is_latest || lapsed) {
        return Err(Refusal::invalid_value(handle, "ReceiptHandle", "The receipt handle has expired."));
    }
    if held.is_latest {
        turn.prepare_cached("DELETE FROM message WHERE seq = ?1")?.execute([receipt.seq])?;
        if queue.is_fifo() {
            turn.ring(&queue.name);
        }
    }
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeVisibilityBatch {
    queue_url: String,
    entries: Vec<ChangeVisibilityEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeVisibilityEntry {
    id: String,
    receipt_handle: String,
    /// The model lets it be absent; SQS then refuses the entry.
    visibility_timeout: Option<i64>,
}

impl Entry for ChangeVisibilityEntry {
    fn id(&self) -> &str {
        &self.id
    }
}

pub(super) fn change_visibility(turn: &Turn<'_>, request: ChangeVisibility) -> Result<Value, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    set_visibility(turn, &queue, &request.receipt_handle, request.visibility_timeout)
}

pub(super) fn change_visibility_batch(
    turn: &Turn<'_>,
    request: ChangeVisibilityBatch,
) -> Result<Value, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    batch::each(&request.entries, |entry| {
        let secs = entry.visibility_timeout.ok_or_else(|| Refusal::missing("VisibilityTimeout"))?;
        set_visibility(turn, &queue, &entry.receipt_handle, secs)
    })
}

/// Counts a new timeout from now; 0 gives the message back at once.
fn set_visibility(turn: &Turn<'_>, queue: &Queue, handle: &str, secs: i64) -> Result<Value, Refusal> {
    if !(0..=MAX_VISIBILITY_SECS).contains(&secs) {
        return Err(Refusal::invalid_value(
            secs,
            "VisibilityTimeout",
            "VisibilityTimeout must be an integer between 0 and 43200",
        ));
    }
    let receipt = Receipt::parse(handle)?;
    let held = held(turn, queue, &receipt)?.ok_or_else(|| {
        let reason = "Message does not exist or is not available for visibility timeout change.";
        Refusal::invalid_value(handle, "ReceiptHandle", reason)
    })?;
    if !held.is_latest || held.visible_ms <= turn.now_ms {
        return Err(Refusal::not_in_flight());
    }
    let visible_ms = turn.now_ms + secs * 1000;
    if visible_ms > held.received_ms + MAX_VISIBILITY_SECS * 1000 {
        return Err(Refusal::invalid_value(
            secs,
            "VisibilityTimeout",
            "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
        ));
    }
    turn.prepare_cached("UPDATE message SET visible_ms = ?2 WHERE seq = ?1")?
        .execute((receipt.seq, visible_ms))?;
    turn.ring(&queue.name);
    Ok(json!({}))
}

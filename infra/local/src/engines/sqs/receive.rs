//! Giving messages out: one look (`take`), and the wait around it (`poll`).

use super::{
    SqsEngine,
    content::{self, MessageAttributes},
    queues::{self, Queue, name_in_url},
    redrive,
    refusal::Refusal,
    send::sequence_number,
    settle::Receipt,
    store::Turn,
    stored::{COLUMNS, Stored},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::Instant;

const MAX_MESSAGES: i64 = 10;
const MAX_WAIT_SECS: i64 = 20;
const MAX_VISIBILITY_SECS: i64 = 43_200;

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Receive {
    queue_url: String,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

impl Receive {
    fn check(&self) -> Result<(), Refusal> {
        let bounds = [
            ("MaxNumberOfMessages", self.max_number_of_messages, 1, MAX_MESSAGES),
            ("WaitTimeSeconds", self.wait_time_seconds, 0, MAX_WAIT_SECS),
            ("VisibilityTimeout", self.visibility_timeout, 0, MAX_VISIBILITY_SECS),
        ];
        for (name, value, least, most) in bounds {
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                let reason = format!("Must be between {least} and {most}, if provided.");
                return Err(Refusal::invalid_value(value, name, &reason));
            }
        }
        Ok(())
    }

    fn asks_for(&self, system_attribute: &str) -> bool {
        let mut names = self.attribute_names.iter().chain(&self.message_system_attribute_names);
        names.any(|name| name == "All" || name == system_attribute)
    }

    fn asks_for_attribute(&self, name: &str) -> bool {
        self.message_attribute_names.iter().any(|asked| match asked.strip_suffix(".*") {
            Some(prefix) => {
                name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
            None => asked == "All" || asked == ".*" || asked == name,
        })
    }
}

/// What one look found.
struct Taken {
    messages: Vec<Value>,
    /// How long the caller may wait in all, in seconds.
    wait_secs: i64,
    /// After how many milliseconds something not yet visible will be.
    next_in_ms: Option<i64>,
}

/// Looks, and where there is nothing waits until a bell rings, a delay or visibility timeout passes, or the wait is
/// over. The bell is heard from before the look on, so that what is committed between look and wait is not missed.
pub(super) async fn poll(engine: &SqsEngine, request: Receive) -> Result<Value, Refusal> {
    request.check()?;
    let queue = name_in_url(&request.queue_url).to_owned();
    let outcome = watch(engine, request, &queue).await;
    engine.bells.forget(&queue);
    let messages = outcome?;
    Ok(if messages.is_empty() { json!({}) } else { json!({"Messages": messages}) })
}

async fn watch(engine: &SqsEngine, request: Receive, queue: &str) -> Result<Vec<Value>, Refusal> {
    let started = Instant::now();
    let bell = engine.bells.of(queue);
    let mut closed = engine.closed.subscribe();
    loop {
        let rung = bell.notified();
        let look = request.clone();
        let taken = engine.turn(move |turn| take(turn, &look)).await?;
        let deadline = started + Duration::from_secs(taken.wait_secs.unsigned_abs());
        if !taken.messages.is_empty() || Instant::now() >= deadline || *closed.borrow() {
            return Ok(taken.messages);
        }
        let next =
            taken.next_in_ms.map(|ms| Instant::now() + Duration::from_millis(ms.unsigned_abs().max(1)));
        tokio::select! {
            () = rung => {}
            () = tokio::time::sleep_until(next.map_or(deadline, |next| next.min(deadline))) => {}
            // An error means the engine is gone with its last clone, which cannot be while we hold one.
            _ = closed.changed() => {}
        }
    }
}

/// One look: expired messages are forgotten, those received too often move to the dead-letter queue, and what is
/// left becomes in flight.
fn take(turn: &Turn<'_>, request: &Receive) -> Result<Taken, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    queues::expire(turn, &queue)?;
    let limit = request.max_number_of_messages.unwrap_or(1);
    let rows = loop {
        let rows = receivable(turn, &queue, limit)?;
        // Those are out of the way now, so look again: others may stand behind them.
        if !redrive::bury(turn, &queue, &rows)? {
            break rows;
        }
    };
    let visibility_secs =
        request.visibility_timeout.unwrap_or_else(|| queue.attributes.number("VisibilityTimeout"));
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        messages.push(hand_out(turn, &queue, row, visibility_secs, request)?);
    }
    let next_in_ms = if messages.is_empty() { next_in_ms(turn, &queue)? } else { None };
    let own_wait_secs = || queue.attributes.number("ReceiveMessageWaitTimeSeconds");
    Ok(Taken { messages, wait_secs: request.wait_time_seconds.unwrap_or_else(own_wait_secs), next_in_ms })
}

/// What can be received now. A FIFO group is closed while one of its messages is in flight, or an earlier one is
/// delayed.
fn receivable(turn: &Turn<'_>, queue: &Queue, limit: i64) -> Result<Vec<Stored>, Refusal> {
    let sql = if queue.is_fifo() {
        format!(
            "SELECT {COLUMNS} FROM message AS m WHERE queue_id = ?1 AND visible_ms <= ?2 AND NOT EXISTS (
                SELECT 1 FROM message AS held WHERE held.queue_id = ?1 AND held.group_id = m.group_id
                AND held.visible_ms > ?2 AND (held.handle IS NOT NULL OR held.seq < m.seq)
             ) ORDER BY seq LIMIT ?3"
        )
    } else {
        format!(
            "SELECT {COLUMNS} FROM message WHERE queue_id = ?1 AND visible_ms <= ?2
             ORDER BY visible_ms, seq LIMIT ?3"
        )
    };
    let mut look = turn.prepare_cached(&sql)?;
    Ok(look.query_map((queue.id, turn.now_ms, limit), Stored::read)?.collect::<Result<_, _>>()?)
}

fn next_in_ms(turn: &Turn<'_>, queue: &Queue) -> Result<Option<i64>, Refusal> {
    let mut look =
        turn.prepare_cached("SELECT min(visible_ms) FROM message WHERE queue_id = ?1 AND visible_ms > ?2")?;
    let next_ms: Option<i64> = look.query_row((queue.id, turn.now_ms), |row| row.get(0))?;
    Ok(next_ms.map(|next_ms| next_ms - turn.now_ms))
}

/// Puts one message in flight, under a new receipt handle.
fn hand_out(
    turn: &Turn<'_>,
    queue: &Queue,
    row: Stored,
    visibility_secs: i64,
    request: &Receive,
) -> Result<Value, Refusal> {
    let receipt = Receipt::new(row.seq);
    turn.prepare_cached(
        "UPDATE message SET handle = ?2, received_ms = ?3, first_received_ms = coalesce(first_received_ms, ?3),
         visible_ms = ?4, receives = receives + 1, receives_here = receives_here + 1 WHERE seq = ?1",
    )?
    .execute((row.seq, receipt.secret(), turn.now_ms, turn.now_ms + visibility_secs * 1000))?;
    let mut answer = json!({
        "MessageId": row.message_id,
        "ReceiptHandle": receipt.to_string(),
        "MD5OfBody": content::body_md5(&row.body),
        "Body": row.body,
    });
    let system = system_attributes(turn, queue, &row, request);
    if !system.is_empty() {
        answer["Attributes"] = json!(system);
    }
    let mut attributes: MessageAttributes = serde_json::from_str(&row.attributes)?;
    attributes.retain(|name, _| request.asks_for_attribute(name));
    if let Some(md5) = content::attributes_md5(&attributes) {
        answer["MD5OfMessageAttributes"] = json!(md5);
        answer["MessageAttributes"] = json!(attributes);
    }
    Ok(answer)
}

fn system_attributes(turn: &Turn<'_>, queue: &Queue, row: &Stored, request: &Receive) -> Map<String, Value> {
    let order = queue.is_fifo().then(|| sequence_number(row.seq));
    let all = [
        ("SenderId", Some(turn.place.account.clone())),
        ("SentTimestamp", Some(row.sent_ms.to_string())),
        ("ApproximateReceiveCount", Some((row.receives + 1).to_string())),
        ("ApproximateFirstReceiveTimestamp", Some(row.first_received_ms.unwrap_or(turn.now_ms).to_string())),
        ("SequenceNumber", order),
        ("MessageGroupId", row.group_id.clone()),
        ("MessageDeduplicationId", row.deduplication_id.clone()),
        ("AWSTraceHeader", row.trace_header.clone()),
        ("DeadLetterQueueSourceArn", row.source_arn.clone()),
    ];
    let asked = all.into_iter().filter(|(name, _)| request.asks_for(name));
    asked.filter_map(|(name, value)| value.map(|value| (name.to_owned(), json!(value)))).collect()
}

//! To the dead-letter queue and back: the redrive policy at each receive, and the message move tasks.

use super::{
    queues::{self, Queue},
    refusal::Refusal,
    store::Turn,
    stored::Stored,
};
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::{Value, json};

/// How many of the newest tasks a listing shows at most.
const MAX_TASKS: i64 = 10;

/// Moves those of `rows` that were received as often as the redrive policy allows; says whether there were any.
/// While the dead-letter queue is missing, messages stay where they are.
pub(super) fn bury(turn: &Turn<'_>, queue: &Queue, rows: &[Stored]) -> Result<bool, Refusal> {
    let Some(policy) = queue.attributes.redrive() else { return Ok(false) };
    let mut dead = rows.iter().filter(|row| row.receives_here >= policy.max_receive_count).peekable();
    if dead.peek().is_none() {
        return Ok(false);
    }
    let Some(target) = named_by(turn, &policy.target_arn)? else { return Ok(false) };
    let source_arn = turn.place.arn(&queue.name);
    for row in dead {
        // A standard dead-letter queue goes on counting the time of retention, a FIFO one starts anew.
        let sql = format!(
            "INSERT INTO message (queue_id, message_id, body, attributes, trace_header, group_id, deduplication_id,
                source_arn, sent_ms, enqueued_ms, visible_ms, first_received_ms, receives)
             SELECT ?2, message_id, body, attributes, trace_header, group_id, deduplication_id,
                ?3, sent_ms, {}, ?4, first_received_ms, receives FROM message WHERE seq = ?1",
            if queue.is_fifo() { "?4" } else { "enqueued_ms" }
        );
        turn.prepare_cached(&sql)?.execute((row.seq, target.id, &source_arn, turn.now_ms))?;
        turn.prepare_cached("DELETE FROM message WHERE seq = ?1")?.execute([row.seq])?;
        tracing::debug!(
            message.id = row.message_id,
            queue.name = queue.name,
            "a message moved to its dead-letter queue"
        );
    }
    turn.ring(&target.name);
    Ok(true)
}

fn named_by(turn: &Turn<'_>, arn: &str) -> Result<Option<Queue>, Refusal> {
    match turn.place.name_in_arn(arn) {
        Some(name) => Queue::named(turn, name),
        None => Ok(None),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSources {
    queue_url: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// The queues whose dead letters come to this one.
pub(super) fn list_sources(turn: &Turn<'_>, request: ListSources) -> Result<Value, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    let sources = sources_of(turn, &turn.place.arn(&queue.name))?;
    // Lower case: so it stands in the service's model.
    let mut answer = queues::page(
        "queueUrls",
        turn,
        sources.into_iter(),
        request.max_results,
        request.next_token.as_deref(),
    );
    if answer.get("queueUrls").is_none() {
        answer["queueUrls"] = json!([]);
    }
    Ok(answer)
}

fn sources_of(turn: &Turn<'_>, dead_letter_arn: &str) -> Result<Vec<Queue>, Refusal> {
    let mut queues = Queue::all(turn)?;
    queues.retain(|queue| {
        queue.attributes.redrive().is_some_and(|policy| policy.target_arn == dead_letter_arn)
    });
    Ok(queues)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartMove {
    source_arn: String,
    destination_arn: Option<String>,
}

/// Moves what is visible in a dead-letter queue, back to where each message came from or to one destination. On AWS
/// this runs beside the traffic at up to 500 a second; here it is done, in one transaction, when the answer comes.
/// Moved messages get a new message id, as on AWS.
pub(super) fn start_move(turn: &Turn<'_>, request: StartMove) -> Result<Value, Refusal> {
    let missing = |parameter: &str| {
        Refusal::no_resource(format!(
            "The resource that you specified for the {parameter} parameter doesn't exist."
        ))
    };
    let source = named_by(turn, &request.source_arn)?.ok_or_else(|| missing("SourceArn"))?;
    if sources_of(turn, &request.source_arn)?.is_empty() {
        return Err(Refusal::invalid("Source queue must be configured as a Dead Letter Queue."));
    }
    let destination = match &request.destination_arn {
        Some(arn) => Some(named_by(turn, arn)?.ok_or_else(|| missing("DestinationArn"))?),
        None => None,
    };
    queues::expire(turn, &source)?;
    let letters = visible(turn, &source)?;
    let (mut moved, mut failure) = (0, None);
    for (seq, source_arn) in &letters {
        let origin = match (&destination, source_arn) {
            (Some(_), _) | (None, None) => None,
            (None, Some(arn)) => named_by(turn, arn)?,
        };
        match destination.as_ref().or(origin.as_ref()) {
            Some(target) => {
                hand_back(turn, *seq, target)?;
                moved += 1;
            }
            // AWS ends the task here; the letters that follow are no worse, so we go on with them.
            None => failure = Some("CouldNotDetermineMessageSource"),
        }
    }
    let handle = uuid::Uuid::new_v4().to_string();
    turn.execute(
        "INSERT INTO move_task (handle, source_arn, destination_arn, status, failure, moved, to_move, started_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            &handle,
            &request.source_arn,
            &request.destination_arn,
            if failure.is_some() { "FAILED" } else { "COMPLETED" },
            failure,
            moved,
            i64::try_from(letters.len()).unwrap_or(i64::MAX),
            turn.now_ms,
        ),
    )?;
    Ok(json!({"TaskHandle": handle}))
}

/// The visible messages of a queue in their order, each with the queue it came from.
fn visible(turn: &Turn<'_>, queue: &Queue) -> Result<Vec<(i64, Option<String>)>, Refusal> {
    let mut all = turn.prepare_cached(
        "SELECT seq, source_arn FROM message WHERE queue_id = ?1 AND visible_ms <= ?2 ORDER BY seq",
    )?;
    let rows = all.query_map((queue.id, turn.now_ms), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn hand_back(turn: &Turn<'_>, seq: i64, target: &Queue) -> Result<(), Refusal> {
    turn.prepare_cached(
        "INSERT INTO message (queue_id, message_id, body, attributes, trace_header, group_id, deduplication_id,
            sent_ms, enqueued_ms, visible_ms)
         SELECT ?2, ?3, body, attributes, trace_header, group_id, deduplication_id, ?4, ?4, ?4
         FROM message WHERE seq = ?1",
    )?
    .execute((seq, target.id, uuid::Uuid::new_v4().to_string(), turn.now_ms))?;
    turn.prepare_cached("DELETE FROM message WHERE seq = ?1")?.execute([seq])?;
    turn.ring(&target.name);
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListMoves {
    source_arn: String,
    max_results: Option<i64>,
}

/// The newest tasks of a dead-letter queue, newest first; one by default, as on AWS.
pub(super) fn list_moves(turn: &Turn<'_>, request: ListMoves) -> Result<Value, Refusal> {
    let mut newest = turn.prepare_cached(
        "SELECT destination_arn, status, failure, moved, to_move, started_ms FROM move_task
         WHERE source_arn = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let limit = request.max_results.unwrap_or(1).clamp(1, MAX_TASKS);
    let rows = newest.query_map((&request.source_arn, limit), |row| {
        let mut task = json!({
            "SourceArn": request.source_arn,
            "Status": row.get::<_, String>(1)?,
            "ApproximateNumberOfMessagesMoved": row.get::<_, i64>(3)?,
            "ApproximateNumberOfMessagesToMove": row.get::<_, i64>(4)?,
            "StartedTimestamp": row.get::<_, i64>(5)?,
        });
        for (key, column) in [("DestinationArn", 0), ("FailureReason", 2)] {
            if let Some(text) = row.get::<_, Option<String>>(column)? {
                task[key] = json!(text);
            }
        }
        Ok(task)
    })?;
    Ok(json!({"Results": rows.collect::<Result<Vec<_>, _>>()?}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CancelMove {
    task_handle: String,
}

/// Tasks are over when they are answered, so there is never one to cancel.
pub(super) fn cancel_move(turn: &Turn<'_>, request: CancelMove) -> Result<Value, Refusal> {
    let mut find = turn.prepare_cached("SELECT 1 FROM move_task WHERE handle = ?1")?;
    match find.query_row([&request.task_handle], |_| Ok(())).optional()? {
        Some(()) => Err(Refusal::unsupported("Only active tasks can be cancelled.")),
        None => Err(Refusal::no_resource("Task does not exist.")),
    }
}

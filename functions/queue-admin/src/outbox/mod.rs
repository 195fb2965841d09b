//! What is to be sent, and what was given up: seen by those who may see dead letters, sent again or discarded by those who
//! may change them.

mod documents;
mod scheduled;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::{Caller, JsonObject, Kind, PathText, Problem, QueryText};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{EntryKey, EntryState, Fault, OutboxEntry, Queue, QueueId, Scope};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use zstorage::{CatalogError, Discarded, OutboxGroup, OutboxPlace, Redriven};

use crate::{AdminState, queues};

pub(crate) use scheduled::{cancel, read as read_message};

/// No note is longer, characters.
const MAX_NOTE_CHARS: usize = 1000;

/// `GET outbox?state=parked|due`: a page of what was given up, or of what is to be sent, now or later. Without bodies.
pub(crate) async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    mut query: QueryText,
) -> Result<Json<Value>, Problem> {
    caller.require(&Scope::DeadLetterRead)?;
    let group = match query.take("state").as_deref() {
        None | Some("parked") => Ok(OutboxGroup::Parked),
        Some("due") => Ok(OutboxGroup::Due),
        Some(_) => Err(Fault::new("state", "value", "'state' is \"parked\" or \"due\"")),
    };
    let page = queues::page::<OutboxPlace>(query, &["state", "limit", "cursor"]);
    let (group, (limit, cursor)) = match (group, page) {
        (Ok(group), Ok(page)) => (group, page),
        (Err(fault), Ok(_)) => return Err(fault.into()),
        (Ok(_), Err(problem)) => return Err(problem),
        (Err(fault), Err(problem)) => return Err(problem.with_fault(fault)),
    };
    let page = state.outbox.list(group, limit, cursor.as_ref()).await?;
    let queues = state.queues_of(&page.items).await?;
    let queue = |entry: &OutboxEntry| queues.get(&entry.queue).map(Arc::as_ref);
    let entries: Vec<Value> =
        page.items.iter().map(|entry| documents::of_listed(entry, queue(entry))).collect();
    Ok(Json(json!({ "entries": entries, "cursor": page.next.map(|cursor| cursor.to_string()) })))
}

/// `GET outbox/{entry}`: an entry whole, with what would be sent.
pub(crate) async fn read(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(entry): PathText,
) -> Result<Response, Problem> {
    caller.require(&Scope::DeadLetterRead)?;
    let entry = state.outbox.entry(&key(&entry)?).await?.ok_or_else(missing)?;
    let queue = state.catalog.queue_by_id(entry.queue).await?;
    let text = documents::of_entry(&entry, queue.as_deref());
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

/// `POST outbox/{entry}/redrive`: what was given up is due again, under the same message id, in its next round; what waits
/// after a failure waits no longer. The sweeper sends it within a minute, so this is 202.
pub(crate) async fn redrive(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(entry): PathText,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.require(&Scope::DeadLetterWrite)?;
    let key = key(&entry)?;
    let round = match state.outbox.redrive(&key).await? {
        Redriven::Done { round } => round,
        Redriven::NotParked(now) => return Err(not_failed(now)),
        Redriven::Missing => return Err(missing()),
    };
    tracing::info!(outbox.entry = %key, outbox.round = round, key.id = %caller.key, "An outbox entry is to be sent now.");
    let answer = json!({ "entry": key.to_string(), "state": EntryState::Due.as_str(), "round": round });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// `POST outbox/{entry}/discard`: what was given up is wanted no more; `note` says why. What waits behind it in order goes on.
pub(crate) async fn discard(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(entry): PathText,
    body: JsonObject,
) -> Result<Json<Value>, Problem> {
    caller.require(&Scope::DeadLetterWrite)?;
    let key = key(&entry)?;
    let note = note(&body)?;
    match state.outbox.discard(&key, &note).await? {
        Discarded::Done => {}
        Discarded::NotParked(now) => return Err(not_parked(now)),
        Discarded::Missing => return Err(missing()),
    }
    tracing::info!(outbox.entry = %key, key.id = %caller.key, "What was given up is discarded.");
    Ok(Json(json!({ "entry": key.to_string(), "state": EntryState::Discarded.as_str(), "reason": note })))
}

fn key(text: &str) -> Result<EntryKey, Problem> {
    text.parse().map_err(|_no_key_of_ours| missing())
}

fn missing() -> Problem {
    Problem::new(
        Kind::NotFound,
        "the outbox has no such entry, or no longer: what was sent is known for 7 days",
    )
}

fn not_failed(now: EntryState) -> Problem {
    let now = now.as_str();
    let detail = format!(
        "this entry is {now}: only what was given up, or waits after a failure, is sent again by hand"
    );
    Problem::new(Kind::Conflict, detail).with("state", now)
}

fn not_parked(now: EntryState) -> Problem {
    let detail = format!("this entry is {}: only what was given up is discarded", now.as_str());
    Problem::new(Kind::Conflict, detail).with("state", now.as_str())
}

fn note(body: &JsonObject) -> Result<String, Problem> {
    let mut fields = body.fields()?;
    let note = fields.parsed("note", |note| match note.trim().chars().count() {
        1..=MAX_NOTE_CHARS => Ok(note.trim().to_owned()),
        _ => Err(Fault::new("note", "length", format!("'note' has 1 to {MAX_NOTE_CHARS} characters"))),
    });
    let note = fields.required("note", note);
    fields.refuse_unknown(&["note"]);
    match note {
        Some(note) if fields.faults.is_empty() => Ok(note),
        _ => Err(fields.faults.into()),
    }
}

impl AdminState {
    /// The queues of `entries`; those that are not registered any more are left out.
    async fn queues_of(
        &self,
        entries: &[OutboxEntry],
    ) -> Result<BTreeMap<QueueId, Arc<Queue>>, CatalogError> {
        let mut queues = BTreeMap::new();
        for id in entries.iter().map(|entry| entry.queue).collect::<BTreeSet<_>>() {
            if let Some(queue) = self.catalog.queue_by_id(id).await? {
                queues.insert(id, queue);
            }
        }
        Ok(queues)
    }
}

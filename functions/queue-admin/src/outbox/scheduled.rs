use std::sync::Arc;

use api::{Caller, Kind, PathText, Problem};
use axum::Json;
use axum::extract::State;
use domain::{EntryKey, EntryState, MessageId, Names, OutboxEntry, Queue, Scope};
use http::StatusCode;
use serde_json::{Value, json};
use zstorage::Cancelled;

use super::documents;
use crate::AdminState;

/// `GET message/{id}`: how a message stands that was published for a date. For those who may publish to its queue, or see
/// what was given up; without its body.
pub(crate) async fn read(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<Json<Value>, Problem> {
    let (_, entry, queue) = state.scheduled(&caller, &id, &[Scope::DeadLetterRead]).await?;
    let mut document = documents::of_message(&entry, queue.as_deref());
    // Once somebody began to send it, the date is the past's.
    let is_untouched = entry.state == EntryState::Scheduled && entry.lease == 0;
    document["deliver-at"] = json!(entry.next_attempt_at.filter(|_| is_untouched).map(|at| at.to_string()));
    Ok(Json(document))
}

/// `DELETE message/{id}`: a message that was published for a date is not sent; 409 once somebody began to.
pub(crate) async fn cancel(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<StatusCode, Problem> {
    let (id, ..) = state.scheduled(&caller, &id, &[]).await?;
    match state.outbox.cancel(id).await? {
        Cancelled::Done => Ok(StatusCode::NO_CONTENT),
        Cancelled::TooLate => {
            let detail = "this message was sent, or is being sent, and cannot be taken back";
            Err(Problem::new(Kind::Conflict, detail))
        }
        Cancelled::Unknown => Err(unknown(&caller, &[])),
    }
}

impl AdminState {
    /// A message for a date, with its queue, for a caller who may publish to that queue or whom one of `others` covers.
    async fn scheduled(
        &self,
        caller: &Caller,
        id: &str,
        others: &[Scope],
    ) -> Result<(MessageId, OutboxEntry, Option<Arc<Queue>>), Problem> {
        let entry = match id.parse::<MessageId>() {
            Ok(id) => self.outbox.entry(&EntryKey::Scheduled(id)).await?.map(|entry| (id, entry)),
            Err(_no_id_of_ours) => None,
        };
        let (id, entry) = entry.ok_or_else(|| unknown(caller, others))?;
        let queue = self.catalog.queue_by_id(entry.queue).await?;
        if !covers_one(caller, others) {
            let names = queue.as_ref().map_or(Names::Any, |queue| Names::One(queue.name.clone()));
            caller.require(&Scope::QueuePublish(names))?;
        }
        Ok((id, entry, queue))
    }
}

fn covers_one(caller: &Caller, scopes: &[Scope]) -> bool {
    scopes.iter().any(|scope| caller.scopes.cover(scope))
}

/// 404 for those who would see it if it were there, 403 for all others.
fn unknown(caller: &Caller, others: &[Scope]) -> Problem {
    const WHAT: &str = "message of this id that was published for a date";
    if covers_one(caller, others) {
        return Problem::new(Kind::NotFound, format!("there is no {WHAT}"));
    }
    caller.unknown(&Scope::QueuePublish(Names::Any), WHAT)
}

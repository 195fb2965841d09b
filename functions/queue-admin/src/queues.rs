use std::str::FromStr;
use std::sync::Arc;

use api::{Caller, Kind, PathText, Problem, QueryText};
use axum::Json;
use axum::extract::State;
use domain::{Engine, Fault, Faults, Names, Queue, QueueId, QueueName, Scope, WorkerMode};
use http::StatusCode;
use serde_json::{Value, json};
use zstorage::Cursor;

use crate::brokers::mapped_by;
use crate::{AdminState, documents, problems};

/// A page has so many entries unless asked otherwise, and at most [`MAX_PAGE`].
const DEFAULT_PAGE: usize = 25;
const MAX_PAGE: usize = 100;

/// A page has at most this many bytes; Lambda answers with 6 MB at most. A queue has 64 KB and a little more.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// `GET queue`: a page of the queues that the key may read, with their health.
pub(crate) async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    mut query: QueryText,
) -> Result<Json<Value>, Problem> {
    let every = Scope::QueueRead(Names::Any);
    if !caller.scopes.could_cover(&every) {
        caller.require(&every)?;
    }
    let search = query.take("search");
    let (limit, cursor) = page::<QueueId>(query, &["search", "limit", "cursor"])?;
    let page = state.catalog.list_queues(search.as_deref(), limit, cursor.as_ref()).await?;
    let queues: Vec<Queue> =
        page.items.into_iter().filter(|queue| caller.scopes.cover(&Scope::read(&queue.name))).collect();
    let health = state.health_of(&queues).await;
    let documents: Vec<Value> =
        queues.iter().zip(health).map(|(queue, health)| state.document(queue, health)).collect();
    let fitting = fitting(&documents);
    let cursor = match queues.get(fitting.saturating_sub(1)).filter(|_| fitting < documents.len()) {
        Some(last) => Some(last.id.to_string()),
        None => page.next.map(|cursor| cursor.to_string()),
    };
    Ok(Json(json!({ "queues": documents[..fitting], "cursor": cursor })))
}

/// How many of `documents` one answer carries: with their schemas a hundred queues are more than Lambda lets through.
fn fitting(documents: &[Value]) -> usize {
    let mut bytes = 0;
    let fit = documents.iter().take_while(|document| {
        bytes += document.to_string().len();
        bytes <= MAX_PAGE_BYTES
    });
    fit.count()
}

/// `GET queue/{id}`
pub(crate) async fn by_id(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<Json<Value>, Problem> {
    let found = state.fresh(&id).await?.filter(|queue| caller.scopes.cover(&Scope::read(&queue.name)));
    let queue = found.ok_or_else(|| caller.unknown(&Scope::QueueRead(Names::Any), "queue of this id"))?;
    Ok(Json(state.with_health(&queue).await))
}

/// `GET queue/a/{name}`
pub(crate) async fn by_name(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(name): PathText,
) -> Result<Json<Value>, Problem> {
    let unknown = |scope: &Scope| caller.unknown(scope, "queue of this name");
    let name = QueueName::parse(&name).map_err(|_no_name| unknown(&Scope::QueueRead(Names::Any)))?;
    let scope = Scope::read(&name);
    caller.require(&scope)?;
    let known = state.catalog.queue_by_name(&name).await?.ok_or_else(|| unknown(&scope))?;
    let queue = state.catalog.fresh_queue(known.id).await?.filter(|queue| queue.name == name);
    let queue = queue.ok_or_else(|| unknown(&scope))?;
    Ok(Json(state.with_health(&queue).await))
}

/// `POST queue/{id}/pause`: the worker stops receiving, soon.
pub(crate) async fn pause(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<(StatusCode, Json<Value>), Problem> {
    state.switch(&caller, &id, false).await
}

/// `POST queue/{id}/resume`: the worker receives again, soon.
pub(crate) async fn resume(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<(StatusCode, Json<Value>), Problem> {
    state.switch(&caller, &id, true).await
}

/// Reads `limit` and `cursor` of a list of things whose ids are `Id`, and refuses all parameters but `known`, whose others
/// were taken before.
pub(crate) fn page<Id: FromStr + ToString>(
    mut query: QueryText,
    known: &[&str],
) -> Result<(usize, Option<Cursor>), Problem> {
    let mut faults = Faults::none();
    let limit = query.take("limit").map(|limit| match limit.parse::<usize>() {
        Ok(limit) if (1..=MAX_PAGE).contains(&limit) => Ok(limit),
        _ => Err(Fault::new("limit", "range", format!("'limit' is 1 to {MAX_PAGE}"))),
    });
    let cursor = query.take("cursor").map(|cursor| {
        Cursor::of::<Id>(&cursor).map_err(|error| Fault::new("cursor", "cursor", error.to_string()))
    });
    let limit = limit.and_then(|limit| faults.take(limit)).unwrap_or(DEFAULT_PAGE);
    let cursor = cursor.and_then(|cursor| faults.take(cursor));
    query.refuse_unknown(known, &mut faults);
    faults.into_result()?;
    Ok((limit, cursor))
}

impl AdminState {
    /// The queue of an id as it is stored now; a text that is no id has none.
    async fn fresh(&self, id: &str) -> Result<Option<Arc<Queue>>, Problem> {
        match id.parse::<QueueId>() {
            Ok(id) => Ok(self.catalog.fresh_queue(id).await?),
            Err(_no_id_of_ours) => Ok(None),
        }
    }

    /// The queue of an id, if the caller may change it.
    pub(crate) async fn to_change(&self, caller: &Caller, id: &str) -> Result<Arc<Queue>, Problem> {
        // Told as one that is not there: whoever may not touch a queue does not learn its name by its id.
        let found = self.fresh(id).await?.filter(|queue| caller.scopes.cover(&Scope::write(&queue.name)));
        found.ok_or_else(|| caller.unknown(&Scope::QueueWrite(Names::Any), "queue of this id"))
    }

    async fn switch(
        &self,
        caller: &Caller,
        id: &str,
        on: bool,
    ) -> Result<(StatusCode, Json<Value>), Problem> {
        let queue = self.to_change(caller, id).await?;
        let Some(mapping) = &queue.mapping else {
            let detail = match (queue.engine(), queue.worker) {
                (Engine::Kafka | Engine::RabbitMq, WorkerMode::Attached) => format!(
                    "the mapping of a queue of Kafka or RabbitMQ is not ours to switch: on AWS disable or enable the event source \
                     mapping itself, or change the {}; on one's own machine it runs as long as the house does",
                    mapped_by(queue.engine())
                ),
                _ => "no worker receives from this queue, so there is nothing to pause or resume".to_owned(),
            };
            return Err(Problem::new(Kind::Conflict, detail));
        };
        let switched = self.mappings.set_enabled(mapping, on).await;
        switched.map_err(|error| problems::of_engine(&error, "Send the same request again"))?;
        let wanted = if on { "enabled" } else { "disabled" };
        let document = json!({ "id": queue.id.to_string(), "name": queue.name.as_str(), "mapping": "changing", "wanted": wanted });
        Ok((StatusCode::ACCEPTED, Json(document)))
    }

    async fn with_health(&self, queue: &Queue) -> Value {
        let health = self.health_of(std::slice::from_ref(queue)).await.pop();
        self.document(queue, health.unwrap_or_default())
    }

    fn document(&self, queue: &Queue, health: Value) -> Value {
        let mut document = documents::of_queue(queue, &self.settings);
        document["health"] = health;
        document
    }
}

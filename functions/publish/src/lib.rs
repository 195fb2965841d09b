//! `publish`: a message, or a batch, over HTTP onto a queue.
//!
//! **200 only when the engine has the message**; what it refused is kept as a letter and the answer is 503. What is for a later
//! date is kept in the outbox, and the answer is 202.

mod batch;
mod options;
mod problems;
mod start;

use api::{BASE, Body, Caller, PathText, Problem, QueryText};
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use delivery::{NewMessage, Published, Publisher};
use domain::{Names, Payload, Queue, QueueId, QueueName, Scope};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use zstorage::Catalog;

pub use start::start;

/// What the routes stand on.
#[derive(Clone)]
pub struct PublishState {
    /// Where queues are found.
    pub catalog: Catalog,
    /// What sends.
    pub publisher: Publisher,
}

/// The routes `POST .../queue/{id}/publish`, `.../queue/a/{name}/publish`, and `.../batch` beneath each; without
/// authentication and fallback, which `api::serve` adds.
pub fn router(state: PublishState) -> Router {
    Router::new()
        .route(&format!("{BASE}/queue/{{id}}/publish"), post(publish_by_id))
        .route(&format!("{BASE}/queue/a/{{name}}/publish"), post(publish_by_name))
        .route(&format!("{BASE}/queue/{{id}}/publish/batch"), post(batch::by_id))
        .route(&format!("{BASE}/queue/a/{{name}}/publish/batch"), post(batch::by_name))
        .with_state(state)
}

async fn publish_by_id(
    State(state): State<PublishState>,
    caller: Caller,
    PathText(id): PathText,
    query: QueryText,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let queue = state.queue_by_id(&caller, &id).await?;
    state.publish(&caller, &queue, query, &headers, &body).await
}

async fn publish_by_name(
    State(state): State<PublishState>,
    caller: Caller,
    PathText(name): PathText,
    query: QueryText,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let queue = state.queue_by_name(&caller, &name).await?;
    state.publish(&caller, &queue, query, &headers, &body).await
}

impl PublishState {
    async fn publish(
        &self,
        caller: &Caller,
        queue: &Queue,
        query: QueryText,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response, Problem> {
        let (options, mut faults) = options::of_request(headers, query);
        let payload = match Payload::parse(body, self.publisher.max_body_bytes(queue).await) {
            Ok(payload) => payload,
            Err(of_body) if of_body.0.iter().any(|f| matches!(f.code, "not-json" | "too-large")) => {
                return Err(of_body.into());
            }
            Err(of_body) => {
                faults.0.extend(options.faults(queue).0);
                faults.0.extend(of_body.0);
                return Err(faults.into());
            }
        };
        if !faults.is_empty() {
            faults.0.extend(options.faults(queue).0);
            return Err(faults.into());
        }
        let published = self.publisher.publish(caller.key, queue, NewMessage { payload, options }).await;
        let published = published.map_err(problems::of)?;
        Ok((status(&published), Json(Value::Object(answer(&published)))).into_response())
    }

    async fn queue_by_id(&self, caller: &Caller, id: &str) -> Result<Arc<Queue>, Problem> {
        let found = match id.parse::<QueueId>() {
            Ok(id) => self.catalog.queue_by_id(id).await?,
            Err(_no_id_of_ours) => None,
        };
        // Told as one that is not there: whoever may not publish to a queue does not learn its name by its id.
        let found = found.filter(|queue| caller.scopes.cover(&Scope::publish(&queue.name)));
        found.ok_or_else(|| caller.unknown(&Scope::QueuePublish(Names::Any), "queue of this id"))
    }

    async fn queue_by_name(&self, caller: &Caller, name: &str) -> Result<Arc<Queue>, Problem> {
        let unknown = |scope: &Scope| caller.unknown(scope, "queue of this name");
        let name = QueueName::parse(name).map_err(|_no_name| unknown(&Scope::QueuePublish(Names::Any)))?;
        let scope = Scope::publish(&name);
        caller.require(&scope)?;
        self.catalog.queue_by_name(&name).await?.ok_or_else(|| unknown(&scope))
    }
}

/// 202 for what is kept for its date: nobody has it yet.
fn status(published: &Published) -> StatusCode {
    if published.deliver_at.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK }
}

/// The three keys that clients hold on to; nothing else may stand beside them. A message that is kept for its date has that in place
/// of the engine's id.
fn answer(published: &Published) -> serde_json::Map<String, Value> {
    let deliver_at = published.deliver_at.map(|date| ("deliver-at", date.to_string()));
    [
        Some(("message-id", published.message_id.to_string())),
        published.engine_id.clone().map(|engine_id| (published.engine.id_name(), engine_id)),
        Some(("queue-id", published.queue_id.to_string())),
        deliver_at,
    ]
    .into_iter()
    .flatten()
    .map(|(key, value)| (key.to_owned(), json!(value)))
    .collect()
}

#[cfg(test)]
mod tests {
    use domain::{Engine, MessageId};
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_engines_id_has_the_engines_name() {
        let now = Timestamp::UNIX_EPOCH;
        let check =
            |engine: Engine, engine_id: Option<&str>, deliver_at: Option<Timestamp>, expect: &[&str]| {
                let published = Published {
                    message_id: MessageId::new(now, &mut rand::rng()),
                    engine,
                    engine_id: engine_id.map(str::to_owned),
                    queue_id: QueueId::new(now, &mut rand::rng()),
                    deliver_at,
                    replayed: false,
                };
                let answer = answer(&published);
                let mut keys: Vec<_> = answer.keys().map(String::as_str).collect();
                keys.sort_unstable();
                assert_eq!(keys, expect);
                assert_eq!(engine_id, answer.get(engine.id_name()).and_then(Value::as_str));
            };
        check(Engine::Sqs, Some("x"), None, &["message-id", "queue-id", "sqs-id"]);
        check(Engine::Kafka, Some("x"), None, &["kafka-id", "message-id", "queue-id"]);
        check(Engine::RabbitMq, Some("x"), None, &["amqp-id", "message-id", "queue-id"]);
        check(Engine::RabbitMq, None, Some(now), &["deliver-at", "message-id", "queue-id"]);
    }
}

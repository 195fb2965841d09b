//! From an HTTP request in AWS JSON 1.0 to one operation and back.

use super::{SqsEngine, queues, receive, redrive, refusal::Refusal, send, settle, store::Turn};
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const TARGET: &str = "AmazonSQS.";

/// Answers one request. Reached under any path: SDKs post to `/`, some tools to the queue's own URL.
pub(super) async fn answer(State(engine): State<SqsEngine>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix(TARGET).unwrap_or_default();
    let outcome = match operation {
        "ReceiveMessage" => match read(&body) {
            Ok(request) => receive::poll(&engine, request).await,
            Err(refusal) => Err(refusal),
        },
        _ => {
            let operation = operation.to_owned();
            engine.turn(move |turn| run(turn, &operation, &body)).await
        }
    };
    let request_id = ("x-amzn-requestid", uuid::Uuid::new_v4().to_string());
    let content_type = (header::CONTENT_TYPE.as_str(), CONTENT_TYPE.to_owned());
    match outcome {
        Ok(answer) => (StatusCode::OK, [content_type, request_id], answer.to_string()).into_response(),
        Err(refusal) => {
            let (status, fault) = if refusal.sender_fault {
                (StatusCode::BAD_REQUEST, "Sender")
            } else {
                (StatusCode::INTERNAL_SERVER_ERROR, "Receiver")
            };
            let code = ("x-amzn-query-error", format!("{};{fault}", refusal.code));
            (status, [content_type, request_id, code], refusal.body().to_string()).into_response()
        }
    }
}

impl SqsEngine {
    /// Runs one operation on a blocking thread, and rings the bells once it is committed.
    pub(super) async fn turn<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Turn<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let store = Arc::clone(&self.store);
        let ran = tokio::task::spawn_blocking(move || store.turn(operation)).await;
        let (answer, to_ring) = ran.unwrap_or_else(|error| {
            tracing::error!(%error, "the local SQS engine failed inside a request");
            Err(Refusal::internal())
        })?;
        self.bells.ring(&to_ring);
        Ok(answer)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    // By way of a value, so that an error names the field and not a position in the text.
    let value: Value = if body.is_empty() { json!({}) } else { serde_json::from_slice(body)? };
    Ok(serde_json::from_value(value)?)
}

/// All operations but `ReceiveMessage`, which may wait.
fn run(turn: &Turn<'_>, operation: &str, body: &[u8]) -> Result<Value, Refusal> {
    match operation {
        "CreateQueue" => queues::create(turn, read(body)?),
        "GetQueueUrl" => queues::get_url(turn, read(body)?),
        "ListQueues" => queues::list(turn, read(body)?),
        "DeleteQueue" => queues::delete(turn, read(body)?),
        "PurgeQueue" => queues::purge(turn, read(body)?),
        "GetQueueAttributes" => queues::get_attributes(turn, read(body)?),
        "SetQueueAttributes" => queues::set_attributes(turn, read(body)?),
        "TagQueue" => queues::tag(turn, read(body)?),
        "UntagQueue" => queues::untag(turn, read(body)?),
        "ListQueueTags" => queues::list_tags(turn, read(body)?),
        "SendMessage" => send::send(turn, read(body)?),
        "SendMessageBatch" => send::send_batch(turn, read(body)?),
        "DeleteMessage" => settle::delete(turn, read(body)?),
        "DeleteMessageBatch" => settle::delete_batch(turn, read(body)?),
        "ChangeMessageVisibility" => settle::change_visibility(turn, read(body)?),
        "ChangeMessageVisibilityBatch" => settle::change_visibility_batch(turn, read(body)?),
        "ListDeadLetterSourceQueues" => redrive::list_sources(turn, read(body)?),
        "StartMessageMoveTask" => redrive::start_move(turn, read(body)?),
        "ListMessageMoveTasks" => redrive::list_moves(turn, read(body)?),
        "CancelMessageMoveTask" => redrive::cancel_move(turn, read(body)?),
        _ => Err(Refusal::unknown_operation(operation)),
    }
}

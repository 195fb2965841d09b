//! From one HTTP request to one dynoxide call and back (AWS JSON 1.0).

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const TARGETS: [&str; 2] = ["DynamoDB_20120810.", "DynamoDBStreams_20120810."];

/// One line per operation: its name in the API, and the dynoxide call that answers it.
macro_rules! operations {
    ($($name:literal => $call:ident,)*) => {
        /// Runs one operation. `None`: there is no such operation.
        fn run(database: &Database, operation: &str, body: &[u8]) -> Option<Result<String, DynoxideError>> {
            Some(match operation {
                $($name => read(body).and_then(|request| database.$call(request)).and_then(|answer| write(&answer)),)*
                _ => return None,
            })
        }
    };
}

operations! {
    "BatchExecuteStatement" => batch_execute_statement,
    "BatchGetItem" => batch_get_item,
    "BatchWriteItem" => batch_write_item,
    "CreateTable" => create_table,
    "DeleteItem" => delete_item,
    "DeleteTable" => delete_table,
    "DescribeStream" => describe_stream,
    "DescribeTable" => describe_table,
    "DescribeTimeToLive" => describe_time_to_live,
    "ExecuteStatement" => execute_statement,
    "ExecuteTransaction" => execute_transaction,
    "GetItem" => get_item,
    "GetRecords" => get_records,
    "GetShardIterator" => get_shard_iterator,
    "ListStreams" => list_streams,
    "ListTables" => list_tables,
    "ListTagsOfResource" => list_tags_of_resource,
    "PutItem" => put_item,
    "Query" => query,
    "Scan" => scan,
    "TagResource" => tag_resource,
    "TransactGetItems" => transact_get_items,
    "TransactWriteItems" => transact_write_items,
    "UntagResource" => untag_resource,
    "UpdateItem" => update_item,
    "UpdateTable" => update_table,
    "UpdateTimeToLive" => update_time_to_live,
}

/// What may leave a record in a stream.
const WRITES: &[&str] = &[
    "BatchExecuteStatement",
    "BatchWriteItem",
    "DeleteItem",
    "ExecuteStatement",
    "ExecuteTransaction",
    "PutItem",
    "TransactWriteItems",
    "UpdateItem",
];

/// What requests are answered from.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) database: Database,
    /// Counts writes.
    pub(super) writes: watch::Sender<u64>,
}

/// Answers one request. The call runs on a blocking thread: a safe commit waits for the disk.
pub(super) async fn answer(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation =
        TARGETS.iter().find_map(|prefix| target.strip_prefix(prefix)).unwrap_or_default().to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let outcome = run(&desk.database, &operation, &body)?;
        if outcome.is_ok() && WRITES.contains(&operation.as_str()) {
            desk.writes.send_modify(|count| *count += 1);
        }
        Some(outcome.map_err(|error| refusal(&operation, error)))
    });
    match ran.await {
        Ok(Some(Ok(json))) => respond(StatusCode::OK, json),
        Ok(Some(Err((status, json)))) => respond(status, json),
        Ok(None) => respond(
            StatusCode::BAD_REQUEST,
            r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#.to_owned(),
        ),
        Err(error) => {
            tracing::error!(%error, "the local DynamoDB engine failed inside a request");
            let json = r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"The engine failed inside this request."}"#;
            respond(StatusCode::INTERNAL_SERVER_ERROR, json.to_owned())
        }
    }
}

fn respond(status: StatusCode, json: String) -> Response {
    let request_id = uuid::Uuid::new_v4().to_string();
    let headers =
        [(header::CONTENT_TYPE.as_str(), CONTENT_TYPE.to_owned()), ("x-amzn-requestid", request_id)];
    (status, headers, json).into_response()
}

/// Reads a request. Dynoxide's types mark what they refuse with a prefix that names the kind of error.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let said = text.rsplit_once(" at line ").map_or(text.as_str(), |(said, _)| said);
        let after = |mark: &str| said.strip_prefix(mark).map(str::to_owned);
        if let Some(message) = after("VALIDATION_REQUEST:") {
            DynoxideError::EnvelopedValidation(message)
        } else if let Some(message) = after("VALIDATION:").or_else(|| after("VALIDATION_AS_READ:")) {
            DynoxideError::ValidationException(message)
        } else if let Some(message) = after("SERIALIZATION:").or_else(|| after("SERIALIZATION_AS_READ:")) {
            DynoxideError::SerializationException(message)
        } else if error.is_data()
            && ["missing field", "unknown variant", "AttributeValue"].iter().any(|w| said.contains(w))
        {
            DynoxideError::ValidationException(said.to_owned())
        } else {
            DynoxideError::SerializationException(said.to_owned())
        }
    })
}

fn write<T: Serialize>(answer: &T) -> Result<String, DynoxideError> {
    serde_json::to_string(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// The status and body that stand for an error. On the single-item writes AWS announces a refused request value
/// with an envelope, elsewhere not.
fn refusal(operation: &str, error: DynoxideError) -> (StatusCode, String) {
    let error = match error {
        DynoxideError::EnvelopedValidation(message)
            if matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem") =>
        {
            DynoxideError::ValidationException(format!("1 validation error detected: {message}"))
        }
        DynoxideError::EnvelopedValidation(message) => DynoxideError::ValidationException(message),
        other => other,
    };
    let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() {
        tracing::error!(%error, dynamodb.operation = operation, "the local DynamoDB engine failed");
    }
    (status, error.to_json())
}

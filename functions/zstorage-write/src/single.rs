use api::{BASE, Body, Caller, JsonObject, PathText, Problem, QueryText, etag, record_document};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use delivery::Answer;
use domain::{Operation, Scope};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use zstorage::OpenTable;

use crate::options::Options;
use crate::{WriteState, given, messages, problems};

/// Said of an answer that was given before, under the same idempotency key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// `POST record/new`: makes a record.
pub(crate) async fn create(
    State(state): State<WriteState>,
    caller: Caller,
    query: QueryText,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Response, Problem> {
    let mut request = body.fields()?;
    let name = request.text("apiName");
    let table = match request.required("apiName", name) {
        Some(name) => Some(state.tables.named(&caller, &name, Scope::RecordWrite).await?),
        None => None,
    };
    let (options, mut faults) = Options::without_version(
        &headers,
        query,
        "a record that is yet to be made has no version; leave If-Match out",
    );
    let values = given::fields(&mut request);
    request.refuse_unknown(&["apiName", "fields"]);
    faults.0.extend(request.faults.0);
    let Some(table) = table.filter(|_| faults.is_empty()) else { return Err(faults.into()) };
    let by = options.by(&caller, "POST", "record/new", body.as_bytes());
    let written = state.writer.create(&table, &values, &by, options.waits).await.map_err(problems::of)?;
    Ok(answer(&caller, &table, &written, options.waits))
}

/// `PUT record/{id}`: changes the fields that are given and keeps the rest; `null` clears.
pub(crate) async fn update(
    State(state): State<WriteState>,
    caller: Caller,
    PathText(id): PathText,
    query: QueryText,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Response, Problem> {
    let (table, id) = state.tables.of_record(&caller, &id, Scope::RecordWrite).await?;
    let (options, mut faults) = Options::of_change(&headers, query);
    let mut request = body.fields()?;
    let values = given::fields(&mut request);
    request.refuse_unknown(&["fields"]);
    faults.0.extend(request.faults.0);
    faults.into_result()?;
    let by = options.by(&caller, "PUT", &id.to_string(), body.as_bytes());
    let written = state.writer.update(&table, id, &values, options.if_match, &by, options.waits).await;
    Ok(answer(&caller, &table, &written.map_err(problems::of)?, options.waits))
}

/// `DELETE record/{id}`: removes a record.
pub(crate) async fn delete(
    State(state): State<WriteState>,
    caller: Caller,
    PathText(id): PathText,
    query: QueryText,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let (table, id) = state.tables.of_record(&caller, &id, Scope::RecordWrite).await?;
    let (options, faults) = Options::of_change(&headers, query);
    faults.into_result()?;
    let by = options.by(&caller, "DELETE", &id.to_string(), &body);
    let written = state.writer.delete(&table, id, options.if_match, &by, options.waits).await;
    Ok(answer(&caller, &table, &written.map_err(problems::of)?, options.waits))
}

/// How a write of this kind is answered when it was done and nothing is said of messages.
pub(crate) fn status(operation: Operation) -> StatusCode {
    match operation {
        Operation::Create => StatusCode::CREATED,
        Operation::Update => StatusCode::OK,
        Operation::Delete => StatusCode::NO_CONTENT,
    }
}

fn answer(caller: &Caller, table: &OpenTable, done: &Answer, waits: bool) -> Response {
    let written = &done.written;
    let record = &written.record;
    let messages = messages::shown(table, done, waits);
    let mut response = match (written.operation, messages) {
        (Operation::Delete, None) => status(written.operation).into_response(),
        // Without content there would be no place for them.
        (Operation::Delete, Some(messages)) => {
            Json(json!({ "id": record.id.to_string(), "messages": messages })).into_response()
        }
        (Operation::Create | Operation::Update, messages) => {
            let mut document = record_document(caller, &table.schema, record, None);
            document.extend(messages.map(|messages| ("messages".to_owned(), messages)));
            let mut response = (status(written.operation), Json(Value::Object(document))).into_response();
            response.headers_mut().insert(header::ETAG, etag(record.version));
            response
        }
    };
    let headers = response.headers_mut();
    if written.operation == Operation::Create {
        let place = HeaderValue::try_from(format!("{BASE}/record/{}", record.id));
        headers.insert(header::LOCATION, place.expect("an id is visible ASCII"));
    }
    if written.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

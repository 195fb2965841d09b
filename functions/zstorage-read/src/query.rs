use api::{Caller, JsonObject, MAX_ANSWER_BYTES, Problem, answer_bytes, record_document};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::Scope;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use zstorage::{Explain, Found, OpenTable};

use crate::wanted::Shape;
use crate::{ReadState, explain, problems, wanted};

/// `POST record/query`: a page of the records that a filter and a search find, in order.
pub(crate) async fn query(
    State(state): State<ReadState>,
    caller: Caller,
    body: JsonObject,
) -> Result<Response, Problem> {
    let mut request = body.fields()?;
    let name = request.text("apiName");
    let Some(name) = request.required("apiName", name) else { return Err(request.faults.into()) };
    let table = state.tables.named(&caller, &name, Scope::RecordRead).await?;
    let table = problems::unless_deleting(table)?;
    let (mut query, shape) = wanted::read(&mut request, table.schema.table());
    request.faults.into_result()?;
    let mut found = state.records.query(&table, &query).await.map_err(problems::of)?;
    loop {
        let answer = document(&caller, &table, &found, &shape).to_string();
        if answer_bytes(&answer) <= MAX_ANSWER_BYTES || found.records.len() < 2 {
            return Ok(([(CONTENT_TYPE, "application/json")], answer).into_response());
        }
        // Text full of quotation marks: what is small in the store is large in JSON. A shorter page holds less of it.
        query.limit = found.records.len() / 2;
        query.count = false;
        let shorter = state.records.query(&table, &query).await.map_err(problems::of)?;
        found = in_place_of(&found, shorter);
    }
}

/// The shorter page, with what was counted for the longer one and the price of both.
fn in_place_of(longer: &Found, shorter: Found) -> Found {
    let explain = Explain {
        items_read: longer.explain.items_read + shorter.explain.items_read,
        read_units: longer.explain.read_units + shorter.explain.read_units,
        calls: longer.explain.calls + shorter.explain.calls,
        ..shorter.explain
    };
    Found { count: longer.count, explain, ..shorter }
}

fn document(caller: &Caller, table: &OpenTable, found: &Found, shape: &Shape) -> Value {
    let only = shape.only.as_deref();
    let shown = |record| Value::Object(record_document(caller, &table.schema, record, only));
    let mut answer = Map::from_iter([("records".to_owned(), found.records.iter().map(shown).collect())]);
    if let Some(cursor) = &found.cursor {
        answer.insert("cursor".to_owned(), cursor.as_str().into());
    }
    if let Some(count) = found.count {
        answer.insert("count".to_owned(), count.into());
    }
    if shape.explain {
        answer.insert("explain".to_owned(), explain::document(&found.explain));
    }
    Value::Object(answer)
}

use api::{Caller, JsonObject, Kind, PathText, PathTexts, Problem};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Index, Scope, Table};
use http::StatusCode;
use http::header::LOCATION;
use serde_json::Value;

use crate::wanted::WantedIndex;
use crate::{SchemaState, design, documents};

/// `POST table/{apiName}/index`: one more index. A job builds it from what is stored; no query uses it before it is whole.
pub(crate) async fn add(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    body: JsonObject,
) -> Result<Response, Problem> {
    state.table(&caller, &name, Scope::TableWrite).await?;
    let wanted = WantedIndex::read(body.fields()?)?;
    let schema = state
        .change(&caller, &name, |table, _, job| Ok(design::with_index(table, &wanted, &job.to_string())?))
        .await?;
    let table = schema.table();
    let id = table.next_index.saturating_sub(1);
    let location = format!("{}/table/{}/index/{id}", api::BASE, table.api_name);
    let document = state.changed_document(table).await?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(document)).into_response())
}

/// `GET table/{apiName}/index/{id}`: how far it is.
pub(crate) async fn read(
    State(state): State<SchemaState>,
    caller: Caller,
    PathTexts(name, index): PathTexts,
) -> Result<Json<Value>, Problem> {
    let schema = state.table(&caller, &name, Scope::TableRead).await?;
    Ok(Json(documents::of_index(schema.table(), known(schema.table(), &index)?)))
}

/// `DELETE table/{apiName}/index/{id}`: also of one that is being built or has failed.
pub(crate) async fn remove(
    State(state): State<SchemaState>,
    caller: Caller,
    PathTexts(name, index): PathTexts,
) -> Result<StatusCode, Problem> {
    let edit = |table: &Table| -> Result<design::Edit, Problem> {
        let gone = known(table, &index)?.id;
        let mut table = table.clone();
        table.indexes.retain(|index| index.id != gone);
        Ok(table.into())
    };
    state.change(&caller, &name, |table, _, _| edit(table)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The index of this number. A field's guard is none: it comes and goes with the field's `unique`.
fn known<'t>(table: &'t Table, id: &str) -> Result<&'t Index, Problem> {
    let is_it = |index: &&Index| index.slot.is_some() && index.id.0.to_string() == id;
    let missing = || Problem::new(Kind::NotFound, "the table has no index of this number");
    table.indexes.iter().find(is_it).ok_or_else(missing)
}

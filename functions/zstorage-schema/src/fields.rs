use api::{Caller, Fields, IfMatch, JsonObject, Kind, PathText, PathTexts, Problem};
use axum::extract::State;
use axum::response::Response;
use domain::{Field, Scope, Table};
use http::StatusCode;

use crate::wanted::WantedField;
use crate::{SchemaState, answers, design, documents};

/// `POST table/{apiName}/field`: one more field. Stored records have no value in it until they are written.
pub(crate) async fn add(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    if_match: IfMatch,
    body: JsonObject,
) -> Result<Response, Problem> {
    state.table(&caller, &name, Scope::TableWrite).await?;
    let wanted = if_match.beside(WantedField::read(body.fields()?))?;
    let lookups = state.lookups(&caller, wanted.looks_up().into_iter()).await?;
    let edit = |table: &Table| Ok(design::with_field(table, &wanted, &lookups)?);
    let schema = state.change(&caller, &name, &if_match, |table, _, _| edit(table)).await?;
    let table = schema.table();
    let place = format!("table/{}/field/{}", table.api_name, wanted.api_name);
    Ok(answers::made(&place, table.version, state.changed_document(table).await?))
}

/// `PUT table/{apiName}/field/{name}`: what is not given stays, `null` clears. A new name is free: values are stored by number.
pub(crate) async fn change(
    State(state): State<SchemaState>,
    caller: Caller,
    PathTexts(name, field): PathTexts,
    if_match: IfMatch,
    body: JsonObject,
) -> Result<Response, Problem> {
    body.fields()?;
    let schema = state
        .change(&caller, &name, &if_match, |table, names, job| {
            let known = known(table, &field)?;
            let merged = documents::changed_field(table, known, names, body.text()?);
            let wanted = WantedField::read(Fields::read(&merged)?)?;
            let lookups = names.iter().map(|(prefix, name)| (name.clone(), *prefix)).collect();
            Ok(design::with_changed_field(table, known, &wanted, &lookups, &job.to_string())?)
        })
        .await?;
    let table = schema.table();
    Ok(answers::shown(table.version, state.changed_document(table).await?))
}

/// `DELETE table/{apiName}/field/{name}`: its values are out of sight at once and for ever.
pub(crate) async fn remove(
    State(state): State<SchemaState>,
    caller: Caller,
    PathTexts(name, field): PathTexts,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let edit = |table: &Table| Ok(design::without_field(table, known(table, &field)?)?);
    state.change(&caller, &name, &if_match, |table, _, _| edit(table)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn known<'t>(table: &'t Table, name: &str) -> Result<&'t Field, Problem> {
    let missing = || Problem::new(Kind::NotFound, "the table has no field of this name");
    table.field(name).ok_or_else(missing)
}

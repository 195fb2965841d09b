use api::{Caller, IfMatch, JsonObject, Kind, PathText, PathTexts, Problem};
use axum::extract::State;
use axum::response::Response;
use domain::{Index, Scope, Table};
use http::StatusCode;

use crate::wanted::WantedIndex;
use crate::{SchemaState, answers, design, documents};

/// `POST table/{apiName}/index`: one more index. A job builds it from what is stored; no query uses it before it is whole.
pub(crate) async fn add(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    if_match: IfMatch,
    body: JsonObject,
) -> Result<Response, Problem> {
    state.table(&caller, &name, Scope::TableWrite).await?;
    let wanted = if_match.beside(WantedIndex::read(body.fields()?))?;
    let schema = state
        .change(&caller, &name, &if_match, |table, _, job| {
            Ok(design::with_index(table, &wanted, &job.to_string())?)
        })
        .await?;
    let table = schema.table();
    let id = table.next_index.saturating_sub(1);
    let place = format!("table/{}/index/{id}", table.api_name);
    Ok(answers::made(&place, table.version, state.changed_document(table).await?))
}

/// `GET table/{apiName}/index/{id}`: how far it is.
pub(crate) async fn read(
    State(state): State<SchemaState>,
    caller: Caller,
    PathTexts(name, index): PathTexts,
) -> Result<Response, Problem> {
    let schema = state.table(&caller, &name, Scope::TableRead).await?;
    let table = schema.table();
    Ok(answers::shown(table.version, documents::of_index(table, known(table, &index)?)))
}

/// `DELETE table/{apiName}/index/{id}`: also of one that is being built or has failed.
pub(crate) async fn remove(
    State(state): State<SchemaState>,
    caller: Caller,
    PathTexts(name, index): PathTexts,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let edit = |table: &Table| -> Result<design::Edit, Problem> {
        let gone = known(table, &index)?.id;
        let mut table = table.clone();
        table.indexes.retain(|index| index.id != gone);
        Ok(table.into())
    };
    state.change(&caller, &name, &if_match, |table, _, _| edit(table)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The index of this number. A field's guard is none: it comes and goes with the field's `unique`.
fn known<'t>(table: &'t Table, id: &str) -> Result<&'t Index, Problem> {
    let is_it = |index: &&Index| index.slot.is_some() && index.id.0.to_string() == id;
    let missing = || Problem::new(Kind::NotFound, "the table has no index of this number");
    table.indexes.iter().find(is_it).ok_or_else(missing)
}

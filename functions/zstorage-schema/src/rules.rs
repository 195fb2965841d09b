use api::{Caller, Fields, IfMatch, JsonObject, Kind, PathText, PathTexts, Problem};
use axum::extract::State;
use axum::response::Response;
use domain::{Rule, Scope, Table};
use http::StatusCode;

use crate::{SchemaState, answers, design, documents, wanted};

/// `POST table/{apiName}/rule`: one more rule. Stored records meet it when they are written next.
pub(crate) async fn add(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    if_match: IfMatch,
    body: JsonObject,
) -> Result<Response, Problem> {
    state.table(&caller, &name, Scope::TableWrite).await?;
    let rule = if_match.beside(wanted::rule(body.fields()?))?;
    let edit = |table: &Table| Ok(design::with_rule(table, &rule));
    let schema = state.change(&caller, &name, &if_match, |table, _, _| edit(table)).await?;
    let table = schema.table();
    let place = format!("table/{}/rule/{}", table.api_name, rule.name);
    Ok(answers::made(&place, table.version, state.changed_document(table).await?))
}

/// `PUT table/{apiName}/rule/{name}`: what is not given stays.
pub(crate) async fn change(
    State(state): State<SchemaState>,
    caller: Caller,
    PathTexts(name, rule): PathTexts,
    if_match: IfMatch,
    body: JsonObject,
) -> Result<Response, Problem> {
    body.fields()?;
    let edit = |table: &Table| -> Result<design::Edit, Problem> {
        let known = known(table, &rule)?;
        let merged = documents::changed(&documents::of_rule(known), body.text()?);
        let wanted = wanted::rule(Fields::read(&merged)?)?;
        design::with_changed_rule(table, &known.name, &wanted).ok_or_else(missing)
    };
    let schema = state.change(&caller, &name, &if_match, |table, _, _| edit(table)).await?;
    let table = schema.table();
    Ok(answers::shown(table.version, state.changed_document(table).await?))
}

/// `DELETE table/{apiName}/rule/{name}`
pub(crate) async fn remove(
    State(state): State<SchemaState>,
    caller: Caller,
    PathTexts(name, rule): PathTexts,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let edit = |table: &Table| -> Result<design::Edit, Problem> {
        let gone = known(table, &rule)?.name.clone();
        let mut table = table.clone();
        table.rules.retain(|rule| rule.name != gone);
        Ok(table.into())
    };
    state.change(&caller, &name, &if_match, |table, _, _| edit(table)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn known<'t>(table: &'t Table, name: &str) -> Result<&'t Rule, Problem> {
    table.rules.iter().find(|rule| rule.name.as_str() == name).ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::new(Kind::NotFound, "the table has no rule of this name")
}

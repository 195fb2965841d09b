use api::{Caller, Fields, JsonObject, Kind, PathText, PathTexts, Problem};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Rule, Scope, Table};
use http::StatusCode;
use http::header::LOCATION;
use serde_json::Value;

use crate::{SchemaState, design, documents, wanted};

/// `POST table/{apiName}/rule`: one more rule. Stored records meet it when they are written next.
pub(crate) async fn add(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    body: JsonObject,
) -> Result<Response, Problem> {
    state.table(&caller, &name, Scope::TableWrite).await?;
    let rule = wanted::rule(body.fields()?)?;
    let schema = state.change(&caller, &name, |table, _, _| Ok(design::with_rule(table, &rule))).await?;
    let table = schema.table();
    let location = format!("{}/table/{}/rule/{}", api::BASE, table.api_name, rule.name);
    let document = state.changed_document(table).await?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(document)).into_response())
}

/// `PUT table/{apiName}/rule/{name}`: what is not given stays.
pub(crate) async fn change(
    State(state): State<SchemaState>,
    caller: Caller,
    PathTexts(name, rule): PathTexts,
    body: JsonObject,
) -> Result<Json<Value>, Problem> {
    let edit = |table: &Table| -> Result<design::Edit, Problem> {
        let known = known(table, &rule)?;
        let merged = documents::changed(&documents::of_rule(known), body.text()?);
        let wanted = wanted::rule(Fields::read(&merged)?)?;
        design::with_changed_rule(table, &known.name, &wanted).ok_or_else(missing)
    };
    let schema = state.change(&caller, &name, |table, _, _| edit(table)).await?;
    Ok(Json(state.changed_document(schema.table()).await?))
}

/// `DELETE table/{apiName}/rule/{name}`
pub(crate) async fn remove(
    State(state): State<SchemaState>,
    caller: Caller,
    PathTexts(name, rule): PathTexts,
) -> Result<StatusCode, Problem> {
    let edit = |table: &Table| -> Result<design::Edit, Problem> {
        let gone = known(table, &rule)?.name.clone();
        let mut table = table.clone();
        table.rules.retain(|rule| rule.name != gone);
        Ok(table.into())
    };
    state.change(&caller, &name, |table, _, _| edit(table)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn known<'t>(table: &'t Table, name: &str) -> Result<&'t Rule, Problem> {
    table.rules.iter().find(|rule| rule.name.as_str() == name).ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::new(Kind::NotFound, "the table has no rule of this name")
}

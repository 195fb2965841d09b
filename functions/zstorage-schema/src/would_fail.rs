use std::time::Duration;

use api::{Caller, IfMatch, JsonObject, PathText, Problem};
use axum::Json;
use axum::extract::State;
use domain::expression::{Expression, ExpressionFault, Names, Scene};
use domain::{Fault, Record, Scope, Table};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::SchemaState;
use crate::wanted::Trial;

/// So many at once.
const STEP: usize = 500;

/// After this time no more are read: the answer has to be on its way before the API gives up.
const WITHIN: Duration = Duration::from_secs(20);

/// So many records are named.
const EXAMPLES: usize = 10;

/// `POST table/{apiName}/rule/would-fail`: tries a rule on what is stored, as if each record were written as it is (for a rule
/// on creations alone: created; on deletions alone: deleted), and counts. It tells of values, so it asks for the right to
/// read records, too.
pub(crate) async fn would_fail(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    if_match: IfMatch,
    body: JsonObject,
) -> Result<Json<Value>, Problem> {
    let schema = state.table(&caller, &name, Scope::TableWrite).await?;
    caller.require(&Scope::record_read(&schema.table().api_name))?;
    if_match.require(schema.table().version)?;
    let trial = if_match.beside(Trial::read(body.fields()?))?;
    let expression = Expression::compile(&trial.expression, Names::OldAndNew, schema.table())
        .map_err(|fault| Fault::new("expression", "expression", told(&fault)))?;
    let open = state.open(schema.clone()).await?;
    let (mut read, mut failing, mut errors) = (0, 0, 0);
    let (mut examples, mut cursor) = (Vec::new(), None);
    let end = Instant::now() + WITHIN;
    let complete = loop {
        let scanned =
            state.records.scan(&open, cursor.as_deref(), STEP.min(state.trial_records - read)).await?;
        for record in &scanned.records {
            read += 1;
            let holds = holds(&expression, schema.table(), &trial, record);
            if holds != Ok(true) {
                failing += 1;
                errors += usize::from(holds.is_err());
                if examples.len() < EXAMPLES {
                    examples.push(json!({ "id": record.id.to_string(), "error": holds.err() }));
                }
            }
        }
        match scanned.cursor {
            None => break true,
            Some(_) if read >= state.trial_records || Instant::now() >= end => break false,
            next => cursor = next,
        }
    };
    Ok(Json(json!({
        "read": read,
        "complete": complete,
        "would-fail": failing,
        "errors": errors,
        "examples": examples,
    })))
}

/// Whether the rule lets the record pass; the error is what the expression met.
fn holds(expression: &Expression, table: &Table, trial: &Trial, record: &Record) -> Result<bool, String> {
    let stored = Some(&record.values);
    let (old, new) = match (trial.on.create, trial.on.update, trial.on.delete) {
        (_, true, _) => (stored, stored),
        (true, false, _) => (None, stored),
        (false, false, _) => (stored, None),
    };
    expression.holds(&Scene { table, old, new }).map_err(|error| error.to_string())
}

/// What is wrong with an expression, and where.
pub(crate) fn told(fault: &ExpressionFault) -> String {
    match fault.position {
        Some(at) => format!("character {at}: {}", fault.message),
        None => fault.message.clone(),
    }
}

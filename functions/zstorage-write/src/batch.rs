use std::collections::HashMap;

use api::{Caller, JsonObject, Kind, MAX_ANSWER_BYTES, Problem, QueryText, answer_bytes, record_document};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use delivery::{Answer, WriterError};
use domain::{Operation, RecordId, Scope, TablePrefix};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use zstorage::{Change, ChangeKind, OpenTable, WriteError};

use crate::operation::{Wanted, operations};
use crate::options::Options;
use crate::{WriteState, messages, problems, single};

/// Of an answer so much is left for what is not fields, bytes: what was written must not go unanswered.
const ROOM_FOR_THE_REST: usize = 800_000;

/// `POST record/batch`: all operations in one transaction, or each by itself.
pub(crate) async fn batch(
    State(state): State<WriteState>,
    caller: Caller,
    query: QueryText,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Response, Problem> {
    let instead = "of a batch each operation says this for itself: put 'if-match' into it";
    let (options, mut faults) = Options::without_version(&headers, query, instead);
    let mut request = body.fields()?;
    let atomic = request.flag("atomic");
    let atomic = request.required("atomic", atomic);
    let asked = operations(&mut request);
    request.refuse_unknown(&["atomic", "operations"]);
    faults.0.extend(request.faults.0);
    let Some(atomic) = atomic.filter(|_| faults.is_empty()) else { return Err(faults.into()) };
    let mut opened =
        Opened { state: &state, caller: &caller, named: HashMap::new(), holding: HashMap::new() };
    let mut results: Vec<Result<Value, Problem>> = Vec::with_capacity(asked.len());
    let (mut changes, mut places) = (Vec::new(), Vec::new());
    for (at, operation) in asked.into_iter().enumerate() {
        let result = match Wanted::read(operation) {
            Ok(wanted) => {
                let word = wanted.word();
                opened.change(wanted).await.map(|change| {
                    places.push((at, change.table.clone(), word));
                    changes.push(change);
                })
            }
            Err(faults) => Err(faults.into()),
        };
        results.push(result.map(|()| Value::Null));
    }
    if atomic && results.iter().any(Result::is_err) {
        return Err(refused(results));
    }
    let by = options.by(&caller, "POST", "record/batch", body.as_bytes());
    let written = if atomic {
        state.writer.atomic(changes, &by, options.waits).await
    } else {
        // Each keeps its place, so that a batch sent again is the same one even if more of it can be tried by then.
        let placed = places.iter().map(|(at, ..)| *at).zip(changes).collect();
        state.writer.each(placed, &by, options.waits).await
    };
    let written = written.map_err(problems::of_batch)?;
    let mut room = MAX_ANSWER_BYTES - ROOM_FOR_THE_REST;
    for ((at, table, word), written) in places.into_iter().zip(written) {
        results[at] = match written {
            Ok(done) => Ok(shown(&caller, &table, &done, options.waits, &mut room)),
            // Nothing is wrong with this one: it is not among what is told of a batch that was refused.
            Err(WriterError::Write(WriteError::Undone)) => Ok(Value::Null),
            Err(error) => Err(problems::of(error).within(word)),
        };
    }
    if atomic && results.iter().any(Result::is_err) {
        return Err(refused(results));
    }
    let status = if results.iter().all(Result::is_ok) { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    let results: Vec<Value> = results.into_iter().map(told).collect();
    Ok((status, Json(json!({ "results": results }))).into_response())
}

/// The tables of one batch, each looked for once: a thousand operations on a table that is not there are one read.
struct Opened<'b> {
    state: &'b WriteState,
    caller: &'b Caller,
    named: HashMap<String, Result<OpenTable, Problem>>,
    holding: HashMap<TablePrefix, Result<OpenTable, Problem>>,
}

impl Opened<'_> {
    /// What is wanted, as a change of a table that the caller may write to.
    async fn change(&mut self, wanted: Wanted) -> Result<Change, Problem> {
        let (table, kind) = match wanted {
            Wanted::Create { api_name, fields } => {
                let table = self.named(api_name).await.map_err(|problem| problem.within("create"))?;
                (table, ChangeKind::Create(fields))
            }
            Wanted::Update { id, fields, if_match } => {
                let (table, id) = self.of_record(&id).await?;
                (table, ChangeKind::Update { id, fields, if_match })
            }
            Wanted::Delete { id, if_match } => {
                let (table, id) = self.of_record(&id).await?;
                (table, ChangeKind::Delete { id, if_match })
            }
        };
        Ok(Change { table, kind })
    }

    async fn named(&mut self, name: String) -> Result<OpenTable, Problem> {
        if let Some(known) = self.named.get(&name) {
            return known.clone();
        }
        let found = self.state.tables.named(self.caller, &name, Scope::RecordWrite).await;
        self.named.entry(name).or_insert(found).clone()
    }

    async fn of_record(&mut self, text: &str) -> Result<(OpenTable, RecordId), Problem> {
        let id = text.parse::<RecordId>().ok();
        if let Some((known, id)) = id.and_then(|id| Some((self.holding.get(&id.table())?, id))) {
            return known.clone().map(|table| (table, id));
        }
        let found = self.state.tables.of_record(self.caller, text, Scope::RecordWrite).await;
        if let Some(id) = id {
            self.holding.insert(id.table(), found.clone().map(|(table, _)| table));
        }
        found
    }
}

/// The one problem of a batch of which nothing was done: the first operation's, and beside it what is wrong with the others.
fn refused(results: Vec<Result<Value, Problem>>) -> Problem {
    let problems = results
        .into_iter()
        .enumerate()
        .filter_map(|(at, result)| result.err().map(|problem| problem.under(&format!("operations/{at}"))));
    let joined =
        problems.reduce(|first, next| next.faults().iter().cloned().fold(first, Problem::with_fault));
    joined
        .unwrap_or_else(|| Problem::new(Kind::Internal, "this batch was refused for no reason that is known"))
}

/// An operation that was done. Beyond the answer's `room` its fields are left out, which the answer says; its messages never are.
fn shown(caller: &Caller, table: &OpenTable, done: &Answer, waits: bool, room: &mut usize) -> Value {
    let written = &done.written;
    let mut members = match written.operation {
        Operation::Delete => {
            serde_json::Map::from_iter([("id".to_owned(), json!(written.record.id.to_string()))])
        }
        Operation::Create | Operation::Update => {
            record_document(caller, &table.schema, &written.record, None)
        }
    };
    let messages = messages::shown(table, done, waits);
    let status = match (&messages, written.operation) {
        (Some(_), Operation::Delete) => StatusCode::OK,
        (_, operation) => single::status(operation),
    };
    if let Some(messages) = messages {
        *room = room.saturating_sub(answer_bytes(&messages.to_string()));
        members.insert("messages".to_owned(), messages);
    }
    let bytes = members.get("fields").map_or(0, |fields| answer_bytes(&fields.to_string()));
    match room.checked_sub(bytes) {
        Some(left) => *room = left,
        None => {
            members.insert("fields".to_owned(), Value::Null);
        }
    }
    members.insert("status".to_owned(), json!(status.as_u16()));
    Value::Object(members)
}

fn told(result: Result<Value, Problem>) -> Value {
    match result {
        Ok(Value::Null) => {
            let problem = Problem::new(Kind::Internal, "this operation got no answer; it may have been done");
            told(Err(problem.with("outcome", "unknown")))
        }
        Ok(shown) => shown,
        Err(problem) => json!({ "status": problem.status().as_u16(), "problem": problem.document() }),
    }
}

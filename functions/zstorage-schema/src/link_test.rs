use api::{Caller, IfMatch, JsonObject, Kind, PathText, Problem};
use axum::Json;
use axum::extract::State;
use domain::{
    Fault, Faults, Link, LinkAnswer, LinkMessage, MAX_BODY_BYTES, Operation, RawFields, RecordId,
    RecordWrite, Scope, TableSchema, Values, json_of,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::SchemaState;
use crate::wanted::WantedWrite;

/// `POST link/{id}/test`: whether the link would fire at a write, with which message, or why not. The fields given are read as the
/// table reads those of a write, whose faults they have. Nothing is written and nothing sent.
pub(crate) async fn test(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(id): PathText,
    if_match: IfMatch,
    body: JsonObject,
) -> Result<Json<Value>, Problem> {
    let (schema, id) = state.link(&caller, &id, Scope::TableRead).await?;
    let wanted = WantedWrite::read(body.fields()?);
    let now = state.clock.now();
    let table = schema.table();
    if_match.require(table.version)?;
    let (old, new) = if_match.beside(values(&schema, &wanted, now))?;
    let write = RecordWrite {
        id: RecordId::new(table.prefix, table.buckets, now, &mut rand::rng()),
        operation: wanted.operation,
        version: wanted.version,
        old: old.as_ref(),
        new: new.as_ref(),
    };
    let link = schema.link(id).ok_or_else(|| Problem::new(Kind::NotFound, "there is no link of this id"))?;
    let mut document = told(link, schema.ask(link, &write))?;
    if !link.enabled {
        // Links are tried before they are turned on.
        let on = Link { enabled: true, ..link.clone() };
        document["when-enabled"] = told(&on, schema.ask(&on, &write))?;
    }
    Ok(Json(document))
}

/// The values before and after, or every fault of what was given.
fn values(
    schema: &TableSchema,
    wanted: &WantedWrite,
    now: Timestamp,
) -> Result<(Option<Values>, Option<Values>), Faults> {
    let nothing = RawFields::new();
    let given = wanted.new.as_ref().unwrap_or(&nothing);
    let old = match (wanted.operation, &wanted.old) {
        (Operation::Create, _) => Ok(None),
        // Of a record that was not told nothing is known, not even what it must have.
        (_, None) => Ok(Some(Values::new())),
        (_, Some(old)) => schema.stored(old, now).map(Some),
    };
    let new = match (wanted.operation, &old) {
        (Operation::Create, _) => schema.create(given, now).map(Some),
        (Operation::Update, Ok(Some(old))) if wanted.new.is_none() => Ok(Some(old.clone())),
        (Operation::Update, Ok(Some(old))) => schema.update(old, given).map(Some),
        (Operation::Update, _) => schema.update(&Values::new(), given).map(Some).map_err(|mut found| {
            // Over a record that could not be read, only what is said of the given fields themselves counts.
            found.0.retain(|fault| is_of(fault, given));
            found
        }),
        (Operation::Delete, Ok(Some(old))) if wanted.old.is_some() => schema.delete(old).map(|()| None),
        (Operation::Delete, _) => Ok(None),
    };
    let mut faults = wanted.faults.clone();
    let mut sound = |side: &str, read: Result<Option<Values>, Faults>| {
        read.unwrap_or_else(|found| {
            within(&mut faults, side, found);
            None
        })
    };
    let (old, new) = (sound("old", old), sound("new", new));
    faults.into_result().map(|()| (old, new))
}

/// Whether a write's fault is about one of these fields.
fn is_of(fault: &Fault, given: &RawFields) -> bool {
    fault.path.strip_prefix("fields/").is_some_and(|name| given.contains_key(name))
}

/// Adds what a write has found, in the words of this request: its fields lie under `side`.
fn within(faults: &mut Faults, side: &str, found: Faults) {
    for fault in found.0 {
        let path = match fault.path.strip_prefix("fields/") {
            Some(name) => format!("{side}/{name}"),
            None => fault.path,
        };
        faults.add(path, fault.code, fault.message);
    }
}

/// What a link said, or the problem that the write would have with it.
fn told(link: &Link, answer: LinkAnswer) -> Result<Value, Problem> {
    let LinkMessage { body, ordering_key, notes } = match answer {
        LinkAnswer::Silent(why) => return Ok(json!({ "fires": false, "why": why.to_string() })),
        LinkAnswer::Fires(message) => message,
    };
    if body.len() > MAX_BODY_BYTES {
        let said = format!("a message has at most {MAX_BODY_BYTES} bytes; this one has {}", body.len());
        let fault = Fault::new(format!("links/{}", link.id), "too-large", said.as_str());
        return Err(Problem::new(Kind::Invalid, said).with_fault(fault));
    }
    let body = json_of(&body).unwrap_or(Value::String(body));
    let mut message = json!({ "body": body });
    if let Some(key) = ordering_key {
        message["ordering-key"] = json!(key);
    }
    Ok(json!({ "fires": true, "message": message, "notes": notes }))
}

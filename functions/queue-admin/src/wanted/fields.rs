//! The fields that the queues of every engine have.

use api::{Fields, Given};
use domain::{
    Credentials, Engine, Fault, HandlerName, MAX_FAILURES_LIMIT, PayloadSchema, QueueName, Secret, WorkerMode,
};
use serde_json::Value;

pub(crate) fn name(fields: &mut Fields<'_>) -> Given<QueueName> {
    fields.parsed("name", QueueName::parse)
}

pub(crate) fn default_handler(fields: &mut Fields<'_>) -> Given<HandlerName> {
    fields.parsed("default-handler", HandlerName::parse)
}

pub(crate) fn worker(fields: &mut Fields<'_>) -> Given<WorkerMode> {
    fields.parsed("worker", |text| match text {
        "attached" => Ok(WorkerMode::Attached),
        "none" => Ok(WorkerMode::None),
        _ => Err(Fault::new("worker", "value", "'worker' is \"attached\" or \"none\"")),
    })
}

pub(crate) fn max_failures(fields: &mut Fields<'_>) -> Given<u32> {
    match fields.number("max-failures") {
        Given::Is(number) if !(1..=MAX_FAILURES_LIMIT).contains(&number) => {
            fields.wrong("max-failures", "range", format!("'max-failures' is 1 to {MAX_FAILURES_LIMIT}"))
        }
        given => given,
    }
}

pub(crate) fn schema(fields: &mut Fields<'_>) -> Given<Value> {
    match fields.json("schema") {
        Given::Is(schema) => match PayloadSchema::compile(&schema) {
            Ok(_compiles) => Given::Is(schema),
            Err(faults) => {
                fields.faults.0.extend(faults.0);
                Given::Wrong
            }
        },
        given => given,
    }
}

/// User name and password: both or neither. Both `null` clears them in a change.
pub(crate) fn credentials(fields: &mut Fields<'_>) -> Given<Credentials> {
    let (username, password) = (secret(fields, "username"), secret(fields, "password"));
    let lacking = |fields: &mut Fields<'_>, here: &str, there: &str| {
        fields.wrong(here, "required", format!("'{here}' must be given with '{there}': both or neither"))
    };
    match (username, password) {
        (Given::Is(username), Given::Is(password)) => Given::Is(Credentials { username, password }),
        (Given::Wrong, _) | (_, Given::Wrong) => Given::Wrong,
        (Given::Is(_), _) => lacking(fields, "password", "username"),
        (_, Given::Is(_)) => lacking(fields, "username", "password"),
        (Given::Absent, Given::Absent) => Given::Absent,
        _ => Given::Null,
    }
}

/// An empty text is as good as none, as forms send it. What is wrong is said without quoting it.
fn secret(fields: &mut Fields<'_>, key: &str) -> Given<Secret> {
    match fields.text(key) {
        Given::Is(text) if text.is_empty() => Given::Null,
        Given::Is(text) if text.len() > 512 || !text.chars().all(|c| c.is_ascii_graphic()) => {
            fields.wrong(key, "form", format!("'{key}' has 1 to 512 visible ASCII characters and no space"))
        }
        Given::Is(text) => Given::Is(Secret::new(text)),
        Given::Absent => Given::Absent,
        Given::Null => Given::Null,
        Given::Wrong => Given::Wrong,
    }
}

/// The engine, if there is one of this name; else its fault is noted.
pub(super) fn engine(fields: &mut Fields<'_>) -> Option<Engine> {
    let engine = fields.parsed("type", |text| {
        let named = Engine::ALL.into_iter().find(|engine| engine.as_str() == text);
        named.ok_or_else(|| {
            let names = Engine::ALL.map(Engine::as_str).join(", ");
            Fault::new("type", "value", format!("'type' is one of {names}"))
        })
    });
    fields.required("type", engine)
}

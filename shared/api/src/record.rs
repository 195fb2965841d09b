use domain::{Clear, FieldId, Names, Record, Scope, TableSchema};
use serde_json::{Map, Value, json};

use crate::Caller;

/// A record as a client sees it: `{"id","apiName","version","fields","created-at","updated-at"}`, of its fields those of
/// `only` if given. Encrypted text is in clear only for a caller with that scope for the table.
pub fn record_document(
    caller: &Caller,
    schema: &TableSchema,
    record: &Record,
    only: Option<&[FieldId]>,
) -> Map<String, Value> {
    let name = &schema.table().api_name;
    let may_see = caller.scopes.cover(&Scope::RecordClear(Names::One(name.clone())));
    let clear = if may_see { Clear::Yes } else { Clear::No };
    [
        ("id", json!(record.id.to_string())),
        ("apiName", json!(name.as_str())),
        ("version", json!(record.version)),
        ("fields", Value::Object(schema.fields_json(&record.values, clear, only))),
        ("created-at", json!(record.created_at.to_string())),
        ("updated-at", json!(record.updated_at.to_string())),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .collect()
}

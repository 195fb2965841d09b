//! Tables and pages as callers see them. The documents of fields and rules are also what a change is laid over.

use std::collections::BTreeMap;

use domain::{
    ApiName, Field, FieldId, FieldKind, Index, IndexState, Link, LinkPayload, Operation, Operations, QueueId,
    QueueName, Rule, Table, TablePage, TablePrefix, TableState, TextRules, json_of,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::design::guard_of;
use crate::wanted::{mode_of, result_of, type_of};

/// What tables are called, by the prefix of their records' ids.
pub(crate) type TableNames = BTreeMap<TablePrefix, ApiName>;

/// What queues are called, by their ids.
pub(crate) type QueueNames = BTreeMap<QueueId, QueueName>;

/// A table as callers see it: everything but its data key.
pub(crate) fn of_table(table: &Table, names: &TableNames, queues: &QueueNames) -> Value {
    json!({
        "apiName": table.api_name.as_str(),
        "label": table.label,
        "fields": table.fields.iter().map(|field| Value::Object(of_field(table, field, names))).collect::<Vec<_>>(),
        "rules": table.rules.iter().map(|rule| Value::Object(of_rule(rule))).collect::<Vec<_>>(),
        "indexes": table.indexes.iter().filter(|index| index.slot.is_some()).map(|index| of_index(table, index)).collect::<Vec<_>>(),
        "links": table.links.iter().map(|link| of_link(table, link, queues)).collect::<Vec<_>>(),
        "buckets": table.buckets,
        "state": match table.state {
            TableState::Ready => "ready",
            TableState::Deleting => "deleting",
        },
        "record-prefix": table.prefix.as_str(),
        "version": table.version,
        "created-at": table.created_at.to_string(),
        "updated-at": table.updated_at.to_string(),
    })
}

/// A field: what was said of it, and how far its uniqueness is where that is not yet or not any more a promise.
pub(crate) fn of_field(table: &Table, field: &Field, names: &TableNames) -> Map<String, Value> {
    let mut document = plain_field(table, field, names);
    if let Some(guard) = guard_of(table, field.id).filter(|guard| guard.state != IndexState::Ready) {
        let mut state = Map::new();
        add_state(&mut state, &guard.state);
        document.insert("unique-state".to_owned(), Value::Object(state));
    }
    document
}

/// A field as a caller could have sent it.
fn plain_field(table: &Table, field: &Field, names: &TableNames) -> Map<String, Value> {
    let mut document = Map::new();
    let mut set = |key: &str, value: Value| {
        document.insert(key.to_owned(), value);
    };
    set("apiName", json!(field.api_name.as_str()));
    set("type", json!(type_of(&field.kind)));
    if let Some(label) = &field.label {
        set("label", json!(label));
    }
    set("required", json!(field.required));
    if let Some(default) = &field.default {
        set("default", shown(default));
    }
    set("unique", json!(guard_of(table, field.id).is_some()));
    match &field.kind {
        FieldKind::Text(rules)
        | FieldKind::TextArea(rules)
        | FieldKind::Email(rules)
        | FieldKind::Url(rules)
        | FieldKind::EncryptedText(rules) => {
            let TextRules { min_length, max_length, pattern } = rules;
            set_some(&mut document, "min-length", min_length);
            set_some(&mut document, "max-length", max_length);
            set_some(&mut document, "pattern", pattern);
        }
        FieldKind::Integer { min, max } => {
            set_some(&mut document, "min", min);
            set_some(&mut document, "max", max);
        }
        FieldKind::Decimal(rules) | FieldKind::Currency(rules) => {
            set_some(&mut document, "min", &rules.min.as_ref().map(ToString::to_string));
            set_some(&mut document, "max", &rules.max.as_ref().map(ToString::to_string));
            set_some(&mut document, "scale", &rules.scale);
        }
        FieldKind::Picklist { values } => set("values", json!(values)),
        FieldKind::Lookup { table } => set("table", json!(names.get(table).map(ApiName::as_str))),
        FieldKind::Formula { expression, result } => {
            set("expression", json!(expression));
            set("result", json!(result_of(*result)));
        }
        FieldKind::Boolean | FieldKind::DateTime | FieldKind::Json => {}
    }
    document
}

fn set_some<T: Clone + Into<Value>>(document: &mut Map<String, Value>, key: &str, value: &Option<T>) {
    if let Some(value) = value {
        document.insert(key.to_owned(), value.clone().into());
    }
}

/// A default as JSON; a number that JSON's readers would bend as its digits.
fn shown(default: &str) -> Value {
    match serde_json::from_str(default) {
        Ok(Value::Number(number)) if number.is_f64() => json!(default),
        Ok(value) => value,
        Err(_) => json!(default),
    }
}

/// A rule as a caller could have sent it.
pub(crate) fn of_rule(rule: &Rule) -> Map<String, Value> {
    [
        ("name", json!(rule.name.as_str())),
        ("on", words(rule.on)),
        ("expression", json!(rule.expression)),
        ("message", json!(rule.message)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .collect()
}

fn words(on: Operations) -> Value {
    let all = [Operation::Create, Operation::Update, Operation::Delete].into_iter();
    all.filter(|operation| on.contains(*operation)).map(Operation::as_str).collect()
}

/// A link, with its id and its queue's name and id.
pub(crate) fn of_link(table: &Table, link: &Link, queues: &QueueNames) -> Value {
    let mut document = plain_link(table, link);
    let queue = link.queue.to_string();
    document.insert("id".to_owned(), json!(link.id.to_string()));
    if let Some(name) = queues.get(&link.queue) {
        document.insert("queue".to_owned(), json!(name.as_str()));
    }
    document.insert("queue-id".to_owned(), json!(queue));
    if let LinkPayload::Template(text) = &link.payload {
        document.insert("payload".to_owned(), json_of(text).unwrap_or(Value::Null));
    }
    Value::Object(document)
}

/// A link as a caller could have sent it, but for a payload of its own, which stays as it was written. Its queue stands in it
/// by id: names change.
fn plain_link(table: &Table, link: &Link) -> Map<String, Value> {
    let mut document = Map::new();
    let mut set = |key: &str, value: Value| {
        document.insert(key.to_owned(), value);
    };
    set("queue", json!(link.queue.to_string()));
    set("on", words(link.on));
    set("mode", json!(mode_of(link.mode)));
    if !link.only_fields.is_empty() {
        set("only-fields", names_of(table, &link.only_fields));
    }
    if let Some(handler) = &link.handler {
        set("handler", json!(handler.as_str()));
    }
    if let LinkPayload::Fields(fields) = &link.payload {
        set("payload-fields", names_of(table, fields));
    }
    set("enabled", json!(link.enabled));
    set_some(&mut document, "condition", &link.condition);
    set_some(&mut document, "ordering-key", &link.ordering_key);
    document
}

fn names_of(table: &Table, fields: &[FieldId]) -> Value {
    fields.iter().filter_map(|id| table.field_by_id(*id)).map(|field| field.api_name.as_str()).collect()
}

/// What a link becomes by `change`, likewise. One kind of payload takes the other's place.
pub(crate) fn changed_link(table: &Table, link: &Link, change: &str) -> String {
    let given: BTreeMap<String, &RawValue> = serde_json::from_str(change).unwrap_or_default();
    let says = |key: &str| given.get(key).is_some_and(|raw| raw.get() != "null");
    let mut document = plain_link(table, link);
    if says("payload") {
        document.remove("payload-fields");
    }
    let template = match &link.payload {
        LinkPayload::Template(text) if !says("payload-fields") => Some(("payload", text.as_str())),
        _ => None,
    };
    over(&document, template, &given)
}

/// An index, how far it is, and what is in its way.
pub(crate) fn of_index(table: &Table, index: &Index) -> Value {
    let mut document = Map::new();
    document.insert("id".to_owned(), json!(index.id.0));
    document.insert("fields".to_owned(), names_of(table, &index.fields));
    document.insert("unique".to_owned(), json!(index.unique));
    add_state(&mut document, &index.state);
    Value::Object(document)
}

fn add_state(document: &mut Map<String, Value>, state: &IndexState) {
    let (word, more) = match state {
        IndexState::Ready => ("ready", None),
        IndexState::Building { job } => ("building", Some(("job", json!(job)))),
        IndexState::Failed { duplicates } => ("failed", Some(("duplicates", json!(duplicates)))),
    };
    document.insert("state".to_owned(), json!(word));
    if let Some((key, value)) = more {
        document.insert(key.to_owned(), value);
    }
}

/// A page as callers see it.
pub(crate) fn of_page(page: &TablePage) -> Value {
    let mut document = plain_page(page);
    document.insert("version".to_owned(), json!(page.version));
    document.insert("updated-at".to_owned(), json!(page.updated_at.to_string()));
    Value::Object(document)
}

/// A page as a caller could have sent it.
pub(crate) fn plain_page(page: &TablePage) -> Map<String, Value> {
    let names = |names: &[ApiName]| names.iter().map(ApiName::as_str).map(Value::from).collect::<Vec<_>>();
    let filter = |(label, filter): &(String, String)| json!({ "label": label, "filter": filter });
    [
        ("name", json!(page.name.as_str())),
        ("table", json!(page.table.as_str())),
        ("columns", json!(names(&page.columns))),
        ("filters", json!(page.filters.iter().map(filter).collect::<Vec<_>>())),
        ("form", json!(names(&page.form))),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .collect()
}

/// What a field becomes by `change`, a JSON object: what it says replaces, `null` clears, the rest stays. With another
/// type only what all types have stays.
pub(crate) fn changed_field(table: &Table, field: &Field, names: &TableNames, change: &str) -> String {
    let mut document = plain_field(table, field, names);
    let given: BTreeMap<String, &RawValue> = serde_json::from_str(change).unwrap_or_default();
    let other_type = given.get("type").is_some_and(|word| {
        serde_json::from_str::<String>(word.get()).is_ok_and(|word| word != type_of(&field.kind))
    });
    if other_type {
        document.retain(|key, _| {
            matches!(key.as_str(), "apiName" | "type" | "label" | "required" | "default" | "unique")
        });
    }
    over(&document, field.default.as_deref().map(|default| ("default", default)), &given)
}

/// What a rule or a page becomes by `change`, likewise.
pub(crate) fn changed(document: &Map<String, Value>, change: &str) -> String {
    over(document, None, &serde_json::from_str(change).unwrap_or_default())
}

fn over(
    document: &Map<String, Value>,
    verbatim: Option<(&str, &str)>,
    given: &BTreeMap<String, &RawValue>,
) -> String {
    let mut members: BTreeMap<&str, String> =
        document.iter().map(|(key, value)| (key.as_str(), value.to_string())).collect();
    members.extend(verbatim.map(|(key, raw)| (key, raw.to_owned())));
    members.extend(given.iter().map(|(key, raw)| (key.as_str(), raw.get().to_owned())));
    let members: Vec<String> =
        members.into_iter().map(|(key, raw)| format!("{}:{raw}", Value::from(key))).collect();
    format!("{{{}}}", members.join(","))
}

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod designs;
mod expressions;
mod link_costs;
mod link_designs;
mod link_laws;
mod links;
mod naughty;
mod templates;
mod values;
mod writes;

use super::*;
use crate::{
    ApiName, FieldId, FormulaResult, Link, LinkId, LinkMode, LinkPayload, NumberRules, Operation, Operations,
    QueueId, RawFields, RecordId, Rule, Sealed, TablePrefix, TableState, TextRules, Values,
};
use jiff::Timestamp;
use serde_json::Value as Json;

/// A table of these fields; their numbers are their places.
fn table(fields: &[(&str, FieldKind)]) -> Table {
    let field = |(at, (name, kind)): (usize, &(&str, FieldKind))| Field {
        id: FieldId(u32::try_from(at).unwrap()),
        api_name: name_of(name),
        label: None,
        kind: kind.clone(),
        required: false,
        default: None,
    };
    Table {
        prefix: prefix(0),
        api_name: name_of("Student"),
        label: None,
        fields: fields.iter().enumerate().map(field).collect(),
        next_field: u32::try_from(fields.len()).unwrap(),
        rules: Vec::new(),
        indexes: Vec::new(),
        next_index: 0,
        links: Vec::new(),
        next_link: 1,
        buckets: 4,
        data_key: Sealed(Vec::new()),
        state: TableState::Ready,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        version: 1,
    }
}

fn prefix(number: u32) -> TablePrefix {
    TablePrefix::nth(number).unwrap()
}

fn name_of(name: &str) -> ApiName {
    ApiName::parse(name).unwrap()
}

fn schema(table: Table) -> TableSchema {
    TableSchema::compile(table).unwrap()
}

fn text() -> FieldKind {
    FieldKind::Text(TextRules::default())
}

fn integer() -> FieldKind {
    FieldKind::Integer { min: None, max: None }
}

fn decimal() -> FieldKind {
    FieldKind::Decimal(NumberRules::default())
}

fn formula(expression: &str, result: FormulaResult) -> FieldKind {
    FieldKind::Formula { expression: expression.to_owned(), result }
}

fn rule(name: &str, on: Operations, expression: &str, message: &str) -> Rule {
    Rule { name: name_of(name), on, expression: expression.to_owned(), message: message.to_owned() }
}

const ALWAYS: Operations = Operations { create: true, update: true, delete: true };

/// A link of the table [`table`] makes: the whole record at every create and update.
fn link(number: u32) -> Link {
    Link {
        id: LinkId { table: prefix(0), number },
        queue: QueueId::new(Timestamp::UNIX_EPOCH, &mut rand::rng()),
        on: Operations::WRITES,
        mode: LinkMode::Outbox,
        condition: None,
        only_fields: Vec::new(),
        handler: None,
        payload: LinkPayload::Whole,
        ordering_key: None,
        enabled: true,
    }
}

/// `table` with these links.
fn linked(mut table: Table, links: Vec<Link>) -> Table {
    table.next_link = 100;
    table.links = links;
    table
}

/// A write of the record whose id is `record`.
fn write<'w>(old: Option<&'w Values>, new: Option<&'w Values>) -> RecordWrite<'w> {
    let operation = match (old, new) {
        (None, _) => Operation::Create,
        (Some(_), Some(_)) => Operation::Update,
        (Some(_), None) => Operation::Delete,
    };
    RecordWrite { id: record(), operation, version: 7, old, new }
}

/// A record's id that is always the same.
fn record() -> RecordId {
    format!("{}0{}", prefix(0), ulid::Ulid::nil()).parse().unwrap()
}

/// A table with a field of every kind but formulas, named after it.
fn every_kind() -> Table {
    table(&[
        ("text", text()),
        ("area", FieldKind::TextArea(TextRules::default())),
        ("email", FieldKind::Email(TextRules::default())),
        ("url", FieldKind::Url(TextRules::default())),
        ("integer", integer()),
        ("decimal", decimal()),
        ("currency", FieldKind::Currency(NumberRules::default())),
        ("boolean", FieldKind::Boolean),
        ("at", FieldKind::DateTime),
        ("pick", FieldKind::Picklist { values: vec!["new".into(), "paid".into()] }),
        ("lookup", FieldKind::Lookup { table: prefix(7) }),
        ("json", FieldKind::Json),
        ("secret", FieldKind::EncryptedText(TextRules::default())),
    ])
}

/// Fields as a caller writes them.
fn given(json: &str) -> RawFields {
    serde_json::from_str(json).unwrap()
}

/// One field as a caller writes it.
fn given_one(name: &str, json: &str) -> RawFields {
    RawFields::from([(name.to_owned(), RawValue::from_string(json.to_owned()).unwrap())])
}

fn now() -> Timestamp {
    "2024-05-01T10:00:00Z".parse().unwrap()
}

/// The record as its owner sees it, without what is null.
fn shown(schema: &TableSchema, values: &Values) -> Json {
    let mut fields = schema.fields_json(values, Clear::Yes, None);
    fields.retain(|_, value| !value.is_null());
    Json::Object(fields)
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

/// `path code` of every fault.
fn told(faults: &Faults) -> Vec<String> {
    faults.0.iter().map(|fault| format!("{} {}", fault.path, fault.code)).collect()
}

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bounds;
mod decimals;
mod language;
mod refusals;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{EvaluationError, Expression, ExpressionFault, Names, Scene};
use crate::{
    ApiName, Field, FieldId, FieldKind, FormulaResult, NumberRules, Sealed, Secret, Table, TablePrefix,
    TableState, TextRules, Value, Values,
};

/// A table with a field of every kind, numbered in this order from 1.
pub(crate) fn table() -> Table {
    let formula = |result| FieldKind::Formula { expression: "1".to_owned(), result };
    let kinds = [
        ("name", FieldKind::Text(TextRules::default())),
        ("age", FieldKind::Integer { min: None, max: None }),
        ("price", FieldKind::Decimal(NumberRules::default())),
        ("paid", FieldKind::Boolean),
        ("due", FieldKind::DateTime),
        ("status", FieldKind::Picklist { values: vec!["new".to_owned(), "paid".to_owned()] }),
        ("school", FieldKind::Lookup { table: prefix() }),
        ("data", FieldKind::Json),
        ("secret", FieldKind::EncryptedText(TextRules::default())),
        ("total", FieldKind::Currency(NumberRules::default())),
        ("count", FieldKind::Integer { min: None, max: None }),
        ("cost", FieldKind::Decimal(NumberRules::default())),
        ("folded", formula(FormulaResult::Text)),
        ("adult", formula(FormulaResult::Boolean)),
        ("has", FieldKind::Text(TextRules::default())),
        ("closed", FieldKind::DateTime),
    ];
    let fields = (1..).zip(kinds).map(|(number, (name, kind))| Field {
        id: FieldId(number),
        api_name: ApiName::parse(name).unwrap(),
        label: None,
        kind,
        required: false,
        default: None,
    });
    Table {
        prefix: prefix(),
        api_name: ApiName::parse("Student").unwrap(),
        label: None,
        fields: fields.collect(),
        next_field: 100,
        rules: Vec::new(),
        indexes: Vec::new(),
        next_index: 1,
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

pub(crate) fn prefix() -> TablePrefix {
    TablePrefix::nth(7).unwrap()
}

pub(crate) const SCHOOL: &str = "A07001HZY3W5X8QJ8M6V5T4R3N2P1K";

/// Values by field name: a text, a number, true, a date-time, as the field's kind has it.
pub(crate) fn record(fields: &[(&str, &str)]) -> Values {
    let table = table();
    let of = |(name, text): &(&str, &str)| {
        let field = table.field(name).unwrap();
        let value = match &field.kind {
            FieldKind::Integer { .. } => Value::Integer(text.parse().unwrap()),
            FieldKind::Decimal(_) | FieldKind::Currency(_) => Value::Decimal(text.parse().unwrap()),
            FieldKind::Boolean | FieldKind::Formula { result: FormulaResult::Boolean, .. } => {
                Value::Boolean(text.parse().unwrap())
            }
            FieldKind::DateTime => Value::DateTime(text.parse().unwrap()),
            FieldKind::Lookup { .. } => Value::Lookup(text.parse().unwrap()),
            FieldKind::Json => Value::Json((*text).to_owned()),
            FieldKind::EncryptedText(_) => Value::Encrypted(Secret::new((*text).to_owned())),
            _ => Value::Text((*text).to_owned()),
        };
        (field.id, value)
    };
    fields.iter().map(of).collect::<BTreeMap<_, _>>()
}

fn compiled(text: &str) -> Result<Expression, ExpressionFault> {
    Expression::compile(text, Names::RecordFields, &table())
}

/// What `text` gives for a record; null is "null".
fn answer(text: &str, values: &Values) -> Result<String, EvaluationError> {
    let table = table();
    let expression = compiled(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    let value = expression.value(&Scene { table: &table, old: None, new: Some(values) })?;
    Ok(match value {
        None => "null".to_owned(),
        Some(Value::Text(text)) => text,
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Decimal(number)) => format!("{number}d"),
        Some(Value::Boolean(is)) => is.to_string(),
        Some(other) => format!("{other:?}"),
    })
}

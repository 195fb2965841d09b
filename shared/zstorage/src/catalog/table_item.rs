//! A table as an item of the catalog: its definition in one attribute, as JSON of a form of its own.

mod link;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{
    ApiName, Decimal, Field, FieldId, FieldKind, FormulaResult, Index, IndexId, IndexState, NumberRules,
    Operations, Rule, Sealed, Table, TablePrefix, TableState, TextRules,
};
use serde::{Deserialize, Serialize};

use link::{LinkV1, first};

use super::queue_item::{FOLDED_NAME, fold};
use crate::StoreError;
use crate::item::{Item, Reader, Writer, number, text};

/// The partition of all tables; the sort key is the prefix.
pub(super) const PK: &str = "table";

/// The most a definition may have, bytes.
pub(super) const MAX_DEFINITION_BYTES: usize = 390 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum Definition {
    #[serde(rename = "1")]
    V1(TableV1),
}

#[derive(Serialize, Deserialize)]
struct TableV1 {
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    fields: Vec<FieldV1>,
    next_field: u32,
    rules: Vec<RuleV1>,
    indexes: Vec<IndexV1>,
    next_index: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    links: Vec<LinkV1>,
    #[serde(default = "first")]
    next_link: u32,
    buckets: u8,
    data_key: String,
    deleting: bool,
}

#[derive(Serialize, Deserialize)]
struct FieldV1 {
    id: u32,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    kind: KindV1,
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindV1 {
    Text(TextV1),
    Textarea(TextV1),
    Email(TextV1),
    Url(TextV1),
    Integer { min: Option<i64>, max: Option<i64> },
    Decimal(NumberV1),
    Currency(NumberV1),
    Boolean,
    DateTime,
    Picklist { values: Vec<String> },
    Lookup { table: String },
    Json,
    EncryptedText(TextV1),
    Formula { expression: String, result: ResultV1 },
}

#[derive(Serialize, Deserialize)]
struct TextV1 {
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct NumberV1 {
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ResultV1 {
    Text,
    Integer,
    Decimal,
    Boolean,
}

#[derive(Serialize, Deserialize)]
struct RuleV1 {
    name: String,
    create: bool,
    update: bool,
    delete: bool,
    expression: String,
    message: String,
}

#[derive(Serialize, Deserialize)]
struct IndexV1 {
    id: u32,
    fields: Vec<u32>,
    unique: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<u8>,
    state: IndexStateV1,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum IndexStateV1 {
    Building { job: String },
    Ready,
    Failed { duplicates: Vec<(String, String)> },
}

/// The item of `table`.
pub(super) fn write(table: &Table) -> Item {
    Writer::new(PK, table.prefix.as_str())
        .set("name", text(&table.api_name))
        .set(FOLDED_NAME, text(fold(table.api_name.as_str())))
        .set("version", number(table.version))
        .set("created-at", text(table.created_at))
        .set("updated-at", text(table.updated_at))
        .set("definition", text(definition(table)))
        .done()
}

pub(super) fn read(item: &Item) -> Result<Table, StoreError> {
    let reader = Reader(item);
    let Definition::V1(table) = serde_json::from_str(reader.text("definition")?)
        .map_err(|_| reader.fault("definition", "is not of a form that we know"))?;
    let unfit = || reader.fault("definition", "has a value that is not of its form");
    let rest = || {
        Some(Table {
            prefix: reader.text("sk").ok()?.parse().ok()?,
            api_name: ApiName::parse(reader.text("name").ok()?).ok()?,
            label: table.label,
            fields: table.fields.into_iter().map(FieldV1::read).collect::<Option<_>>()?,
            next_field: table.next_field,
            rules: table.rules.into_iter().map(RuleV1::read).collect::<Option<_>>()?,
            indexes: table.indexes.into_iter().map(IndexV1::read).collect(),
            next_index: table.next_index,
            links: table.links.into_iter().map(LinkV1::read).collect::<Option<_>>()?,
            next_link: table.next_link,
            buckets: table.buckets,
            data_key: Sealed(STANDARD.decode(table.data_key).ok()?),
            state: if table.deleting { TableState::Deleting } else { TableState::Ready },
            created_at: reader.parsed("created-at").ok()?,
            updated_at: reader.parsed("updated-at").ok()?,
            version: reader.number("version").ok()?,
        })
    };
    rest().ok_or_else(unfit)
}

/// A table's prefix, its item's sort key.
pub(super) fn prefix(item: &Item) -> Result<TablePrefix, StoreError> {
    Reader(item).parsed("sk")
}

fn definition(table: &Table) -> String {
    let table = TableV1 {
        label: table.label.clone(),
        fields: table.fields.iter().map(FieldV1::of).collect(),
        next_field: table.next_field,
        rules: table.rules.iter().map(RuleV1::of).collect(),
        indexes: table.indexes.iter().map(IndexV1::of).collect(),
        next_index: table.next_index,
        links: table.links.iter().map(LinkV1::of).collect(),
        next_link: table.next_link,
        buckets: table.buckets,
        data_key: STANDARD.encode(&table.data_key.0),
        deleting: table.state == TableState::Deleting,
    };
    serde_json::to_string(&Definition::V1(table)).expect("texts and numbers are JSON")
}

impl FieldV1 {
    fn of(field: &Field) -> FieldV1 {
        FieldV1 {
            id: field.id.0,
            name: field.api_name.to_string(),
            label: field.label.clone(),
            kind: KindV1::of(&field.kind),
            required: field.required,
            default: field.default.clone(),
        }
    }

    fn read(self) -> Option<Field> {
        Some(Field {
            id: FieldId(self.id),
            api_name: ApiName::parse(&self.name).ok()?,
            label: self.label,
            kind: self.kind.read()?,
            required: self.required,
            default: self.default,
        })
    }
}

impl KindV1 {
    fn of(kind: &FieldKind) -> KindV1 {
        match kind {
            FieldKind::Text(rules) => KindV1::Text(TextV1::of(rules)),
            FieldKind::TextArea(rules) => KindV1::Textarea(TextV1::of(rules)),
            FieldKind::Email(rules) => KindV1::Email(TextV1::of(rules)),
            FieldKind::Url(rules) => KindV1::Url(TextV1::of(rules)),
            FieldKind::Integer { min, max } => KindV1::Integer { min: *min, max: *max },
            FieldKind::Decimal(rules) => KindV1::Decimal(NumberV1::of(rules)),
            FieldKind::Currency(rules) => KindV1::Currency(NumberV1::of(rules)),
            FieldKind::Boolean => KindV1::Boolean,
            FieldKind::DateTime => KindV1::DateTime,
            FieldKind::Picklist { values } => KindV1::Picklist { values: values.clone() },
            FieldKind::Lookup { table } => KindV1::Lookup { table: table.to_string() },
            FieldKind::Json => KindV1::Json,
            FieldKind::EncryptedText(rules) => KindV1::EncryptedText(TextV1::of(rules)),
            FieldKind::Formula { expression, result } => {
                let result = match result {
                    FormulaResult::Text => ResultV1::Text,
                    FormulaResult::Integer => ResultV1::Integer,
                    FormulaResult::Decimal => ResultV1::Decimal,
                    FormulaResult::Boolean => ResultV1::Boolean,
                };
                KindV1::Formula { expression: expression.clone(), result }
            }
        }
    }

    fn read(self) -> Option<FieldKind> {
        Some(match self {
            KindV1::Text(rules) => FieldKind::Text(rules.read()),
            KindV1::Textarea(rules) => FieldKind::TextArea(rules.read()),
            KindV1::Email(rules) => FieldKind::Email(rules.read()),
            KindV1::Url(rules) => FieldKind::Url(rules.read()),
            KindV1::Integer { min, max } => FieldKind::Integer { min, max },
            KindV1::Decimal(rules) => FieldKind::Decimal(rules.read()?),
            KindV1::Currency(rules) => FieldKind::Currency(rules.read()?),
            KindV1::Boolean => FieldKind::Boolean,
            KindV1::DateTime => FieldKind::DateTime,
            KindV1::Picklist { values } => FieldKind::Picklist { values },
            KindV1::Lookup { table } => FieldKind::Lookup { table: table.parse().ok()? },
            KindV1::Json => FieldKind::Json,
            KindV1::EncryptedText(rules) => FieldKind::EncryptedText(rules.read()),
            KindV1::Formula { expression, result } => {
                let result = match result {
                    ResultV1::Text => FormulaResult::Text,
                    ResultV1::Integer => FormulaResult::Integer,
                    ResultV1::Decimal => FormulaResult::Decimal,
                    ResultV1::Boolean => FormulaResult::Boolean,
                };
                FieldKind::Formula { expression, result }
            }
        })
    }
}

impl TextV1 {
    fn of(rules: &TextRules) -> TextV1 {
        TextV1 { min: rules.min_length, max: rules.max_length, pattern: rules.pattern.clone() }
    }

    fn read(self) -> TextRules {
        TextRules { min_length: self.min, max_length: self.max, pattern: self.pattern }
    }
}

impl NumberV1 {
    fn of(rules: &NumberRules) -> NumberV1 {
        let written = |number: &Option<Decimal>| number.as_ref().map(ToString::to_string);
        NumberV1 { min: written(&rules.min), max: written(&rules.max), scale: rules.scale }
    }

    fn read(self) -> Option<NumberRules> {
        let read = |text: Option<String>| text.map(|text| text.parse()).transpose().ok();
        Some(NumberRules { min: read(self.min)?, max: read(self.max)?, scale: self.scale })
    }
}

impl RuleV1 {
    fn of(rule: &Rule) -> RuleV1 {
        RuleV1 {
            name: rule.name.to_string(),
            create: rule.on.create,
            update: rule.on.update,
            delete: rule.on.delete,
            expression: rule.expression.clone(),
            message: rule.message.clone(),
        }
    }

    fn read(self) -> Option<Rule> {
        Some(Rule {
            name: ApiName::parse(&self.name).ok()?,
            on: Operations { create: self.create, update: self.update, delete: self.delete },
            expression: self.expression,
            message: self.message,
        })
    }
}

impl IndexV1 {
    fn of(index: &Index) -> IndexV1 {
        let state = match &index.state {
            IndexState::Building { job } => IndexStateV1::Building { job: job.clone() },
            IndexState::Ready => IndexStateV1::Ready,
            IndexState::Failed { duplicates } => IndexStateV1::Failed { duplicates: duplicates.clone() },
        };
        IndexV1 {
            id: index.id.0,
            fields: index.fields.iter().map(|field| field.0).collect(),
            unique: index.unique,
            slot: index.slot,
            state,
        }
    }

    fn read(self) -> Index {
        let state = match self.state {
            IndexStateV1::Building { job } => IndexState::Building { job },
            IndexStateV1::Ready => IndexState::Ready,
            IndexStateV1::Failed { duplicates } => IndexState::Failed { duplicates },
        };
        Index {
            id: IndexId(self.id),
            fields: self.fields.into_iter().map(FieldId).collect(),
            unique: self.unique,
            slot: self.slot,
            state,
        }
    }
}

//! From a value to JSON.

use serde_json::{Map, Value as Json, json};

use super::TableSchema;
use super::bounds::currency_scale;
use super::fold::{MAX_FOLDED_BYTES, cut, fold};
use super::json::json_of;
use crate::{Field, FieldId, FieldKind, Value, Values};

/// Whether encrypted text is shown in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clear {
    /// The caller has the scope for it.
    Yes,
    /// A mask stands in its place.
    No,
}

impl TableSchema {
    /// `value` as callers see it: integers as numbers, decimals as strings, currency with its digits behind the point,
    /// moments as RFC 3339 in UTC, lookups as ids, JSON as it is. In place of encrypted text stands `{"encrypted":true}`;
    /// only [`TableSchema::fields_json`], asked to, shows it.
    pub fn value_json(&self, field: &Field, value: &Value) -> Json {
        match value {
            Value::Text(text) => json!(text),
            Value::Integer(number) => json!(number),
            Value::Decimal(number) => match &field.kind {
                FieldKind::Currency(rules) => json!(number.to_fixed(currency_scale(rules))),
                _ => json!(number.to_string()),
            },
            Value::Boolean(is) => json!(is),
            Value::DateTime(at) => json!(at.to_string()),
            Value::Lookup(id) => json!(id.to_string()),
            // What is stored was checked; a text that is none after all is shown as text, not hidden.
            Value::Json(text) => json_of(text).unwrap_or_else(|| json!(text)),
            Value::Encrypted(_) => json!({"encrypted": true}),
        }
    }

    /// All fields of a record by name, `null` where it has no value; `only` = these fields.
    pub fn fields_json(&self, values: &Values, clear: Clear, only: Option<&[FieldId]>) -> Map<String, Json> {
        let wanted = |field: &&Field| only.is_none_or(|only| only.contains(&field.id));
        let shown = |field: &Field| match values.get(&field.id) {
            None => Json::Null,
            Some(Value::Encrypted(secret)) if clear == Clear::Yes => json!(secret.expose()),
            Some(value) => self.value_json(field, value),
        };
        let fields = self.table().fields.iter().filter(wanted);
        fields.map(|field| (field.api_name.to_string(), shown(field))).collect()
    }

    /// The text in which a search looks for its folded terms (see [`fold`]): all texts of the record, each on lines of its own,
    /// so that no term spans two. Neither JSON nor what is encrypted. At most 8 KB; what is beyond is not found.
    pub fn folded(&self, values: &Values) -> String {
        let mut folded = String::new();
        for field in &self.table().fields {
            let Some(Value::Text(text)) = values.get(&field.id) else { continue };
            if !folded.is_empty() {
                folded.push('\n');
            }
            // Folding seldom makes a text less than a quarter as long: no need to fold a megabyte to keep 8 KB.
            folded.push_str(&fold(&text[..text.floor_char_boundary(4 * MAX_FOLDED_BYTES)]));
            if folded.len() >= MAX_FOLDED_BYTES {
                break;
            }
        }
        cut(&mut folded);
        folded
    }
}

//! A table with everything compiled: what a write must keep, how values are read and shown, and which messages a
//! write makes.

mod bounds;
mod design;
mod fold;
mod formula;
mod json;
mod links;
mod read;
mod sample;
mod show;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;

use regex::Regex;
use serde_json::value::RawValue;

use crate::expression::{Expression, ExpressionFault, Names};
use crate::{Fault, Faults, Field, FieldKind, MAX_FIELDS, MAX_LINKS, MAX_RULES, Table, Value};
use formula::Formula;
use links::CompiledLink;

pub use fold::fold;
pub use json::json_of;
pub use links::{
    LinkAnswer, LinkMessage, MAX_LINK_HOLES, MAX_ORDERING_KEY_BYTES, MAX_TEMPLATE_BYTES, RecordWrite, Silence,
};
pub use read::moment;
pub use show::Clear;

/// A table whose design is sound, with its patterns, defaults, formulas, rules and links compiled. Made once per version
/// of the table and shared.
pub struct TableSchema {
    table: Table,
    /// One per field, in the same order.
    fields: Vec<CompiledField>,
    /// Each after those it reads.
    formulas: Vec<Formula>,
    /// One per rule, in the same order.
    rules: Vec<Expression>,
    /// One per link, in the same order.
    links: Vec<CompiledLink>,
}

/// What of a field is compiled.
#[derive(Default)]
struct CompiledField {
    pattern: Option<Regex>,
    default: Option<Preset>,
}

/// What a record gets in a field that its creator left out.
enum Preset {
    Value(Value),
    /// The moment of the write: a date-time field whose default is `"now"`.
    Now,
}

impl TableSchema {
    /// Checks the design of `table` and compiles it. Names every fault with its path in the caller's table, such as
    /// `rules/0/expression`; expressions are also tried on sample records.
    pub fn compile(table: Table) -> Result<TableSchema, Faults> {
        let mut faults = Faults::none();
        design::check(&table, &mut faults);
        if table.fields.len() > MAX_FIELDS || table.rules.len() > MAX_RULES || table.links.len() > MAX_LINKS {
            // Compiling takes time, and this much of it was not to be.
            return Err(faults);
        }
        let mut room = bounds::MAX_PATTERNS_BYTES;
        let fields = (table.fields.iter().enumerate())
            .map(|(at, field)| compiled_field(field, &mut room, &format!("fields/{at}"), &mut faults))
            .collect();
        let formulas = formula::compile(&table, &mut room, &mut faults);
        let mut rules = Vec::with_capacity(table.rules.len());
        for (at, rule) in table.rules.iter().enumerate() {
            let compiled = Expression::condition(&rule.expression, Names::OldAndNew, &table);
            rules.extend(faults.take(roomy(compiled, &mut room, format!("rules/{at}/expression"))));
        }
        let links = links::compile(&table, &mut room, &mut faults);
        faults.into_result()?;
        let schema = TableSchema { table, fields, formulas, rules, links };
        let mut faults = Faults::none();
        schema.try_on_samples(&mut faults);
        faults.into_result().map(|()| schema)
    }

    /// The table as it was designed.
    pub fn table(&self) -> &Table {
        &self.table
    }
}

impl fmt::Debug for TableSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableSchema({} version {})", self.table.api_name, self.table.version)
    }
}

/// `compiled` if it was, and if its patterns have room beside the others of the table (bytes); else its fault.
fn roomy(
    compiled: Result<Expression, ExpressionFault>,
    room: &mut usize,
    path: String,
) -> Result<Expression, Fault> {
    let expression = compiled.map_err(|fault| fault.into_fault(path.as_str()))?;
    match room.checked_sub(expression.pattern_bytes()) {
        Some(left) => *room = left,
        None => {
            return Err(Fault::new(path, "expression", "the patterns of this table are too large together"));
        }
    }
    Ok(expression)
}

/// Compiles the pattern and the default of `field`; `room` is what patterns may still take, bytes.
fn compiled_field(field: &Field, room: &mut usize, path: &str, faults: &mut Faults) -> CompiledField {
    let pattern = match &field.kind {
        FieldKind::Text(rules)
        | FieldKind::TextArea(rules)
        | FieldKind::Email(rules)
        | FieldKind::Url(rules)
        | FieldKind::EncryptedText(rules) => rules.pattern.as_deref(),
        _ => None,
    };
    let pattern = pattern.and_then(|text| {
        bounds::pattern(text, room)
            .map_err(|reason| faults.add(format!("{path}/pattern"), "pattern", reason))
            .ok()
    });
    let default = field.default.as_deref().and_then(|json| {
        let path = format!("{path}/default");
        preset(field, pattern.as_ref(), json, &path, faults)
    });
    CompiledField { pattern, default }
}

/// Reads a default as a caller's value would be read: what does not fit its field is a fault.
fn preset(
    field: &Field,
    pattern: Option<&Regex>,
    json: &str,
    path: &str,
    faults: &mut Faults,
) -> Option<Preset> {
    if matches!(field.kind, FieldKind::DateTime) && json.trim() == "\"now\"" {
        return Some(Preset::Now);
    }
    if matches!(field.kind, FieldKind::Formula { .. }) {
        return None; // refused by the design's checks
    }
    let Ok(raw) = serde_json::from_str::<&RawValue>(json) else {
        faults.add(path, "default", "a default is JSON, as a caller would send it");
        return None;
    };
    match read::value_of(field, raw) {
        Ok(Some(value)) => {
            bounds::check(field, pattern, &value, path, faults);
            Some(Preset::Value(value))
        }
        Ok(None) => None,
        Err(fault) => {
            faults.add(path, fault.code, fault.message);
            None
        }
    }
}

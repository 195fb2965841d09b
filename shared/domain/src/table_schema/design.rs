//! What a table's design must keep, before anything of it is compiled.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;

use super::bounds::MAX_MATCHED_CHARACTERS;
use super::links;
use crate::{
    Faults, Field, FieldKind, Index, MAX_BUCKETS, MAX_FIELDS, MAX_INDEX_FIELDS, MAX_INDEXES, MAX_RULES,
    NumberRules, Table, TextRules,
};

/// A label has at most this many bytes.
const MAX_LABEL_BYTES: usize = 255;

/// A rule's message has at most this many bytes: what an answer tells of it.
const MAX_MESSAGE_BYTES: usize = 480;

/// A picklist has at most this many values.
const MAX_PICKLIST_VALUES: usize = 200;

/// A value of a picklist has at most this many bytes.
const MAX_PICKLIST_VALUE_BYTES: usize = 255;

/// What one write may have to do at once: the actions that DynamoDB's transactions have.
const MAX_ACTIONS: usize = 100;

/// Words of the expression language: a field of such a name could not be named in a filter or formula.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Adds every fault of the table's design to `faults`; paths are those of the caller's table, such as `fields/3/min`.
pub(super) fn check(table: &Table, faults: &mut Faults) {
    label(table.label.as_deref(), "label", faults);
    if table.buckets == 0 || table.buckets > MAX_BUCKETS {
        faults.add("buckets", "buckets", format!("a table has 1 to {MAX_BUCKETS} buckets"));
    }
    fields(table, faults);
    rules(table, faults);
    indexes(table, faults);
    links::design::check(table, faults);
    actions(table, faults);
}

/// A table whose records could be made or changed only in parts is none that one can rely on. A write of one record is the record,
/// the caller's idempotency row, for each unique index the old guard and the new one, a look at each record it refers to, and the
/// message of each link.
fn actions(table: &Table, faults: &mut Faults) {
    let guards = table.indexes.iter().filter(|index| index.unique).count();
    let is_lookup = |field: &&Field| matches!(field.kind, FieldKind::Lookup { .. });
    let lookups = table.fields.iter().filter(is_lookup).count();
    let links = table.links.len();
    let fields = 2 + 2 * guards + lookups;
    if fields + links > MAX_ACTIONS {
        let message = format!(
            "a table has at most 49 unique fields and indexes, or 98 lookups, or links, two of which count as much as one \
             unique; there are {guards}, {lookups} and {links}"
        );
        faults.add(if fields > MAX_ACTIONS { "fields" } else { "links" }, "too-many", message);
    }
}

fn fields(table: &Table, faults: &mut Faults) {
    at_most(MAX_FIELDS, table.fields.len(), "fields", faults);
    for (at, _) in repeated(table.fields.iter().map(|field| &field.api_name)) {
        faults.add(format!("fields/{at}/apiName"), "taken", "another field of this table has this name");
    }
    for (at, _) in repeated(table.fields.iter().map(|field| field.id)) {
        faults.add(format!("fields/{at}"), "taken", "another field of this table has this number");
    }
    for (at, field) in table.fields.iter().enumerate() {
        let path = format!("fields/{at}");
        if field.id.0 >= table.next_field {
            faults.add(path.as_str(), "number", "a field's number is below that of the next new field");
        }
        if RESERVED.contains(&field.api_name.as_str()) {
            let message = format!("'{}' is a word of the expression language", field.api_name);
            faults.add(format!("{path}/apiName"), "reserved", message);
        }
        label(field.label.as_deref(), &format!("{path}/label"), faults);
        kind(field, &path, faults);
    }
}

fn kind(field: &Field, path: &str, faults: &mut Faults) {
    match &field.kind {
        FieldKind::Text(rules)
        | FieldKind::TextArea(rules)
        | FieldKind::Email(rules)
        | FieldKind::Url(rules)
        | FieldKind::EncryptedText(rules) => text_rules(rules, path, faults),
        FieldKind::Integer { min, max } => in_order("min", min.as_ref(), max.as_ref(), path, faults),
        FieldKind::Decimal(rules) | FieldKind::Currency(rules) => number_rules(rules, path, faults),
        FieldKind::Picklist { values } => picklist(values, path, faults),
        FieldKind::Boolean
        | FieldKind::DateTime
        | FieldKind::Lookup { .. }
        | FieldKind::Json
        | FieldKind::Formula { .. } => {}
    }
    if field.default.is_some() && matches!(field.kind, FieldKind::Formula { .. }) {
        faults.add(format!("{path}/default"), "default", "a formula has no default: it is computed");
    }
    if field.default.is_some() && matches!(field.kind, FieldKind::EncryptedText(_)) {
        let message = "encrypted text has no default: it would stand in the table's design in clear";
        faults.add(format!("{path}/default"), "default", message);
    }
}

fn text_rules(rules: &TextRules, path: &str, faults: &mut Faults) {
    in_order("min-length", rules.min_length.as_ref(), rules.max_length.as_ref(), path, faults);
    let longest = rules.max_length.max(rules.min_length);
    if rules.pattern.is_some() && longest.is_some_and(|longest| longest > MAX_MATCHED_CHARACTERS) {
        let message =
            format!("a text that must match a pattern has at most {MAX_MATCHED_CHARACTERS} characters");
        faults.add(format!("{path}/max-length"), "max", message);
    }
}

fn number_rules(rules: &NumberRules, path: &str, faults: &mut Faults) {
    in_order("min", rules.min.as_ref(), rules.max.as_ref(), path, faults);
    if rules.scale.is_some_and(|scale| scale > 38) {
        faults.add(format!("{path}/scale"), "max", "a decimal has at most 38 digits");
    }
}

/// A least value above the greatest lets no value pass.
fn in_order<T: PartialOrd + Display>(
    key: &str,
    min: Option<&T>,
    max: Option<&T>,
    path: &str,
    faults: &mut Faults,
) {
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        faults.add(format!("{path}/{key}"), "min", format!("{min} is above the most, {max}"));
    }
}

fn picklist(values: &[String], path: &str, faults: &mut Faults) {
    let path = format!("{path}/values");
    if values.is_empty() {
        faults.add(path.as_str(), "required", "a picklist has at least one value");
    }
    at_most(MAX_PICKLIST_VALUES, values.len(), &path, faults);
    for (at, value) in values.iter().enumerate() {
        if value.is_empty() || value.len() > MAX_PICKLIST_VALUE_BYTES || value.chars().any(char::is_control) {
            let message =
                format!("a value has 1 to {MAX_PICKLIST_VALUE_BYTES} bytes and no control characters");
            faults.add(format!("{path}/{at}"), "picklist", message);
        }
    }
    for (at, _) in repeated(values.iter()) {
        faults.add(format!("{path}/{at}"), "taken", "this value stands twice");
    }
}

fn rules(table: &Table, faults: &mut Faults) {
    at_most(MAX_RULES, table.rules.len(), "rules", faults);
    for (at, _) in repeated(table.rules.iter().map(|rule| &rule.name)) {
        faults.add(format!("rules/{at}/name"), "taken", "another rule of this table has this name");
    }
    for (at, rule) in table.rules.iter().enumerate() {
        if !(rule.on.create || rule.on.update || rule.on.delete) {
            faults.add(format!("rules/{at}/on"), "required", "a rule is for create, update or delete");
        }
        if rule.message.trim().is_empty() {
            faults.add(format!("rules/{at}/message"), "required", "a rule says what is wrong");
        } else if rule.message.len() > MAX_MESSAGE_BYTES {
            let message = format!("a rule's message has at most {MAX_MESSAGE_BYTES} bytes");
            faults.add(format!("rules/{at}/message"), "too-long", message);
        }
    }
}

fn indexes(table: &Table, faults: &mut Faults) {
    let in_slots = table.indexes.iter().filter(|index| index.slot.is_some()).count();
    at_most(MAX_INDEXES, in_slots, "indexes", faults);
    for (at, _) in repeated(table.indexes.iter().map(|index| index.id)) {
        faults.add(format!("indexes/{at}"), "taken", "another index of this table has this number");
    }
    let slots = table.indexes.iter().enumerate().filter_map(|(at, index)| Some((at, index.slot?)));
    let (places, slots): (Vec<usize>, Vec<u8>) = slots.unzip();
    for (nth, _) in repeated(slots.iter()) {
        faults.add(format!("indexes/{}", places[nth]), "taken", "another index of this table has this slot");
    }
    for (at, index) in table.indexes.iter().enumerate() {
        let path = format!("indexes/{at}");
        if index.id.0 >= table.next_index {
            faults.add(path.as_str(), "number", "an index's number is below that of the next new index");
        }
        match index.slot {
            None if !index.unique => {
                faults.add(path.as_str(), "slot", "an index that is not unique needs a slot");
            }
            Some(slot) if slot == 0 || usize::from(slot) > MAX_INDEXES => {
                faults.add(path.as_str(), "slot", format!("a slot is from 1 to {MAX_INDEXES}"));
            }
            _ => {}
        }
        index_fields(table, index, &format!("{path}/fields"), faults);
    }
}

fn index_fields(table: &Table, index: &Index, path: &str, faults: &mut Faults) {
    if index.fields.is_empty() {
        faults.add(path, "required", "an index is over at least one field");
    }
    at_most(MAX_INDEX_FIELDS, index.fields.len(), path, faults);
    for (at, _) in repeated(index.fields.iter()) {
        faults.add(format!("{path}/{at}"), "taken", "this field stands twice in its index");
    }
    for (at, id) in index.fields.iter().enumerate() {
        match table.field_by_id(*id) {
            None => faults.add(format!("{path}/{at}"), "unknown-field", "this table has no such field"),
            Some(field) if !field.is_indexable() => {
                let message =
                    format!("'{}' is JSON or encrypted: nothing can be found by it", field.api_name);
                faults.add(format!("{path}/{at}"), "not-indexable", message);
            }
            Some(_) => {}
        }
    }
}

fn label(label: Option<&str>, path: &str, faults: &mut Faults) {
    if label.is_some_and(|label| label.len() > MAX_LABEL_BYTES || label.chars().any(char::is_control)) {
        let message = format!("a label has at most {MAX_LABEL_BYTES} bytes and no control characters");
        faults.add(path, "label", message);
    }
}

pub(super) fn at_most(most: usize, count: usize, path: &str, faults: &mut Faults) {
    if count > most {
        faults.add(path, "too-many", format!("at most {most} may stand here; there are {count}"));
    }
}

/// Those that stand a second time, with their places.
pub(super) fn repeated<T: Eq + Hash + Copy>(all: impl Iterator<Item = T>) -> Vec<(usize, T)> {
    let mut seen = HashSet::new();
    all.enumerate().filter(|(_, one)| !seen.insert(*one)).collect()
}

//! From what a caller gives to the values that are stored, or every reason why not.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Preset, TableSchema, bounds, read};
use crate::expression::{Expression, JsonSeen, Scene};
use crate::{Faults, Field, FieldId, FieldKind, Operation, RawFields, Value, Values};

impl TableSchema {
    /// The values of a new record: what is given, defaults for what is left out (a `null` is not left out), formulas.
    ///
    /// All faults at once: of a field under `fields/NAME`, of a rule under `rules/NAME`. A rule or formula that reads a field
    /// with a fault is not asked: its answer would be about another record.
    pub fn create(&self, given: &RawFields, now: Timestamp) -> Result<Values, Faults> {
        self.write(None, self.defaults(given, now), given)
    }

    /// The values of a record that somebody made up as one that is stored: as [`TableSchema::create`], but no rule is asked, for
    /// those concern writes and may be younger than a record.
    pub fn stored(&self, given: &RawFields, now: Timestamp) -> Result<Values, Faults> {
        let mut values = self.defaults(given, now);
        let mut check = Check { schema: self, faults: Faults::none(), tainted: BTreeSet::new() };
        check.values(given, &mut values);
        check.faults.into_result().map(|()| values)
    }

    /// What a new record has in the fields that are left out.
    fn defaults(&self, given: &RawFields, now: Timestamp) -> Values {
        let mut values = Values::new();
        for (field, compiled) in self.table.fields.iter().zip(&self.fields) {
            if given.contains_key(field.api_name.as_str()) {
                continue;
            }
            match &compiled.default {
                Some(Preset::Value(value)) => drop(values.insert(field.id, value.clone())),
                Some(Preset::Now) => drop(values.insert(field.id, Value::DateTime(now))),
                None => {}
            }
        }
        values
    }

    /// The values of a changed record: `old` with what is given put over it, a `null` taking a value away; formulas anew.
    /// Values of fields that the table has no more fall away. Faults as for [`TableSchema::create`]; the values that stay are
    /// checked too, so a field that has become required bites now.
    pub fn update(&self, old: &Values, given: &RawFields) -> Result<Values, Faults> {
        let kept = old.iter().filter(|(id, _)| self.table.field_by_id(**id).is_some());
        self.write(Some(old), kept.map(|(id, value)| (*id, value.clone())).collect(), given)
    }

    /// Whether a record of these values may be removed: the rules that are for that.
    pub fn delete(&self, old: &Values) -> Result<(), Faults> {
        let mut check = Check { schema: self, faults: Faults::none(), tainted: BTreeSet::new() };
        check.rules(Operation::Delete, Some(old), None);
        check.faults.into_result()
    }

    fn write(&self, old: Option<&Values>, mut values: Values, given: &RawFields) -> Result<Values, Faults> {
        let mut check = Check { schema: self, faults: Faults::none(), tainted: BTreeSet::new() };
        check.values(given, &mut values);
        let operation = if old.is_some() { Operation::Update } else { Operation::Create };
        check.rules(operation, old, Some(&values));
        check.faults.into_result().map(|()| values)
    }
}

/// One write being checked.
struct Check<'s> {
    schema: &'s TableSchema,
    faults: Faults,
    /// Fields with a fault, and the formulas that read them.
    tainted: BTreeSet<FieldId>,
}

impl Check<'_> {
    /// All that a record has: what is given goes into `values`, and the formulas' results.
    fn values(&mut self, given: &RawFields, values: &mut Values) {
        self.names(given);
        for at in 0..self.schema.fields.len() {
            self.field(at, given, values);
        }
        self.formulas(values);
    }

    /// Every name that is given is that of a field.
    fn names(&mut self, given: &RawFields) {
        for name in given.keys().filter(|name| self.schema.table.field(name).is_none()) {
            if self.faults.are_many() {
                break;
            }
            let message = format!("the table {} has no such field", self.schema.table.api_name);
            self.faults.add(format!("fields/{name}"), "unknown-field", message);
        }
    }

    /// One field: what is given goes into `values`; what then stands there, or is missing, is checked.
    fn field(&mut self, at: usize, given: &RawFields, values: &mut Values) {
        let field = &self.schema.table.fields[at];
        let path = format!("fields/{}", field.api_name);
        if let Some(raw) = given.get(field.api_name.as_str()) {
            match read::value_of(field, raw) {
                Ok(Some(value)) => drop(values.insert(field.id, value)),
                Ok(None) => drop(values.remove(&field.id)),
                Err(fault) => {
                    self.faults.add(path, fault.code, fault.message);
                    self.tainted.insert(field.id);
                    return;
                }
            }
        }
        if matches!(field.kind, FieldKind::Formula { .. }) {
            return; // computed when all else is known
        }
        let before = self.faults.0.len();
        match values.get(&field.id) {
            Some(value) if !(field.required && is_empty(value)) => {
                let pattern = self.schema.fields[at].pattern.as_ref();
                bounds::check(field, pattern, value, &path, &mut self.faults);
            }
            _ => self.required(field),
        }
        // With many faults noted, one more leaves no trace; nobody is told about rules then either.
        if self.faults.0.len() > before || self.faults.are_many() {
            self.tainted.insert(field.id);
        }
    }

    fn required(&mut self, field: &Field) {
        if field.required && !self.tainted.contains(&field.id) {
            self.faults.add(format!("fields/{}", field.api_name), "required", "this must be given");
        }
    }

    fn formulas(&mut self, values: &mut Values) {
        for formula in &self.schema.formulas {
            values.remove(&formula.id);
            if self.reads_tainted(&formula.expression) {
                self.tainted.insert(formula.id);
                continue;
            }
            let field = &self.schema.table.fields[formula.place];
            match formula.compute(&self.schema.table, values) {
                Ok(Some(value)) => drop(values.insert(formula.id, value)),
                Ok(None) if field.required => {
                    let message = "this must have a value, and its formula gives none";
                    self.faults.add(format!("fields/{}", field.api_name), "required", message);
                }
                Ok(None) => {}
                Err(reason) => {
                    let message = format!("this formula cannot be computed: {reason}");
                    self.faults.add(format!("fields/{}", field.api_name), "formula", message);
                    self.tainted.insert(formula.id);
                }
            }
        }
    }

    fn rules(&mut self, operation: Operation, old: Option<&Values>, new: Option<&Values>) {
        let table = &self.schema.table;
        let (scene, seen) = (Scene { table, old, new }, JsonSeen::default());
        for (rule, expression) in table.rules.iter().zip(&self.schema.rules) {
            if !rule.on.contains(operation) || self.reads_tainted(expression) {
                continue;
            }
            let path = format!("rules/{}", rule.name);
            match expression.holds_having_seen(&scene, &seen) {
                Ok(true) => {}
                Ok(false) => self.faults.add(path, "rule", rule.message.as_str()),
                Err(error) => {
                    let message = format!("{} (this rule could not be asked: {error})", rule.message);
                    self.faults.add(path, "rule-error", message);
                }
            }
        }
    }

    fn reads_tainted(&self, expression: &Expression) -> bool {
        expression.fields().iter().any(|id| self.tainted.contains(id))
    }
}

/// Whether a value is there in form only: an empty text does not meet `required`.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.is_empty(),
        Value::Encrypted(secret) => secret.expose().is_empty(),
        _ => false,
    }
}

//! Formula fields: in which order they are computed, and what they may give.

use std::collections::BTreeSet;

use super::roomy;
use crate::expression::{Expression, Scene};
use crate::{Decimal, Faults, FieldId, FieldKind, FormulaResult, Table, Value, Values};

/// One formula field, compiled.
pub(super) struct Formula {
    /// Its place among the table's fields.
    pub(super) place: usize,
    pub(super) id: FieldId,
    pub(super) expression: Expression,
    result: FormulaResult,
}

impl Formula {
    /// The formula's value for a record of these values, or why it has none. A formula that cannot be computed because the
    /// record lacks a value it reads has no value; that is no fault.
    pub(super) fn compute(&self, table: &Table, values: &Values) -> Result<Option<Value>, String> {
        let given = match self.expression.value(&Scene { table, old: None, new: Some(values) }) {
            Ok(given) => given,
            Err(_) if self.expression.fields().iter().any(|id| !values.contains_key(id)) => None,
            Err(error) => return Err(error.to_string()),
        };
        given.map(|value| self.fitted(value)).transpose()
    }

    /// `value` as the kind of value this formula promises.
    fn fitted(&self, value: Value) -> Result<Value, String> {
        match (self.result, value) {
            (FormulaResult::Text, value @ Value::Text(_))
            | (FormulaResult::Integer, value @ Value::Integer(_))
            | (FormulaResult::Decimal, value @ Value::Decimal(_))
            | (FormulaResult::Boolean, value @ Value::Boolean(_)) => Ok(value),
            (FormulaResult::Decimal, Value::Integer(number)) => Ok(Value::Decimal(Decimal::from(number))),
            (FormulaResult::Integer, Value::Decimal(number)) => number
                .to_i64()
                .map(Value::Integer)
                .ok_or_else(|| format!("it gives {number}, which is no whole number of 64 bits")),
            (promised, other) => {
                Err(format!("it gives {}, not {}", kind_of(&other), promised_kind(promised)))
            }
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Text(_) | Value::Encrypted(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Decimal(_) => "a decimal",
        Value::Boolean(_) => "true or false",
        Value::DateTime(_) => "a date-time",
        Value::Lookup(_) => "an id",
        Value::Json(_) => "JSON",
    }
}

fn promised_kind(result: FormulaResult) -> &'static str {
    match result {
        FormulaResult::Text => "a text",
        FormulaResult::Integer => "a whole number",
        FormulaResult::Decimal => "a decimal",
        FormulaResult::Boolean => "true or false",
    }
}

/// Compiles the formulas of `table`, each after those it reads. Faults: what does not compile, and formulas that read
/// each other in a ring. `room` is what patterns may still take, bytes.
pub(super) fn compile(table: &Table, room: &mut usize, faults: &mut Faults) -> Vec<Formula> {
    let mut waiting = Vec::new();
    for (place, field) in table.fields.iter().enumerate() {
        let FieldKind::Formula { expression, result } = &field.kind else { continue };
        let compiled = Expression::formula(expression, *result, table);
        let compiled = roomy(compiled, room, format!("fields/{place}/expression"));
        if let Some(expression) = faults.take(compiled) {
            waiting.push(Formula { place, id: field.id, expression, result: *result });
        }
    }
    let mut ordered: Vec<Formula> = Vec::with_capacity(waiting.len());
    loop {
        let open: BTreeSet<FieldId> = waiting.iter().map(|formula| formula.id).collect();
        let is_free = |formula: &Formula| !formula.expression.fields().iter().any(|id| open.contains(id));
        let (free, rest): (Vec<Formula>, Vec<Formula>) = waiting.into_iter().partition(is_free);
        waiting = rest;
        if free.is_empty() {
            break;
        }
        ordered.extend(free);
    }
    for formula in waiting {
        let message = "this formula reads itself, or formulas that read each other in a ring";
        faults.add(format!("fields/{}/expression", formula.place), "ring", message);
    }
    ordered
}

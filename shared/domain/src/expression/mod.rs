//! Expressions: CEL in one bounded form, for rules, links, formulas and filters.
//!
//! The `cel` crate parses and evaluates; what it does not bound or cannot do stands here:
//!
//! - before parsing: length and nesting (`scan`), because the parser's stack and time follow from them;
//! - on the tree: names, functions and kinds are checked (`check`), so that what can never work is refused when it is saved,
//!   with its place in the text. Literals and whole numbers beside decimals become decimals on the tree, on either side;
//!   doubles never mix with decimals silently: they come only from `double(..)`;
//! - at run time: field values are bound by hand (`evaluate`), an absent one is null.
//!
//! There is no `now`: an expression gives the same answer for the same record at any time, also in a transaction that is
//! tried again.

mod check;
mod collections;
mod cost;
mod evaluate;
mod fault;
mod functions;
mod json;
mod kind;
mod methods;
mod operators;
mod pattern;
mod scan;
mod scene;
#[cfg(test)]
pub(crate) mod tests;
mod values;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cel::IdedExpr;
use cost::Uses;

pub use fault::ExpressionFault;
pub use kind::ResultKind;
pub use scan::{MAX_EXPRESSION_BYTES, MAX_EXPRESSION_DEPTH};
pub use scene::{EvaluationError, Scene};

pub(crate) use check::Constant;
pub(crate) use cost::Effort;
pub(crate) use json::JsonSeen;
pub(crate) use pattern::compile_pattern;
pub(crate) use scan::scan_joints;
pub(crate) use scene::{Side, Slot};

use crate::{FieldId, FormulaResult, Table, Value};

/// Which names an expression sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The record's own fields by their names: filters and formulas.
    RecordFields,
    /// `old` and `new`: rules and links. `old` is null on create, `new` on delete.
    OldAndNew,
}

/// A compiled expression. A clone costs a counter.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    text: String,
    names: Names,
    tree: IdedExpr,
    constants: Vec<Constant>,
    slots: Vec<Slot>,
    uses: Vec<Uses>,
    pattern_bytes: usize,
    fields: BTreeSet<FieldId>,
    kind: ResultKind,
}

impl Expression {
    /// Compiles `text` for the records of `table`. Refused, with the place of the fault: more than 1,024 bytes, brackets more
    /// than 16 deep, a comprehension within another, a pattern that is no literal of at most 256 bytes, unknown names and
    /// functions, kinds that can never fit (a text beside a number), encrypted text in anything but a comparison with null.
    pub fn compile(text: &str, names: Names, table: &Table) -> Result<Expression, ExpressionFault> {
        let scanned = scan::scan(text)?;
        let checked = check::check(text, &scanned.text, names, table)?;
        let fields = checked.slots.iter().filter_map(Slot::field).collect();
        Ok(Expression(Arc::new(Compiled {
            text: text.to_owned(),
            names,
            tree: checked.tree,
            constants: checked.constants,
            slots: checked.slots,
            uses: checked.uses,
            pattern_bytes: checked.pattern_bytes,
            fields,
            kind: checked.kind,
        })))
    }

    /// Compiles what must be true or false: rules, link conditions, filters.
    pub fn condition(text: &str, names: Names, table: &Table) -> Result<Expression, ExpressionFault> {
        let expression = Expression::compile(text, names, table)?;
        match expression.0.kind {
            ResultKind::Boolean | ResultKind::Unknown => Ok(expression),
            kind => {
                Err(ExpressionFault::at(text, 0, format!("this must be true or false, and it is {kind}")))
            }
        }
    }

    /// Compiles a formula over the record's own fields that must give `result`; a whole number is also a decimal.
    pub fn formula(text: &str, result: FormulaResult, table: &Table) -> Result<Expression, ExpressionFault> {
        let expression = Expression::compile(text, Names::RecordFields, table)?;
        let kind = expression.0.kind;
        if kind.gives(result) {
            return Ok(expression);
        }
        let wanted = ResultKind::of(result);
        Err(ExpressionFault::at(text, 0, format!("this formula must give {wanted}, and it gives {kind}")))
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Which names it sees.
    pub fn names(&self) -> Names {
        self.0.names
    }

    /// The fields it reads, of `old` and `new` alike.
    pub fn fields(&self) -> &BTreeSet<FieldId> {
        &self.0.fields
    }

    /// What it gives, as far as the kinds of the fields tell.
    pub fn result(&self) -> ResultKind {
        self.0.kind
    }

    /// Whether it is true of `scene`. An error says what cannot be answered, such as null being less than 5.
    pub fn holds(&self, scene: &Scene<'_>) -> Result<bool, EvaluationError> {
        self.holds_having_seen(scene, &JsonSeen::default())
    }

    /// Takes from `effort` what an answer for `scene` may need at most. An error says that this is not left.
    pub(crate) fn spare(&self, scene: &Scene<'_>, effort: &Effort) -> Result<(), EvaluationError> {
        effort.take((&self.0.slots, &self.0.uses, self.0.pattern_bytes), scene)
    }

    /// As [`Expression::holds`], where others were asked about the same scene: JSON that they read is not read again.
    pub(crate) fn holds_having_seen(
        &self,
        scene: &Scene<'_>,
        seen: &JsonSeen,
    ) -> Result<bool, EvaluationError> {
        evaluate::holds(&self.0, scene, seen)
    }

    /// What it gives for `scene`; null is `None`.
    pub fn value(&self, scene: &Scene<'_>) -> Result<Option<Value>, EvaluationError> {
        self.value_having_seen(scene, &JsonSeen::default())
    }

    /// As [`Expression::value`], where others were asked about the same scene.
    pub(crate) fn value_having_seen(
        &self,
        scene: &Scene<'_>,
        seen: &JsonSeen,
    ) -> Result<Option<Value>, EvaluationError> {
        evaluate::value(&self.0, scene, seen)
    }

    /// Memory that its compiled patterns count for, bytes.
    pub(crate) fn pattern_bytes(&self) -> usize {
        self.0.pattern_bytes
    }

    pub(crate) fn tree(&self) -> &IdedExpr {
        &self.0.tree
    }

    pub(crate) fn constants(&self) -> &[Constant] {
        &self.0.constants
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.0.slots
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.0.text)
    }
}

impl PartialEq for Expression {
    /// The same text over the same names.
    fn eq(&self, other: &Expression) -> bool {
        (&self.0.text, self.0.names) == (&other.0.text, other.0.names)
    }
}

//! Filters: an expression over a record's fields, and what of it the database can do by itself.

mod condition;
#[cfg(test)]
mod tests;
mod translate;

pub use condition::{CompareOp, Condition};

use crate::expression::{Expression, ExpressionFault, Names, Scene, scan_joints};
use crate::{Table, Values};

/// A compiled filter.
#[derive(Debug, Clone)]
pub struct Filter {
    whole: Expression,
    conjuncts: Vec<Conjunct>,
}

/// One of the parts that must all be true.
#[derive(Debug, Clone)]
pub struct Conjunct {
    /// The same for the database: true of exactly the records that the expression holds for. `None` = only in memory.
    pub pushed: Option<Condition>,
    /// The part itself.
    pub expression: Expression,
}

impl Filter {
    /// Compiles `text` for the records of `table`, as [`Expression::compile`] does.
    pub fn parse(text: &str, table: &Table) -> Result<Filter, ExpressionFault> {
        let whole = Expression::condition(text, Names::RecordFields, table)?;
        let conjuncts = scan_joints(text)?
            .into_iter()
            .map(|part| {
                let expression = Expression::condition(part, Names::RecordFields, table)?;
                Ok(Conjunct { pushed: translate::translate(&expression, table), expression })
            })
            .collect::<Result<_, ExpressionFault>>()?;
        Ok(Filter { whole, conjuncts })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        self.whole.text()
    }

    /// The whole, of the field values of one record. What has no answer (null is less than 5) is no match.
    pub fn holds(&self, table: &Table, values: &Values) -> bool {
        self.whole.holds(&Scene { table, old: None, new: Some(values) }).unwrap_or(false)
    }

    /// The parts that must all be true, in the order they were written.
    pub fn conjuncts(&self) -> &[Conjunct] {
        &self.conjuncts
    }
}

impl Conjunct {
    /// This part alone, of the field values of one record.
    pub fn holds(&self, table: &Table, values: &Values) -> bool {
        self.expression.holds(&Scene { table, old: None, new: Some(values) }).unwrap_or(false)
    }
}

use crate::{FieldId, Value};

/// What a database can test of a record. A comparison with a field that is absent is not true, whatever the comparison; of
/// `Ne` and an absent field nothing is assumed (databases differ), so it never stands without an `Exists` or beside a `Missing`
/// of the same field.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A field beside a value of its own kind.
    Compare {
        /// Which field.
        field: FieldId,
        /// How it is compared.
        op: CompareOp,
        /// With what.
        value: Value,
    },
    /// A field that has one of these values: 1 to 100.
    In {
        /// Which field.
        field: FieldId,
        /// The values.
        values: Vec<Value>,
    },
    /// A text field that begins so; the prefix is not empty.
    StartsWith {
        /// Which field.
        field: FieldId,
        /// How it begins.
        prefix: String,
    },
    /// A text field that has this in it; the part is not empty.
    Contains {
        /// Which field.
        field: FieldId,
        /// What is in it.
        part: String,
    },
    /// The field has a value.
    Exists(FieldId),
    /// The field has no value.
    Missing(FieldId),
    /// All of these.
    And(Vec<Condition>),
    /// One of these at least.
    Or(Vec<Condition>),
    /// Every record.
    True,
    /// No record.
    False,
}

/// A comparison. Texts compare by their bytes, false is less than true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `<>`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Condition {
    /// All of `parts`, simplified.
    pub(super) fn all(parts: Vec<Condition>) -> Condition {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Condition::True => {}
                Condition::False => return Condition::False,
                Condition::And(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        single(kept, Condition::True, Condition::And)
    }

    /// One of `parts`, simplified.
    pub(super) fn any(parts: Vec<Condition>) -> Condition {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Condition::False => {}
                Condition::True => return Condition::True,
                Condition::Or(inner) => kept.extend(inner),
                other => kept.push(other),
            }
        }
        single(kept, Condition::False, Condition::Or)
    }

    /// How many tests it is made of.
    pub fn size(&self) -> usize {
        match self {
            Condition::And(parts) | Condition::Or(parts) => parts.iter().map(Condition::size).sum(),
            Condition::In { values, .. } => values.len(),
            _ => 1,
        }
    }
}

fn single(mut parts: Vec<Condition>, none: Condition, many: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.len() {
        0 => none,
        1 => parts.swap_remove(0),
        _ => many(parts),
    }
}

impl CompareOp {
    /// The comparison that is true exactly where this one is not, for values that are there.
    pub(super) fn negated(self) -> CompareOp {
        match self {
            CompareOp::Eq => CompareOp::Ne,
            CompareOp::Ne => CompareOp::Eq,
            CompareOp::Lt => CompareOp::Ge,
            CompareOp::Le => CompareOp::Gt,
            CompareOp::Gt => CompareOp::Le,
            CompareOp::Ge => CompareOp::Lt,
        }
    }

    /// The same comparison with its sides changed.
    pub(super) fn turned(self) -> CompareOp {
        match self {
            CompareOp::Eq | CompareOp::Ne => self,
            CompareOp::Lt => CompareOp::Gt,
            CompareOp::Le => CompareOp::Ge,
            CompareOp::Gt => CompareOp::Lt,
            CompareOp::Ge => CompareOp::Le,
        }
    }
}

//! What an expression is asked about, which parts of it a name can mean, and why there may be no answer.

use std::fmt;

use crate::{FieldId, Table, Values};

/// What an expression is asked about.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Whose record it is.
    pub table: &'a Table,
    /// The record before; `None` on create.
    pub old: Option<&'a Values>,
    /// The record after, or the record as it is for filters and formulas; `None` on delete.
    pub new: Option<&'a Values>,
}

/// Why an expression has no answer for a record, without any of its values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvaluationError {
    message: String,
}

impl EvaluationError {
    pub(super) fn new(message: impl Into<String>) -> EvaluationError {
        EvaluationError { message: message.into() }
    }
}

impl fmt::Debug for Scene<'_> {
    /// Without values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scene(old: {}, new: {})", self.old.is_some(), self.new.is_some())
    }
}

/// Which record a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Old,
    New,
}

/// A value that the record gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Field(Side, FieldId),
    /// Whether there is no record on that side.
    IsNull(Side),
}

impl Slot {
    pub(crate) fn field(&self) -> Option<FieldId> {
        match self {
            Slot::Field(_, field) => Some(*field),
            Slot::IsNull(_) => None,
        }
    }
}

impl<'s> Scene<'s> {
    /// The record on that side.
    pub(super) fn record(&self, side: Side) -> Option<&'s Values> {
        match side {
            Side::Old => self.old,
            Side::New => self.new,
        }
    }
}

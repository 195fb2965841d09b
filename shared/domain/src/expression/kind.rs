use std::fmt;

use crate::{Field, FieldKind, FormulaResult};

/// What is known of a value before there is one. Every field may also be null.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Integer,
    Decimal,
    Double,
    Text,
    Moment,
    Span,
    /// Of elements of one kind; of null: empty.
    List(Box<Kind>),
    Map,
    /// From JSON: known only at run time. Its numbers are decimals.
    Any,
    /// Encrypted text: only whether it is there may be asked.
    Sealed,
    /// `old` or `new` as a whole.
    Record,
}

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultKind {
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A decimal.
    Decimal,
    /// A double: neither a rule nor a formula can be one.
    Double,
    /// A text.
    Text,
    /// A date-time.
    DateTime,
    /// Known only when it is evaluated: it comes from JSON, or is always null.
    Unknown,
    /// A list, a map or a duration: nothing a field can hold.
    Other,
}

impl Kind {
    /// What the values of `field` are.
    pub(super) fn of(field: &Field) -> Kind {
        match &field.kind {
            FieldKind::Text(_)
            | FieldKind::TextArea(_)
            | FieldKind::Email(_)
            | FieldKind::Url(_)
            | FieldKind::Picklist { .. }
            | FieldKind::Lookup { .. } => Kind::Text,
            FieldKind::Integer { .. } => Kind::Integer,
            FieldKind::Decimal(_) | FieldKind::Currency(_) => Kind::Decimal,
            FieldKind::Boolean => Kind::Boolean,
            FieldKind::DateTime => Kind::Moment,
            FieldKind::Json => Kind::Any,
            FieldKind::EncryptedText(_) => Kind::Sealed,
            FieldKind::Formula { result, .. } => match result {
                FormulaResult::Text => Kind::Text,
                FormulaResult::Integer => Kind::Integer,
                FormulaResult::Decimal => Kind::Decimal,
                FormulaResult::Boolean => Kind::Boolean,
            },
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Kind::Integer | Kind::Decimal | Kind::Double)
    }

    /// Whether values of it have an order.
    pub(super) fn is_ordered(&self) -> bool {
        self.is_number() || matches!(self, Kind::Boolean | Kind::Text | Kind::Moment | Kind::Span | Kind::Any)
    }

    pub(super) fn result(&self) -> ResultKind {
        match self {
            Kind::Boolean => ResultKind::Boolean,
            Kind::Integer => ResultKind::Integer,
            Kind::Decimal => ResultKind::Decimal,
            Kind::Double => ResultKind::Double,
            Kind::Text => ResultKind::Text,
            Kind::Moment => ResultKind::DateTime,
            Kind::Null | Kind::Any => ResultKind::Unknown,
            Kind::Span | Kind::List(_) | Kind::Map | Kind::Sealed | Kind::Record => ResultKind::Other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Null => "null",
            Kind::Boolean => "true or false",
            Kind::Integer => "a whole number",
            Kind::Decimal => "a decimal",
            Kind::Double => "a double",
            Kind::Text => "a text",
            Kind::Moment => "a date-time",
            Kind::Span => "a duration",
            Kind::List(_) => "a list",
            Kind::Map => "a map",
            Kind::Any => "a JSON value",
            Kind::Sealed => "encrypted text",
            Kind::Record => "a whole record",
        })
    }
}

impl ResultKind {
    /// What a formula of this result gives.
    pub fn of(result: FormulaResult) -> ResultKind {
        match result {
            FormulaResult::Text => ResultKind::Text,
            FormulaResult::Integer => ResultKind::Integer,
            FormulaResult::Decimal => ResultKind::Decimal,
            FormulaResult::Boolean => ResultKind::Boolean,
        }
    }

    /// Whether it may be what a formula of this result gives.
    pub fn gives(self, result: FormulaResult) -> bool {
        self == ResultKind::Unknown
            || self == ResultKind::of(result)
            || (self, result) == (ResultKind::Integer, FormulaResult::Decimal)
    }
}

impl fmt::Display for ResultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResultKind::Boolean => "true or false",
            ResultKind::Integer => "a whole number",
            ResultKind::Decimal => "a decimal",
            ResultKind::Double => "a double",
            ResultKind::Text => "a text",
            ResultKind::DateTime => "a date-time",
            ResultKind::Unknown => "known only when it is evaluated",
            ResultKind::Other => "a list, a map, a duration, a record or encrypted text",
        })
    }
}

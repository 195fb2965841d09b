//! Values that CEL itself does not have: exact decimals, moments, spans of time, compiled patterns.

use std::any::Any;
use std::cmp::Ordering;

use cel::ExecutionError;
use cel::common::traits::{Adder, Comparer, Divider, Modder, Multiplier, Negator, Subtractor};
use cel::common::types::{CelInt, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use jiff::{SignedDuration, Timestamp};

use super::cost::Matching;
use crate::{Decimal, DecimalError};

static DECIMAL: Type = Type::new_unspecified_type("decimal");
static MOMENT: Type = Type::new_unspecified_type("timestamp");
static SPAN: Type = Type::new_unspecified_type("duration");
static MATCHING: Type = Type::new_unspecified_type("matching");
static PATTERN: Type = Type::new_unspecified_type("pattern");

/// A decimal, exact to 38 digits. Whole numbers beside it are taken as decimals; doubles are not.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DecimalVal(pub(super) Decimal);

/// A date-time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moment(pub(super) Timestamp);

/// What lies between two moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span(pub(super) SignedDuration);

/// A regular expression, compiled once, when the expression is.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    pub(super) regex: regex::Regex,
    /// What it counts for, bytes.
    pub(super) bytes: usize,
}

type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// An error of our own, in words.
pub(super) fn failed(message: impl ToString) -> ExecutionError {
    ExecutionError::function_error("expression", message)
}

fn mismatch(left: &dyn Val, right: &dyn Val) -> ExecutionError {
    let kinds = [left.get_type().name().to_owned(), right.get_type().name().to_owned()];
    ExecutionError::no_such_overload("this", kinds.to_vec())
}

/// `value` as a decimal, if it is one or a whole number.
pub(super) fn decimal_of(value: &dyn Val) -> Option<Decimal> {
    match value.downcast_ref::<DecimalVal>() {
        Some(decimal) => Some(decimal.0.clone()),
        None => value.downcast_ref::<CelInt>().map(|number| Decimal::from(*number.inner())),
    }
}

/// The `Val` of a type that is always the same, with the operators named.
macro_rules! val {
    ($type:ty, $cel_type:ident, $equals:expr, { $($accessor:tt)* }) => {
        impl Val for $type {
            fn get_type(&self) -> &Type {
                &$cel_type
            }
            fn cel_type() -> &'static Type {
                &$cel_type
            }
            fn equals(&self, other: &dyn Val) -> bool {
                let equals: fn(&Self, &dyn Val) -> bool = $equals;
                equals(self, other)
            }
            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
            where
                Self: 'v,
            {
                Box::new(self.clone())
            }
            fn as_any(&self) -> Option<&dyn Any> {
                Some(self)
            }
            $($accessor)*
        }
        impl StaticVal for $type {}
    };
}

macro_rules! operator {
    ($accessor:ident, $trait:ident) => {
        fn $accessor<'b, 'v>(&'b self) -> Option<&'b (dyn $trait + 'v)>
        where
            Self: 'v,
        {
            Some(self)
        }
    };
}

macro_rules! comparer {
    () => {
        fn as_comparer(&self) -> Option<&dyn Comparer> {
            Some(self)
        }
    };
}

val!(DecimalVal, DECIMAL, |this, other| decimal_of(other).is_some_and(|other| other == this.0), {
    operator!(as_adder, Adder);
    operator!(as_subtractor, Subtractor);
    operator!(as_multiplier, Multiplier);
    operator!(as_divider, Divider);
    operator!(as_modder, Modder);
    operator!(as_negator, Negator);
    comparer!();
});
val!(Moment, MOMENT, |this, other| other.downcast_ref::<Moment>() == Some(this), {
    operator!(as_adder, Adder);
    operator!(as_subtractor, Subtractor);
    comparer!();
});
val!(Span, SPAN, |this, other| other.downcast_ref::<Span>() == Some(this), {
    operator!(as_adder, Adder);
    operator!(as_subtractor, Subtractor);
    operator!(as_negator, Negator);
    comparer!();
});
val!(Pattern, PATTERN, |_, _| false, {});
val!(Matching, MATCHING, |_, _| false, {});

macro_rules! decimal_operator {
    ($trait:ident, $function:ident, $of:ident) => {
        impl $trait for DecimalVal {
            fn $function<'b, 'v>(&'b self, right: &(dyn Val + 'v)) -> Outcome<'b, 'v>
            where
                Self: 'v,
            {
                let other = decimal_of(right).ok_or_else(|| mismatch(self, right))?;
                decimal(self.0.$of(&other))
            }
        }
    };
}

decimal_operator!(Adder, add, add);
decimal_operator!(Subtractor, sub, subtract);
decimal_operator!(Multiplier, mul, multiply);
decimal_operator!(Divider, div, divide);
decimal_operator!(Modder, modulo, remainder);

/// The value, or the error of a decimal that cannot be kept.
pub(super) fn decimal<'b, 'v>(result: Result<Decimal, DecimalError>) -> Outcome<'b, 'v> {
    result.map(|decimal| CowVal::owned(DecimalVal(decimal))).map_err(failed)
}

impl Negator for DecimalVal {
    fn negate<'v>(&self) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Ok(Box::new(DecimalVal(self.0.negate())))
    }
}

impl Comparer for DecimalVal {
    fn compare(&self, right: &dyn Val) -> Result<Ordering, ExecutionError> {
        decimal_of(right).map(|other| self.0.cmp(&other)).ok_or_else(|| mismatch(self, right))
    }
}

impl Comparer for Moment {
    fn compare(&self, right: &dyn Val) -> Result<Ordering, ExecutionError> {
        let right = right.downcast_ref::<Moment>().ok_or_else(|| mismatch(self, right))?;
        Ok(self.0.cmp(&right.0))
    }
}

impl Comparer for Span {
    fn compare(&self, right: &dyn Val) -> Result<Ordering, ExecutionError> {
        let right = right.downcast_ref::<Span>().ok_or_else(|| mismatch(self, right))?;
        Ok(self.0.cmp(&right.0))
    }
}

fn moment<'b, 'v>(moment: Result<Timestamp, jiff::Error>) -> Outcome<'b, 'v> {
    moment.map(|at| CowVal::owned(Moment(at))).map_err(|_| failed("this date-time is beyond the calendar"))
}

fn span<'b, 'v>(span: Option<SignedDuration>) -> Outcome<'b, 'v> {
    span.map(|span| CowVal::owned(Span(span))).ok_or_else(|| failed("this duration is too long"))
}

impl Adder for Moment {
    fn add<'b, 'v>(&'b self, right: &(dyn Val + 'v)) -> Outcome<'b, 'v>
    where
        Self: 'v,
    {
        let right = right.downcast_ref::<Span>().ok_or_else(|| mismatch(self, right))?;
        moment(self.0.checked_add(right.0))
    }
}

impl Subtractor for Moment {
    fn sub<'b, 'v>(&'b self, right: &(dyn Val + 'v)) -> Outcome<'b, 'v>
    where
        Self: 'v,
    {
        if let Some(other) = right.downcast_ref::<Moment>() {
            return span(Some(self.0.duration_since(other.0)));
        }
        let right = right.downcast_ref::<Span>().ok_or_else(|| mismatch(self, right))?;
        moment(self.0.checked_sub(right.0))
    }
}

impl Adder for Span {
    fn add<'b, 'v>(&'b self, right: &(dyn Val + 'v)) -> Outcome<'b, 'v>
    where
        Self: 'v,
    {
        if let Some(at) = right.downcast_ref::<Moment>() {
            return moment(at.0.checked_add(self.0));
        }
        let right = right.downcast_ref::<Span>().ok_or_else(|| mismatch(self, right))?;
        span(self.0.checked_add(right.0))
    }
}

impl Subtractor for Span {
    fn sub<'b, 'v>(&'b self, right: &(dyn Val + 'v)) -> Outcome<'b, 'v>
    where
        Self: 'v,
    {
        let right = right.downcast_ref::<Span>().ok_or_else(|| mismatch(self, right))?;
        span(self.0.checked_sub(right.0))
    }
}

impl Negator for Span {
    fn negate<'v>(&self) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let negated = self.0.checked_neg().ok_or_else(|| failed("this duration is too long"))?;
        Ok(Box::new(Span(negated)))
    }
}

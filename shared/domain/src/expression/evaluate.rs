//! An expression meets a record: values bound by hand, errors in words that hold no value.

use std::sync::Arc;

use cel::common::types::{CelBool, CelInt, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, ExecutionError};

use super::cost::{Matching, most_elements};
use super::functions::ENVIRONMENT;
use super::json::JsonSeen;
use super::scene::{EvaluationError, Scene, Side, Slot};
use super::values::{DecimalVal, Moment};
use super::{Compiled, Constant};
use crate::Value;

/// The name that stands for how many elements a comprehension may go over.
pub(super) const LIMIT: &str = "@limit";

/// The name that stands for how much matching the patterns may still do.
pub(super) const MATCHING: &str = "@matching";

/// The values of one evaluation, by the numbers they have in the tree.
struct Bound<'s> {
    slots: Vec<Option<Given<'s>>>,
    constants: &'s [Constant],
    limit: CelInt,
    matching: Matching,
}

/// A value that the record gives.
enum Given<'s> {
    Own(Box<dyn Val + 's>),
    /// One that was costly to read: JSON.
    Shared(Arc<dyn Val>),
}

impl VariableResolver for Bound<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(number) = variable.strip_prefix("@v") {
            let slot = self.slots.get(number.parse::<usize>().ok()?)?;
            return Some(CowVal::Borrowed(match slot.as_ref()? {
                Given::Own(value) => value.as_ref(),
                Given::Shared(value) => value.as_ref(),
            }));
        }
        if variable == LIMIT {
            return Some(CowVal::Borrowed(&self.limit));
        }
        if variable == MATCHING {
            return Some(CowVal::Borrowed(&self.matching));
        }
        let number = variable.strip_prefix("@c")?.parse::<usize>().ok()?;
        self.constants.get(number).map(|constant| CowVal::Borrowed(constant.val()))
    }
}

fn bind<'s>(slot: &Slot, scene: &Scene<'s>, seen: &JsonSeen) -> Option<Given<'s>> {
    let own: Box<dyn Val + 's> = match slot {
        Slot::IsNull(side) => Box::new(CelBool::from(scene.record(*side).is_none())),
        Slot::Field(side, field) => match scene.record(*side)?.get(field) {
            None => Box::new(CelNull),
            Some(Value::Text(text)) => Box::new(CelString::from(text.as_str())),
            Some(Value::Integer(number)) => Box::new(CelInt::from(*number)),
            Some(Value::Decimal(number)) => Box::new(DecimalVal(number.clone())),
            Some(Value::Boolean(is)) => Box::new(CelBool::from(*is)),
            Some(Value::DateTime(at)) => Box::new(Moment(*at)),
            Some(Value::Lookup(id)) => Box::new(CelString::from(id.to_string())),
            Some(Value::Json(text)) => return Some(Given::Shared(seen.value(*side, *field, text))),
            // The clear text never gets here: an expression may only ask whether there is one.
            Some(Value::Encrypted(_)) => Box::new(CelBool::from(true)),
        },
    };
    Some(Given::Own(own))
}

fn evaluate<R>(
    compiled: &Compiled,
    scene: &Scene<'_>,
    seen: &JsonSeen,
    read: impl FnOnce(&dyn Val) -> Result<R, EvaluationError>,
) -> Result<R, EvaluationError> {
    let elements = most_elements(&compiled.slots, &compiled.uses, scene)?;
    let limit = CelInt::from(i64::try_from(elements).unwrap_or(i64::MAX));
    let slots = compiled.slots.iter().map(|slot| bind(slot, scene, seen)).collect();
    let bound = Bound { slots, constants: &compiled.constants, limit, matching: Matching::whole() };
    let mut context = Context::with_env(ENVIRONMENT.clone());
    context.set_variable_resolver(&bound);
    let value =
        cel::Value::resolve_val(&compiled.tree, &context).map_err(|error| explain(compiled, &error))?;
    read(value.as_ref())
}

pub(super) fn holds(
    compiled: &Compiled,
    scene: &Scene<'_>,
    seen: &JsonSeen,
) -> Result<bool, EvaluationError> {
    evaluate(compiled, scene, seen, |value| match value.downcast_ref::<CelBool>() {
        Some(is) => Ok(*is.inner()),
        None => Err(EvaluationError::new(format!(
            "this must be true or false, and it is {}",
            kind_in_words(value.get_type().name())
        ))),
    })
}

pub(super) fn value(
    compiled: &Compiled,
    scene: &Scene<'_>,
    seen: &JsonSeen,
) -> Result<Option<Value>, EvaluationError> {
    evaluate(compiled, scene, seen, |value| {
        if value.downcast_ref::<CelNull>().is_some() {
            return Ok(None);
        }
        let found = if let Some(text) = value.downcast_ref::<CelString<'_>>() {
            Value::Text(text.inner().to_owned())
        } else if let Some(number) = value.downcast_ref::<CelInt>() {
            Value::Integer(*number.inner())
        } else if let Some(number) = value.downcast_ref::<DecimalVal>() {
            Value::Decimal(number.0.clone())
        } else if let Some(is) = value.downcast_ref::<CelBool>() {
            Value::Boolean(*is.inner())
        } else if let Some(at) = value.downcast_ref::<Moment>() {
            Value::DateTime(at.0)
        } else {
            let kind = kind_in_words(value.get_type().name());
            return Err(EvaluationError::new(format!("no field can hold {kind}")));
        };
        Ok(Some(found))
    })
}

fn kind_in_words(cel_type: &str) -> &str {
    match cel_type {
        "null_type" => "null",
        "bool" => "true or false",
        "int" => "a whole number",
        "decimal" => "a decimal",
        "double" => "a double",
        "string" => "a text",
        "timestamp" => "a date-time",
        "duration" => "a duration",
        "list" => "a list",
        "map" => "a map",
        other => other,
    }
}

/// The operator or function as it is written.
fn written(function: &str) -> String {
    match function {
        "@add" => "+".to_owned(),
        "@in" => "in".to_owned(),
        "_[_]" => "[ ]".to_owned(),
        "_?_:_" => "? :".to_owned(),
        "_._" => ".".to_owned(),
        "add" => "+".to_owned(),
        "sub" => "-".to_owned(),
        "mul" => "*".to_owned(),
        "div" => "/".to_owned(),
        "rem" => "%".to_owned(),
        other => other.trim_matches('_').trim_start_matches('@').to_owned(),
    }
}

fn explain(compiled: &Compiled, error: &ExecutionError) -> EvaluationError {
    let message = match error {
        ExecutionError::NoSuchOverload(overload) => {
            let kinds: Vec<&str> = overload.argument_types().iter().map(|kind| kind_in_words(kind)).collect();
            format!("'{}' has no answer for {}", written(overload.function()), kinds.join(" and "))
        }
        ExecutionError::UndeclaredReference(name) => {
            let number = name.strip_prefix("@v").and_then(|number| number.parse::<usize>().ok());
            match number.and_then(|number| compiled.slots.get(number)) {
                Some(Slot::Field(Side::Old, _)) => "'old' is null here".to_owned(),
                Some(Slot::Field(Side::New, _)) => "'new' is null here".to_owned(),
                _ => "an unknown name".to_owned(),
            }
        }
        ExecutionError::FunctionError { message, .. } => message.clone(),
        ExecutionError::NoSuchKey(_) => "a JSON value has no such key".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "a division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a whole number beyond 64 bits".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "an index beyond the end of its list".to_owned(),
        ExecutionError::UnexpectedType { got, want } => {
            format!("this needs {}, and it got {}", kind_in_words(want), kind_in_words(got))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => {
            let operator = written(operator);
            format!("'{operator}' has no answer where a value is missing or of another kind")
        }
        _ => "a value is missing or of another kind than this needs".to_owned(),
    };
    EvaluationError::new(message)
}

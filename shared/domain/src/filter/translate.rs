//! From the checked tree to conditions.
//!
//! CEL knows true, false and errors; `&&` and `||` pass an error by where the other side decides. So a tree is asked twice: when
//! is it true (`when(true)`), when is it false (`when(false)`); an error is neither. Negation changes the question and is gone.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use super::condition::{CompareOp, Condition};
use crate::expression::{Constant, Expression, Slot};
use crate::{Decimal, Field, FieldId, FieldKind, FormulaResult, Table, Value};

/// A condition made of more tests than this is not pushed: databases count them.
const MAX_TESTS: usize = 150;

/// Values that one `In` may have.
const MAX_IN_VALUES: usize = 100;

/// The condition that is true of exactly the records for which `expression` holds, if there is one.
pub(super) fn translate(expression: &Expression, table: &Table) -> Option<Condition> {
    let translator = Translator { expression, table };
    translator.when(expression.tree(), true).filter(|condition| condition.size() <= MAX_TESTS)
}

struct Translator<'e> {
    expression: &'e Expression,
    table: &'e Table,
}

/// One side of a comparison.
enum Side<'t> {
    Field(&'t Field),
    Value(Value),
    Null,
}

/// What a comparison with a value comes to for a field that has a value.
enum Comparison {
    Same(CompareOp, Value),
    Always,
    Never,
}

impl Translator<'_> {
    fn when(&self, node: &IdedExpr, answer: bool) -> Option<Condition> {
        match &node.expr {
            Expr::Literal(LiteralValue::Boolean(is)) => {
                Some(if *is.inner() == answer { Condition::True } else { Condition::False })
            }
            Expr::Ident(_) => {
                let field = self.field(node)?;
                is_boolean(field).then(|| equals(field.id, CompareOp::Eq, Value::Boolean(answer)))
            }
            Expr::Call(call) => self.call(call, answer),
            _ => None,
        }
    }

    fn call(&self, call: &CallExpr, answer: bool) -> Option<Condition> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, [operand]) => self.when(operand, !answer),
            (name @ (operators::LOGICAL_AND | operators::LOGICAL_OR), [left, right]) => {
                let parts = vec![self.when(left, answer)?, self.when(right, answer)?];
                let every = (name == operators::LOGICAL_AND) == answer;
                Some(if every { Condition::all(parts) } else { Condition::any(parts) })
            }
            (operators::CONDITIONAL, [condition, yes, no]) => Some(Condition::any(vec![
                Condition::all(vec![self.when(condition, true)?, self.when(yes, answer)?]),
                Condition::all(vec![self.when(condition, false)?, self.when(no, answer)?]),
            ])),
            (operators::IN, [element, list]) => self.membership(element, list, answer),
            ("startsWith", [text, part]) if answer => {
                let (field, prefix) = self.text_test(text, part)?;
                Some(match prefix.is_empty() {
                    true => Condition::Exists(field),
                    false => Condition::StartsWith { field, prefix },
                })
            }
            ("contains", [text, part]) if answer => {
                let (field, part) = self.text_test(text, part)?;
                Some(match part.is_empty() {
                    true => Condition::Exists(field),
                    false => Condition::Contains { field, part },
                })
            }
            (operator, [left, right]) => {
                let op = compare_op(operator)?;
                let (left, right) = (self.side(left)?, self.side(right)?);
                match (left, right) {
                    (Side::Field(field), other) => compare(field, op, other, answer),
                    (other, Side::Field(field)) => compare(field, op.turned(), other, answer),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn membership(&self, element: &IdedExpr, list: &IdedExpr, answer: bool) -> Option<Condition> {
        let field = self.field(element)?;
        let Expr::List(list) = &list.expr else { return None };
        let (mut values, mut null) = (Vec::new(), false);
        for element in &list.elements {
            match self.side(element)? {
                Side::Null => null = true,
                Side::Field(_) => return None,
                Side::Value(value) => match fitted(field, CompareOp::Eq, value)? {
                    Comparison::Same(_, value) if !values.contains(&value) => values.push(value),
                    Comparison::Always => return None,
                    _ => {}
                },
            }
        }
        let field = field.id;
        if answer {
            let mut parts: Vec<Condition> = values
                .chunks(MAX_IN_VALUES)
                .map(|values| Condition::In { field, values: values.to_vec() })
                .collect();
            if null {
                parts.push(Condition::Missing(field));
            }
            return Some(Condition::any(parts));
        }
        let others = values.into_iter().map(|value| equals(field, CompareOp::Ne, value));
        let there = Condition::all(std::iter::once(Condition::Exists(field)).chain(others).collect());
        Some(if null { there } else { Condition::any(vec![Condition::Missing(field), there]) })
    }

    /// A text field and a literal that is not null.
    fn text_test(&self, text: &IdedExpr, part: &IdedExpr) -> Option<(FieldId, String)> {
        let field = self.field(text)?;
        match self.side(part)? {
            Side::Value(Value::Text(part)) if is_text(field) => Some((field.id, part)),
            _ => None,
        }
    }

    fn field(&self, node: &IdedExpr) -> Option<&Field> {
        let Expr::Ident(name) = &node.expr else { return None };
        let number = name.strip_prefix("@v")?.parse::<usize>().ok()?;
        self.table.field_by_id(self.expression.slots().get(number).and_then(Slot::field)?)
    }

    fn side(&self, node: &IdedExpr) -> Option<Side<'_>> {
        match &node.expr {
            Expr::Literal(LiteralValue::Null) => Some(Side::Null),
            Expr::Literal(LiteralValue::Int(number)) => Some(Side::Value(Value::Integer(*number.inner()))),
            Expr::Literal(LiteralValue::String(text)) => {
                Some(Side::Value(Value::Text(text.inner().to_owned())))
            }
            Expr::Literal(LiteralValue::Boolean(is)) => Some(Side::Value(Value::Boolean(*is.inner()))),
            Expr::Ident(name) => match name.strip_prefix("@c") {
                Some(number) => {
                    let constant = self.expression.constants().get(number.parse::<usize>().ok()?)?;
                    Constant::value(constant).map(Side::Value)
                }
                None => self.field(node).map(Side::Field),
            },
            // A whole number, made a decimal for what stands on the other side.
            Expr::Call(call) if call.func_name == "@decimal" => {
                call.args.first().and_then(|inner| self.side(inner))
            }
            Expr::Call(call) if call.func_name == operators::NEGATE => match self.side(call.args.first()?)? {
                Side::Value(Value::Integer(number)) => {
                    Some(Side::Value(Value::Integer(number.checked_neg()?)))
                }
                Side::Value(Value::Decimal(number)) => Some(Side::Value(Value::Decimal(number.negate()))),
                _ => None,
            },
            _ => None,
        }
    }
}

fn equals(field: FieldId, op: CompareOp, value: Value) -> Condition {
    Condition::Compare { field, op, value }
}

/// When a field compared with `other` answers so.
fn compare(field: &Field, op: CompareOp, other: Side<'_>, answer: bool) -> Option<Condition> {
    let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
    let value = match other {
        Side::Field(_) => return None,
        Side::Null if !equality || matches!(field.kind, FieldKind::Json) => return None,
        Side::Null => {
            let missing = (op == CompareOp::Eq) == answer;
            return Some(if missing { Condition::Missing(field.id) } else { Condition::Exists(field.id) });
        }
        Side::Value(value) => value,
    };
    let op = if answer { op } else { op.negated() };
    let there = match fitted(field, op, value)? {
        Comparison::Same(op, value) => equals(field.id, op, value),
        Comparison::Always => Condition::Exists(field.id),
        Comparison::Never => Condition::False,
    };
    // Null is another value than any, and neither less nor more.
    Some(match (op, there) {
        (CompareOp::Ne, Condition::Exists(_)) => Condition::True,
        (CompareOp::Ne, there) => Condition::any(vec![Condition::Missing(field.id), there]),
        (_, there) => there,
    })
}

/// The comparison with a value of the field's own kind, if the database orders such values as CEL does.
fn fitted(field: &Field, op: CompareOp, value: Value) -> Option<Comparison> {
    let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
    let value = match (&field.kind, value) {
        (FieldKind::Lookup { .. }, Value::Text(text)) if equality => match text.parse() {
            Ok(id) => Value::Lookup(id),
            Err(_) if op == CompareOp::Eq => return Some(Comparison::Never),
            Err(_) => return Some(Comparison::Always),
        },
        (FieldKind::Lookup { .. }, _) => return None,
        (_, value @ Value::Text(_)) if is_text(field) => value,
        (_, value @ Value::Boolean(_)) if is_boolean(field) && equality => value,
        (FieldKind::DateTime, value @ Value::DateTime(_)) => value,
        (_, Value::Integer(number)) if is_whole(field) => Value::Integer(number),
        (_, Value::Decimal(number)) if is_whole(field) => return whole(op, &number),
        (_, Value::Integer(number)) if field.is_number() => Value::Decimal(Decimal::from(number)),
        (_, value @ Value::Decimal(_)) if field.is_number() => value,
        _ => return None,
    };
    Some(Comparison::Same(op, value))
}

/// A whole number compared with a decimal: the same comparison with the next whole number.
fn whole(op: CompareOp, number: &Decimal) -> Option<Comparison> {
    let fraction = number.remainder(&Decimal::from(1)).ok()?;
    let towards_zero = number.subtract(&fraction).ok()?;
    let negative = *number < Decimal::zero();
    let Some(near) = towards_zero.to_i64() else {
        // Beyond 64 bits: every whole number lies on one side.
        let always = match op {
            CompareOp::Eq => false,
            CompareOp::Ne => true,
            CompareOp::Lt | CompareOp::Le => !negative,
            CompareOp::Gt | CompareOp::Ge => negative,
        };
        return Some(if always { Comparison::Always } else { Comparison::Never });
    };
    if fraction == Decimal::zero() {
        return Some(Comparison::Same(op, Value::Integer(near)));
    }
    // Between `near` and the next one away from zero. Beyond the last one `near` itself is the last.
    Some(match (op, negative) {
        (CompareOp::Eq, _) => Comparison::Never,
        (CompareOp::Ne, _) => Comparison::Always,
        (CompareOp::Lt | CompareOp::Le, false) => Comparison::Same(CompareOp::Le, Value::Integer(near)),
        (CompareOp::Lt | CompareOp::Le, true) => Comparison::Same(CompareOp::Lt, Value::Integer(near)),
        (CompareOp::Gt | CompareOp::Ge, false) => Comparison::Same(CompareOp::Gt, Value::Integer(near)),
        (CompareOp::Gt | CompareOp::Ge, true) => Comparison::Same(CompareOp::Ge, Value::Integer(near)),
    })
}

fn compare_op(operator: &str) -> Option<CompareOp> {
    Some(match operator {
        operators::EQUALS => CompareOp::Eq,
        operators::NOT_EQUALS => CompareOp::Ne,
        operators::LESS => CompareOp::Lt,
        operators::LESS_EQUALS => CompareOp::Le,
        operators::GREATER => CompareOp::Gt,
        operators::GREATER_EQUALS => CompareOp::Ge,
        _ => return None,
    })
}

fn is_boolean(field: &Field) -> bool {
    matches!(field.kind, FieldKind::Boolean | FieldKind::Formula { result: FormulaResult::Boolean, .. })
}

fn is_whole(field: &Field) -> bool {
    matches!(
        field.kind,
        FieldKind::Integer { .. } | FieldKind::Formula { result: FormulaResult::Integer, .. }
    )
}

/// Whether values are texts as they are written (a lookup's are ids).
fn is_text(field: &Field) -> bool {
    matches!(
        field.kind,
        FieldKind::Text(_)
            | FieldKind::TextArea(_)
            | FieldKind::Email(_)
            | FieldKind::Url(_)
            | FieldKind::Picklist { .. }
            | FieldKind::Formula { result: FormulaResult::Text, .. }
    )
}

//! What may stand on the two sides of an operator, and what is done so that it can.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use super::check::{Check, Checker, Constant, Literal, Typed, as_decimal, call_node, called, negated};
use super::functions::read_moment;
use super::kind::Kind;
use super::scan::HAS;
use super::values::Moment;

impl Checker<'_> {
    pub(super) fn call(&mut self, id: u64, call: &CallExpr) -> Check<Typed> {
        let name = call.func_name.as_str();
        if call.target.is_some() {
            return self.function(id, call);
        }
        match (name, call.args.as_slice()) {
            (HAS, args) => self.has(id, args),
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                let (left, right) = (self.truth(left)?, self.truth(right)?);
                Ok(called(id, name, vec![left, right], Kind::Boolean))
            }
            (operators::LOGICAL_NOT, [operand]) => {
                let operand = self.truth(operand)?;
                Ok(negated(id, operand))
            }
            (operators::NOT_STRICTLY_FALSE, [operand]) => {
                let operand = self.truth(operand)?;
                Ok(called(id, name, vec![operand], Kind::Boolean))
            }
            (operators::NEGATE, [operand]) => self.negative(id, operand),
            (operators::CONDITIONAL, [condition, yes, no]) => self.conditional(id, condition, yes, no),
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                self.equality(id, name, left, right)
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [left, right],
            ) => self.order(id, name, left, right),
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                [left, right],
            ) => self.arithmetic(id, name, left, right),
            (operators::IN, [element, container]) => self.membership(id, element, container),
            (operators::INDEX, [container, index]) => self.index(id, container, index),
            _ => self.function(id, call),
        }
    }

    /// An operand that must be true or false.
    fn truth(&mut self, node: &IdedExpr) -> Check<IdedExpr> {
        let operand = self.walk(node)?;
        match operand.kind {
            Kind::Boolean | Kind::Any => Ok(operand.node),
            other => self.fault(node.id, format!("true or false is needed here, and this is {other}")),
        }
    }

    fn negative(&mut self, id: u64, node: &IdedExpr) -> Check<Typed> {
        let operand = self.walk(node)?;
        if operand.kind.is_number() || matches!(operand.kind, Kind::Span | Kind::Any) {
            return Ok(called(id, operators::NEGATE, vec![operand.node], operand.kind));
        }
        self.fault(id, format!("{} has no negative", operand.kind))
    }

    fn conditional(&mut self, id: u64, condition: &IdedExpr, yes: &IdedExpr, no: &IdedExpr) -> Check<Typed> {
        let condition = self.truth(condition)?;
        let (yes, no) = (self.walk(yes)?, self.walk(no)?);
        if [&yes.kind, &no.kind].iter().any(|kind| matches!(kind, Kind::Sealed | Kind::Record)) {
            return self.fault(id, "encrypted text and whole records are no answer of '? :'");
        }
        let (yes, no) = self.pair(id, "? :", yes, no)?;
        let kind = match (&yes.kind, &no.kind) {
            (Kind::Any, _) | (_, Kind::Any) => Kind::Any,
            (yes, no) => wider(yes, no),
        };
        Ok(called(id, operators::CONDITIONAL, vec![condition, yes.node, no.node], kind))
    }

    fn equality(&mut self, id: u64, operator: &str, left: &IdedExpr, right: &IdedExpr) -> Check<Typed> {
        let (left, right) = (self.walk(left)?, self.walk(right)?);
        match (&left.kind, &right.kind) {
            (Kind::Record, Kind::Null) | (Kind::Null, Kind::Record) => {
                let record = if left.kind == Kind::Record { left.node } else { right.node };
                if operator == operators::EQUALS {
                    return Ok(Typed { node: record, kind: Kind::Boolean, literal: None });
                }
                return Ok(negated(id, record));
            }
            (Kind::Record, _) | (_, Kind::Record) => {
                return self.fault(id, "a whole record is compared only with null: compare its fields");
            }
            (Kind::Null, _) | (_, Kind::Null) => {
                return Ok(called(id, operator, vec![left.node, right.node], Kind::Boolean));
            }
            _ => {}
        }
        let (left, right) = self.pair(id, &written(operator), left, right)?;
        Ok(called(id, operator, vec![left.node, right.node], Kind::Boolean))
    }

    fn order(&mut self, id: u64, operator: &str, left: &IdedExpr, right: &IdedExpr) -> Check<Typed> {
        let (left, right) = (self.walk(left)?, self.walk(right)?);
        let shown = written(operator);
        if let Some(other) = [&left.kind, &right.kind].into_iter().find(|kind| !kind.is_ordered()) {
            return self.fault(id, format!("{other} has no order, so '{shown}' has no answer"));
        }
        let (left, right) = self.pair(id, &shown, left, right)?;
        Ok(called(id, operator, vec![left.node, right.node], Kind::Boolean))
    }

    fn arithmetic(&mut self, id: u64, operator: &str, left: &IdedExpr, right: &IdedExpr) -> Check<Typed> {
        let before = self.reads.len();
        let (left, right) = (self.walk(left)?, self.walk(right)?);
        let time = match (&left.kind, operator, &right.kind) {
            (Kind::Moment, operators::ADD, Kind::Span) | (Kind::Span, operators::ADD, Kind::Moment) => {
                Some(Kind::Moment)
            }
            (Kind::Moment, operators::SUBSTRACT, Kind::Span) => Some(Kind::Moment),
            (Kind::Moment, operators::SUBSTRACT, Kind::Moment) => Some(Kind::Span),
            (Kind::Span, operators::ADD | operators::SUBSTRACT, Kind::Span) => Some(Kind::Span),
            _ => None,
        };
        if let Some(kind) = time {
            return Ok(called(id, operator, vec![left.node, right.node], kind));
        }
        let (left, right) = self.pair(id, &written(operator), left, right)?;
        let kind = wider(&left.kind, &right.kind);
        let fits = match &kind {
            Kind::Integer | Kind::Decimal | Kind::Any => true,
            Kind::Double => operator != operators::MODULO,
            Kind::Text | Kind::List(_) => operator == operators::ADD,
            _ => false,
        };
        if !fits {
            return self.fault(id, format!("'{}' is not for {kind}", written(operator)));
        }
        if matches!(kind, Kind::Any | Kind::List(_)) {
            self.copied(before, &kind);
        }
        // Texts are joined under a limit; of lists it is known what they copy.
        let function = match (operator, &kind) {
            (operators::ADD, Kind::Text | Kind::Any) => "@add",
            _ => operator,
        };
        Ok(called(id, function, vec![left.node, right.node], kind))
    }

    fn membership(&mut self, id: u64, element: &IdedExpr, container: &IdedExpr) -> Check<Typed> {
        let element = self.walk(element)?;
        let mut container = self.walk(container)?;
        if matches!(element.kind, Kind::Decimal | Kind::Double) {
            return self.fault(id, "'in' is not for decimals: compare them one by one with '==' and '||'");
        }
        let fits = match (&element.kind, &container.kind) {
            (Kind::Sealed | Kind::Record | Kind::List(_) | Kind::Map | Kind::Null, _) => false,
            (_, Kind::List(of)) if **of == element.kind || **of == Kind::Null => true,
            (Kind::Any, Kind::List(of)) => {
                if **of == Kind::Integer {
                    container = decimals(container);
                }
                true
            }
            (Kind::Text | Kind::Any, Kind::Map) => true,
            (Kind::Text | Kind::Boolean | Kind::Any, Kind::Any) => true,
            (Kind::Text | Kind::Boolean, Kind::List(of)) => **of == Kind::Any,
            (Kind::Integer, container_kind) if of_json(container_kind) => {
                let args = vec![as_decimal(element).node, container.node];
                return Ok(called(id, operators::IN, args, Kind::Boolean));
            }
            _ => false,
        };
        if !fits {
            return self.fault(id, format!("{} can never be in {}", element.kind, content(&container.kind)));
        }
        Ok(called(id, operators::IN, vec![element.node, container.node], Kind::Boolean))
    }

    fn index(&mut self, id: u64, container: &IdedExpr, index: &IdedExpr) -> Check<Typed> {
        let (container, index) = (self.walk(container)?, self.walk(index)?);
        let kind = match (&container.kind, &index.kind) {
            (Kind::List(of), Kind::Integer) => (**of).clone(),
            (Kind::Map, Kind::Text) | (Kind::Any, Kind::Integer | Kind::Text) => Kind::Any,
            (container, index) => return self.fault(id, format!("{container} has no place for {index}")),
        };
        Ok(called(id, operators::INDEX, vec![container.node, index.node], kind))
    }

    /// Brings two sides to one kind, or says why they never are.
    pub(super) fn pair(
        &mut self,
        id: u64,
        operator: &str,
        left: Typed,
        right: Typed,
    ) -> Check<(Typed, Typed)> {
        let mismatch = format!("'{operator}' never fits between {} and {}", left.kind, right.kind);
        match (left.kind.clone(), right.kind.clone()) {
            (Kind::Sealed, _) | (_, Kind::Sealed) => {
                self.fault(id, "encrypted text may only be compared with null, or asked for with has()")
            }
            (Kind::Record, _) | (_, Kind::Record) => self.fault(id, mismatch),
            (Kind::Decimal, Kind::Double) => Ok((self.double(id, left)?, right)),
            (Kind::Double, Kind::Decimal) => Ok((left, self.double(id, right)?)),
            (Kind::Integer, Kind::Double) => Ok((self.double(id, left)?, right)),
            (Kind::Double, Kind::Integer) => Ok((left, self.double(id, right)?)),
            (Kind::Decimal | Kind::Any, Kind::Integer) => Ok((left, as_decimal(right))),
            (Kind::Integer, Kind::Decimal | Kind::Any) => Ok((as_decimal(left), right)),
            (Kind::Moment, Kind::Text) => Ok((left, self.moment(id, right, mismatch)?)),
            (Kind::Text, Kind::Moment) => Ok((self.moment(id, left, mismatch)?, right)),
            (Kind::List(a), Kind::List(b)) if a == b || *a == Kind::Null || *b == Kind::Null => {
                Ok((left, right))
            }
            (a, b) if a == b => Ok((left, right)),
            (Kind::Null, _) | (_, Kind::Null) if operator == "? :" => Ok((left, right)),
            (Kind::Any, Kind::Double | Kind::Moment | Kind::Span)
            | (Kind::Double | Kind::Moment | Kind::Span, Kind::Any) => {
                let message = format!("{mismatch}: say decimal(..) or timestamp(..) around the JSON value");
                self.fault(id, message)
            }
            (Kind::Any, Kind::Null) | (Kind::Null, Kind::Any) => self.fault(id, mismatch),
            (Kind::Any, Kind::List(of)) => {
                Ok((left, if *of == Kind::Integer { decimals(right) } else { right }))
            }
            (Kind::List(of), Kind::Any) => {
                Ok((if *of == Kind::Integer { decimals(left) } else { left }, right))
            }
            (Kind::Any, _) | (_, Kind::Any) => Ok((left, right)),
            _ => self.fault(id, mismatch),
        }
    }

    /// A literal beside a double as a double; anything else must say so itself.
    fn double(&mut self, id: u64, typed: Typed) -> Check<Typed> {
        let number = match typed.literal {
            Some(Literal::Number(number)) => number,
            Some(Literal::Integer(number)) if number.unsigned_abs() < 1 << 53 => number as f64,
            _ => {
                let message =
                    format!("{} and a double do not mix: say decimal(..) or double(..)", typed.kind);
                return self.fault(id, message);
            }
        };
        let node = IdedExpr { id, expr: Expr::Literal(LiteralValue::Double(number.into())) };
        Ok(Typed { node, kind: Kind::Double, literal: None })
    }

    /// A text literal beside a date-time is one.
    fn moment(&mut self, id: u64, typed: Typed, mismatch: String) -> Check<Typed> {
        let Some(Literal::Text(text)) = &typed.literal else {
            return self.fault(id, format!("{mismatch}: say timestamp(..)"));
        };
        match read_moment(text) {
            Some(at) => Ok(self.constant(typed.node.id, Kind::Moment, Constant::Moment(Moment(at)))),
            None => self
                .fault(typed.node.id, "this is no date-time as in RFC 3339, such as '2026-01-31T00:00:00Z'"),
        }
    }
}

/// The operator as it is written.
fn written(operator: &str) -> String {
    operator.trim_matches('_').to_owned()
}

/// The kind of two that were brought to one, null and empty lists aside.
fn wider(left: &Kind, right: &Kind) -> Kind {
    match (left, right) {
        (Kind::Null, other) | (other, Kind::Null) => other.clone(),
        (Kind::List(of), other @ Kind::List(_)) if **of == Kind::Null => other.clone(),
        (Kind::Any, other) => other.clone(),
        _ => left.clone(),
    }
}

/// A list of whole numbers, each as a decimal.
fn decimals(mut list: Typed) -> Typed {
    if let Expr::List(elements) = &mut list.node.expr {
        for element in &mut elements.elements {
            let whole = std::mem::take(element);
            *element = call_node(whole.id, "@decimal", vec![whole]);
        }
        list.kind = Kind::List(Box::new(Kind::Decimal));
    }
    list
}

/// Whether numbers in it are decimals because they may come from JSON.
fn of_json(kind: &Kind) -> bool {
    match kind {
        Kind::List(of) => **of == Kind::Any,
        other => *other == Kind::Any,
    }
}

fn content(kind: &Kind) -> String {
    match kind {
        Kind::List(of) if **of == Kind::Any => "such a list".to_owned(),
        Kind::List(of) => format!("a list whose elements are each {of}"),
        other => other.to_string(),
    }
}

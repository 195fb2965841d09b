//! The tree of an expression, checked and made ready: names become numbered values, literals beside decimals become decimals,
//! functions get the forms `functions` knows. What comes out cannot fail for its shape, only for its values.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo};
use cel::common::value::Val;
use cel::parser::{ParseErrors, Parser};

use super::cost::{MAX_PATTERNS_BYTES, Uses};
use super::kind::Kind;
use super::scan::HAS;
use super::scene::{Side, Slot};
use super::values::{DecimalVal, Moment, Pattern, Span};
use super::{ExpressionFault, Names, ResultKind};
use crate::{Decimal, Table};

/// How deep the tree may be. The evaluator takes some 33 KB of stack per level where it is not optimised, and threads have 2 MiB.
const MAX_TREE_DEPTH: usize = 20;

/// A value that the text itself gives.
#[derive(Debug, Clone)]
pub(crate) enum Constant {
    Decimal(DecimalVal),
    Moment(Moment),
    Span(Span),
    Pattern(Pattern),
}

impl Constant {
    pub(super) fn val(&self) -> &dyn Val {
        match self {
            Constant::Decimal(value) => value,
            Constant::Moment(value) => value,
            Constant::Span(value) => value,
            Constant::Pattern(value) => value,
        }
    }

    /// As a field holds it, where one can.
    pub(crate) fn value(&self) -> Option<crate::Value> {
        match self {
            Constant::Decimal(value) => Some(crate::Value::Decimal(value.0.clone())),
            Constant::Moment(value) => Some(crate::Value::DateTime(value.0)),
            Constant::Span(_) | Constant::Pattern(_) => None,
        }
    }
}

pub(super) struct Checked {
    pub(super) tree: IdedExpr,
    pub(super) constants: Vec<Constant>,
    pub(super) slots: Vec<Slot>,
    /// One per slot.
    pub(super) uses: Vec<Uses>,
    pub(super) pattern_bytes: usize,
    pub(super) kind: ResultKind,
}

pub(super) type Check<T> = Result<T, ExpressionFault>;

/// A part of the tree that is ready.
pub(super) struct Typed {
    pub(super) node: IdedExpr,
    pub(super) kind: Kind,
    pub(super) literal: Option<Literal>,
}

/// What stands in the text itself, where its kind follows what it stands beside.
#[derive(Debug, Clone)]
pub(super) enum Literal {
    Integer(i64),
    /// With a point or an exponent: a decimal, beside doubles a double.
    Number(f64),
    Text(String),
}

/// Parses `parsed` (what the scan made of `text`) and checks it.
pub(super) fn check(text: &str, parsed: &str, names: Names, table: &Table) -> Check<Checked> {
    let (tree, source) = Parser::new()
        .enable_ident_escape_syntax(true)
        .error_recovery_limit(4)
        .parse_with_source_info(parsed)
        .map_err(|errors| parse_fault(text, &errors))?;
    let mut checker = Checker {
        text,
        names,
        table,
        source,
        constants: Vec::new(),
        slots: Vec::new(),
        scope: Vec::new(),
        in_comprehension: false,
        in_body: false,
        uses: Vec::new(),
        reads: Vec::new(),
        range: Vec::new(),
        pattern_room: MAX_PATTERNS_BYTES,
        comprehensions: 0,
        depth: 0,
    };
    let checked = checker.walk(&tree)?;
    if checked.kind == Kind::Record {
        return checker.fault(tree.id, "a whole record is no answer: name a field");
    }
    Ok(Checked {
        kind: checked.kind.result(),
        tree: checked.node,
        constants: checker.constants,
        slots: checker.slots,
        uses: checker.uses,
        pattern_bytes: MAX_PATTERNS_BYTES - checker.pattern_room,
    })
}

/// The first error of the parser, without its list of everything that might have stood there.
fn parse_fault(text: &str, errors: &ParseErrors) -> ExpressionFault {
    let Some(error) = errors.errors.first() else {
        return ExpressionFault::at(text, 0, "this is not an expression");
    };
    let line = usize::try_from(error.pos.0).unwrap_or(1).saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(line).map(|line| line.chars().count()).sum();
    let column = usize::try_from(error.pos.1).unwrap_or(1);
    let message = error.msg.trim_start_matches("Syntax error: ");
    let message = match message.split(" expecting ").next().unwrap_or(message) {
        "invalid int literal" => {
            "a whole number has 64 bits; beside a decimal write a longer one with .0 behind it".to_owned()
        }
        message => message.replace(HAS, "has"),
    };
    let position = (before + column).clamp(1, text.chars().count() + 1);
    ExpressionFault { position: Some(position), message: format!("this is not an expression: {message}") }
}

/// What a part of the tree takes its value from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// A value of the record.
    Slot(usize),
    /// A variable of the comprehension around.
    Element,
}

pub(super) struct Checker<'t> {
    text: &'t str,
    names: Names,
    table: &'t Table,
    source: SourceInfo,
    constants: Vec<Constant>,
    slots: Vec<Slot>,
    /// Variables of the comprehension around, innermost last.
    pub(super) scope: Vec<(String, Kind)>,
    pub(super) in_comprehension: bool,
    /// Whether what is looked at is asked once per element.
    pub(super) in_body: bool,
    uses: Vec<Uses>,
    /// What was read so far, in order.
    pub(super) reads: Vec<Read>,
    /// The slots that the comprehension around goes over.
    pub(super) range: Vec<usize>,
    /// What further patterns may take, bytes.
    pub(super) pattern_room: usize,
    pub(super) comprehensions: usize,
    depth: usize,
}

impl Checker<'_> {
    pub(super) fn fault<T>(&self, id: u64, message: impl Into<String>) -> Check<T> {
        let at = self.source.offset_for(id).map_or(0, |(start, _)| start as usize);
        Err(ExpressionFault::at(self.text, at, message))
    }

    pub(super) fn constant(&mut self, id: u64, kind: Kind, constant: Constant) -> Typed {
        self.constants.push(constant);
        let name = format!("@c{}", self.constants.len() - 1);
        Typed { node: IdedExpr { id, expr: Expr::Ident(name) }, kind, literal: None }
    }

    fn slot(&mut self, id: u64, kind: Kind, slot: Slot) -> Typed {
        let number = self.slots.iter().position(|known| *known == slot).unwrap_or_else(|| {
            self.slots.push(slot);
            self.uses.push(Uses::default());
            self.slots.len() - 1
        });
        self.uses[number].repeated |= self.in_body;
        self.reads.push(Read::Slot(number));
        Typed { node: IdedExpr { id, expr: Expr::Ident(format!("@v{number}")) }, kind, literal: None }
    }

    /// Notes that what was read since there were `before` reads is copied, if it is of a kind that may be long.
    pub(super) fn copied(&mut self, before: usize, kind: &Kind) {
        if !matches!(kind, Kind::Text | Kind::Any | Kind::List(_) | Kind::Map) {
            return;
        }
        for read in &self.reads[before..] {
            match *read {
                Read::Slot(slot) if self.in_body => self.uses[slot].copies_per_element += 1,
                Read::Slot(slot) => self.uses[slot].copies += 1,
                // Each element once: together the whole of what is gone over.
                Read::Element => self.range.iter().for_each(|slot| self.uses[*slot].copies += 1),
            }
        }
    }

    pub(super) fn walk(&mut self, node: &IdedExpr) -> Check<Typed> {
        self.depth += 1;
        if self.depth > MAX_TREE_DEPTH {
            let message = format!(
                "operators may stand in each other's operands {MAX_TREE_DEPTH} deep, and 'a + b + c' is two deep"
            );
            return self.fault(node.id, message);
        }
        let typed = self.node(node)?;
        self.depth -= 1;
        Ok(typed)
    }

    fn node(&mut self, node: &IdedExpr) -> Check<Typed> {
        match &node.expr {
            Expr::Literal(literal) => self.literal(node.id, literal),
            Expr::Ident(name) => self.name(node.id, name),
            Expr::Select(select) => self.select(node.id, select),
            Expr::Call(call) => self.call(node.id, call),
            Expr::List(list) => self.list(node.id, list),
            Expr::Map(map) => self.map(node.id, map),
            Expr::Comprehension(comprehension) => self.comprehension(node.id, comprehension),
            Expr::Struct(_) => self.fault(node.id, "there are no types to construct here"),
            Expr::Unspecified => self.fault(node.id, "this is not an expression"),
        }
    }

    fn literal(&mut self, id: u64, literal: &LiteralValue) -> Check<Typed> {
        let (kind, known) = match literal {
            LiteralValue::Boolean(_) => (Kind::Boolean, None),
            LiteralValue::Null => (Kind::Null, None),
            LiteralValue::Int(number) => (Kind::Integer, Some(Literal::Integer(*number.inner()))),
            LiteralValue::String(text) => (Kind::Text, Some(Literal::Text(text.inner().to_owned()))),
            LiteralValue::Double(number) => return self.number(id, *number.inner()),
            LiteralValue::Bytes(_) => return self.fault(id, "bytes are not known here"),
            LiteralValue::UInt(_) => return self.fault(id, "a whole number is written without 'u'"),
        };
        Ok(Typed { node: IdedExpr { id, expr: Expr::Literal(literal.clone()) }, kind, literal: known })
    }

    /// A literal with a point: read again from the text, because the parser has made a double of it.
    fn number(&mut self, id: u64, double: f64) -> Check<Typed> {
        let (start, stop) = self.source.offset_for(id).unwrap_or_default();
        let digits = self.text.get(start as usize..=stop as usize).unwrap_or_default();
        let digits = if digits.starts_with('.') { format!("0{digits}") } else { digits.to_owned() };
        match digits.parse::<Decimal>() {
            Ok(decimal) => {
                let decimal = if double.is_sign_negative() { decimal.negate() } else { decimal };
                let typed = self.constant(id, Kind::Decimal, Constant::Decimal(DecimalVal(decimal)));
                Ok(Typed { literal: Some(Literal::Number(double)), ..typed })
            }
            Err(error) => self.fault(id, error.to_string()),
        }
    }

    fn field(&mut self, id: u64, side: Side, name: &str) -> Check<Typed> {
        match self.table.field(name) {
            Some(field) => {
                let (kind, slot) = (Kind::of(field), Slot::Field(side, field.id));
                Ok(self.slot(id, kind, slot))
            }
            None => {
                let message = format!("the table '{}' has no field '{name}'", self.table.api_name);
                self.fault(id, message)
            }
        }
    }

    fn name(&mut self, id: u64, name: &str) -> Check<Typed> {
        if let Some((_, kind)) = self.scope.iter().rev().find(|(known, _)| known == name) {
            let node = IdedExpr { id, expr: Expr::Ident(name.to_owned()) };
            self.reads.push(Read::Element);
            return Ok(Typed { node, kind: kind.clone(), literal: None });
        }
        match (self.names, side(name)) {
            (Names::RecordFields, _) => self.field(id, Side::New, name),
            (Names::OldAndNew, Some(side)) => Ok(self.slot(id, Kind::Record, Slot::IsNull(side))),
            (Names::OldAndNew, None) if self.table.field(name).is_some() => {
                self.fault(id, format!("say new.{name} or old.{name}"))
            }
            (Names::OldAndNew, None) => {
                self.fault(id, format!("'{name}' is unknown: there are 'old' and 'new'"))
            }
        }
    }

    fn select(&mut self, id: u64, select: &SelectExpr) -> Check<Typed> {
        let operand = self.walk(&select.operand)?;
        if operand.kind == Kind::Record
            && let Expr::Ident(name) = &select.operand.expr
            && let Some(side) = side(name)
        {
            let field = self.field(id, side, &select.field)?;
            return Ok(if select.test { is_there(id, field) } else { field });
        }
        if !matches!(operand.kind, Kind::Any | Kind::Map) {
            let message = format!("{} has no '{}'", operand.kind, select.field);
            return self.fault(id, message);
        }
        let expr = Expr::Select(SelectExpr {
            operand: Box::new(operand.node),
            field: select.field.clone(),
            test: select.test,
        });
        let kind = if select.test { Kind::Boolean } else { Kind::Any };
        Ok(Typed { node: IdedExpr { id, expr }, kind, literal: None })
    }

    /// `has(age)`, `has(new.age)`, `has(data.key)`.
    pub(super) fn has(&mut self, id: u64, args: &[IdedExpr]) -> Check<Typed> {
        match args {
            [IdedExpr { id, expr: Expr::Select(select) }] if !select.test => {
                self.select(*id, &SelectExpr { test: true, ..select.clone() })
            }
            [argument @ IdedExpr { expr: Expr::Ident(_), .. }] => {
                let field = self.walk(argument)?;
                if field.kind == Kind::Record {
                    return Ok(negated(id, field.node));
                }
                Ok(is_there(id, field))
            }
            _ => self.fault(id, "has() takes one field"),
        }
    }
}

fn side(name: &str) -> Option<Side> {
    match name {
        "old" => Some(Side::Old),
        "new" => Some(Side::New),
        _ => None,
    }
}

pub(super) fn call_node(id: u64, function: &str, args: Vec<IdedExpr>) -> IdedExpr {
    IdedExpr { id, expr: Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args }) }
}

pub(super) fn called(id: u64, function: &str, args: Vec<IdedExpr>, kind: Kind) -> Typed {
    Typed { node: call_node(id, function, args), kind, literal: None }
}

pub(super) fn negated(id: u64, node: IdedExpr) -> Typed {
    called(id, "!_", vec![node], Kind::Boolean)
}

/// Whether a field has a value.
fn is_there(id: u64, field: Typed) -> Typed {
    let null = IdedExpr { id, expr: Expr::Literal(LiteralValue::Null) };
    called(id, "_!=_", vec![field.node, null], Kind::Boolean)
}

/// A whole number as a decimal; anything else as it is.
pub(super) fn as_decimal(typed: Typed) -> Typed {
    if typed.kind != Kind::Integer {
        return typed;
    }
    let id = typed.node.id;
    called(id, "@decimal", vec![typed.node], Kind::Decimal)
}

//! The functions that may be called: what they take, what they give.

use cel::common::ast::{CallExpr, Expr, IdedExpr};

use super::check::{Check, Checker, Constant, Literal, Typed, called};
use super::cost::PATTERN_SIZES;
use super::evaluate::MATCHING;
use super::functions::{read_moment, read_span};
use super::kind::Kind;
use super::pattern::compile_pattern;
use super::values::{DecimalVal, Moment, Pattern, Span};
use crate::Decimal;

/// Parts of a date-time, in UTC.
const PARTS: [&str; 10] = [
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

impl Checker<'_> {
    /// A call by name, `f(x, y)` or `x.f(y)`: to the tree both are the first.
    pub(super) fn function(&mut self, id: u64, call: &CallExpr) -> Check<Typed> {
        let name = call.func_name.as_str();
        let member = call.target.is_some();
        let nodes: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let wanted = match name {
            "size" => 1,
            "int" | "double" | "decimal" | "string" | "timestamp" | "duration" if !member => 1,
            "lowerAscii" | "upperAscii" | "trim" if member => 1,
            "startsWith" | "endsWith" | "contains" if member => 2,
            "matches" => 2,
            part if member && PARTS.contains(&part) => 1,
            other => return self.fault(id, unknown(other, member)),
        };
        if nodes.len() != wanted {
            let given = wanted - usize::from(member);
            return self
                .fault(id, format!("{name}() takes {given} argument{}", if given == 1 { "" } else { "s" }));
        }
        let mut args = Vec::with_capacity(nodes.len());
        for node in &nodes {
            args.push(self.walk(node)?);
        }
        match name {
            "matches" => self.pattern(id, args),
            "timestamp" | "duration" | "decimal" if args[0].literal.is_some() => self.folded(id, name, args),
            _ => self.typed(id, name, args),
        }
    }

    fn typed(&mut self, id: u64, name: &str, args: Vec<Typed>) -> Check<Typed> {
        let (takes, gives): (fn(&Kind) -> bool, Kind) = match name {
            "size" => (|kind| matches!(kind, Kind::Text | Kind::List(_) | Kind::Map), Kind::Integer),
            "int" => (|kind| kind.is_number() || matches!(kind, Kind::Text | Kind::Moment), Kind::Integer),
            "double" => (|kind| kind.is_number() || *kind == Kind::Text, Kind::Double),
            "decimal" => (|kind| kind.is_number() || *kind == Kind::Text, Kind::Decimal),
            "string" => (
                |kind| kind.is_number() || matches!(kind, Kind::Text | Kind::Boolean | Kind::Moment),
                Kind::Text,
            ),
            "timestamp" => (|kind| matches!(kind, Kind::Text | Kind::Moment | Kind::Integer), Kind::Moment),
            "duration" => (|kind| matches!(kind, Kind::Text | Kind::Span), Kind::Span),
            "startsWith" | "endsWith" | "contains" => (|kind| *kind == Kind::Text, Kind::Boolean),
            "lowerAscii" | "upperAscii" | "trim" => (|kind| *kind == Kind::Text, Kind::Text),
            _ => (|kind| *kind == Kind::Moment, Kind::Integer),
        };
        if let Some(wrong) = args.iter().find(|arg| !takes(&arg.kind) && arg.kind != Kind::Any) {
            return self.fault(id, format!("{name}() is not for {}", wrong.kind));
        }
        Ok(called(id, name, args.into_iter().map(|arg| arg.node).collect(), gives))
    }

    /// A literal is read when the expression is saved, so that a wrong one is refused then.
    fn folded(&mut self, id: u64, name: &str, args: Vec<Typed>) -> Check<Typed> {
        let Some(Literal::Text(text)) = &args[0].literal else { return self.typed(id, name, args) };
        let at = args[0].node.id;
        match name {
            "timestamp" => match read_moment(text) {
                Some(moment) => Ok(self.constant(id, Kind::Moment, Constant::Moment(Moment(moment)))),
                None => self.fault(at, "this is no date-time as in RFC 3339, such as '2026-01-31T00:00:00Z'"),
            },
            "duration" => match read_span(text) {
                Some(span) => Ok(self.constant(id, Kind::Span, Constant::Span(Span(span)))),
                None => self.fault(at, "this is no duration: say it like '1h30m'"),
            },
            _ => match text.parse::<Decimal>() {
                Ok(decimal) => Ok(self.constant(id, Kind::Decimal, Constant::Decimal(DecimalVal(decimal)))),
                Err(error) => self.fault(at, error.to_string()),
            },
        }
    }

    /// Compiling a pattern is not bounded by its use, so it is a literal, short, and compiled here once.
    fn pattern(&mut self, id: u64, mut args: Vec<Typed>) -> Check<Typed> {
        let (Some(pattern), Some(text)) = (args.pop(), args.pop()) else {
            return self.fault(id, "matches() takes 1 argument");
        };
        if !matches!(text.kind, Kind::Text | Kind::Any) {
            return self.fault(id, format!("matches() is not for {}", text.kind));
        }
        let Some(Literal::Text(source)) = &pattern.literal else {
            return self.fault(pattern.node.id, "the pattern of matches() must be a text in quotes");
        };
        let at = pattern.node.id;
        match compile_pattern(source, &PATTERN_SIZES, &mut self.pattern_room) {
            Ok((regex, bytes)) => {
                let compiled = self.constant(at, Kind::Text, Constant::Pattern(Pattern { regex, bytes }));
                let matching = IdedExpr { id, expr: Expr::Ident(MATCHING.to_owned()) };
                Ok(called(id, "matches", vec![text.node, compiled.node, matching], Kind::Boolean))
            }
            Err(reason) => self.fault(at, reason),
        }
    }
}

fn unknown(name: &str, member: bool) -> String {
    match name {
        "now" => "there is no 'now': an expression gives the same answer for the same record at any time"
            .to_owned(),
        "all" | "exists" | "exists_one" | "map" | "filter" => {
            format!("{name} is called on a list, with a variable and an expression: list.{name}(x, x > 1)")
        }
        "startsWith" | "endsWith" | "contains" | "lowerAscii" | "upperAscii" | "trim" if !member => {
            format!("{name} is called on a text: name.{name}(..)")
        }
        other if other.starts_with(['@', '_', '!', '-']) => "this is not an expression".to_owned(),
        other => format!("there is no function '{other}'"),
    }
}

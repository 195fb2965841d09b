//! Lists, maps, and what goes over them.

use cel::common::ast::{
    ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, MapEntryExpr, MapExpr,
};

use super::check::{Check, Checker, Read, Typed, as_decimal, call_node};
use super::evaluate::LIMIT;
use super::kind::Kind;

/// `all`, `exists`, `map` and `filter` together that an expression may have.
const MAX_COMPREHENSIONS: usize = 4;

impl Checker<'_> {
    pub(super) fn list(&mut self, id: u64, list: &ListExpr) -> Check<Typed> {
        let mut elements = Vec::with_capacity(list.elements.len());
        for element in &list.elements {
            let element_id = element.id;
            let before = self.reads.len();
            let element = self.walk(element)?;
            self.copied(before, &element.kind);
            if matches!(element.kind, Kind::Sealed | Kind::Record) {
                return self.fault(element_id, format!("{} cannot stand in a list", element.kind));
            }
            elements.push(element);
        }
        let mut kinds = elements.iter().map(|e| &e.kind).filter(|kind| **kind != Kind::Null);
        let of = match kinds.next() {
            None => Kind::Null,
            Some(first) if kinds.all(|kind| kind == first) => first.clone(),
            Some(_) => Kind::Any,
        };
        let elements = elements
            .into_iter()
            .map(|element| if of == Kind::Any { as_decimal(element).node } else { element.node })
            .collect();
        let node = IdedExpr { id, expr: Expr::List(ListExpr::new(elements)) };
        Ok(Typed { node, kind: Kind::List(Box::new(of)), literal: None })
    }

    pub(super) fn map(&mut self, id: u64, map: &MapExpr) -> Check<Typed> {
        let mut entries = Vec::with_capacity(map.entries.len());
        for entry in &map.entries {
            let EntryExpr::MapEntry(given) = &entry.expr else {
                return self.fault(id, "there are no types to construct here");
            };
            let key = self.walk(&given.key)?;
            let before = self.reads.len();
            let value = self.walk(&given.value)?;
            self.copied(before, &value.kind);
            if key.kind != Kind::Text {
                return self.fault(given.key.id, "a map's keys are texts");
            }
            if matches!(value.kind, Kind::Sealed | Kind::Record) {
                return self.fault(given.value.id, format!("{} cannot stand in a map", value.kind));
            }
            let made = MapEntryExpr { key: key.node, value: as_decimal(value).node, optional: false };
            entries.push(IdedEntryExpr { id: entry.id, expr: EntryExpr::MapEntry(made) });
        }
        let node = IdedExpr { id, expr: Expr::Map(MapExpr { entries }) };
        Ok(Typed { node, kind: Kind::Map, literal: None })
    }

    /// `all`, `exists`, `exists_one`, `map`, `filter`, as the parser has written them out.
    pub(super) fn comprehension(&mut self, id: u64, given: &ComprehensionExpr) -> Check<Typed> {
        if self.in_comprehension {
            return self.fault(id, "all, exists, map and filter cannot stand within each other");
        }
        if given.iter_var2.is_some() {
            return self.fault(id, "all, exists, map and filter have one variable here");
        }
        self.comprehensions += 1;
        if self.comprehensions > MAX_COMPREHENSIONS {
            let message =
                format!("an expression has at most {MAX_COMPREHENSIONS} of all, exists, map and filter");
            return self.fault(id, message);
        }
        self.in_comprehension = true;
        let before = self.reads.len();
        let range = self.walk(&given.iter_range)?;
        self.range = slots(&self.reads[before..]);
        let element = match &range.kind {
            Kind::List(of) => (**of).clone(),
            Kind::Any => Kind::Any,
            Kind::Map => Kind::Text,
            other => {
                let message = format!("all, exists, map and filter go over a list, and this is {other}");
                return self.fault(id, message);
            }
        };
        let start = self.walk(&given.accu_init)?;
        self.scope.push((given.accu_var.clone(), start.kind.clone()));
        self.scope.push((given.iter_var.clone(), element));
        self.in_body = true;
        let condition = self.walk(&given.loop_cond)?;
        let step = self.walk(&given.loop_step)?;
        self.in_body = false;
        self.scope.pop();
        if let Some((_, kind)) = self.scope.last_mut() {
            *kind = step.kind;
        }
        let result = self.walk(&given.result)?;
        self.scope.pop();
        self.in_comprehension = false;
        let limit = IdedExpr { id, expr: Expr::Ident(LIMIT.to_owned()) };
        let expr = Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range: call_node(id, "@range", vec![range.node, limit]),
            iter_var: given.iter_var.clone(),
            iter_var2: None,
            accu_var: given.accu_var.clone(),
            accu_init: start.node,
            loop_cond: condition.node,
            loop_step: step.node,
            result: result.node,
        }));
        Ok(Typed { node: IdedExpr { id, expr }, kind: result.kind, literal: None })
    }
}

fn slots(reads: &[Read]) -> Vec<usize> {
    let slot = |read: &Read| match read {
        Read::Slot(slot) => Some(*slot),
        Read::Element => None,
    };
    reads.iter().filter_map(slot).collect()
}

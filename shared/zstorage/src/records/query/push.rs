use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{CompareOp, Condition, FieldId};

use crate::item::{Item, text};
use crate::records::item::{FOLDED, VERSION, attribute_of, field_attribute};

/// DynamoDB takes 4 KB of one expression; some is left for good measure.
const MAX_TEXT_BYTES: usize = 4_000;

/// DynamoDB takes 300 operators and functions in one expression, each AND and OR among them.
const MAX_OPERATORS: usize = 290;

/// DynamoDB takes 100 values behind one IN.
const MAX_IN: usize = 100;

/// DynamoDB takes 2 MB of names and values in one expression; this much of it is ours.
const MAX_VALUES_BYTES: usize = 512 * 1024;

/// What the store is asked to hold back of what it reads, in its language. Names and values stand in it by placeholders only;
/// what does not fit is not taken, and whoever asks looks for himself.
#[derive(Debug, Clone, Default)]
pub(super) struct Pushed {
    terms: Vec<String>,
    operators: usize,
    bytes: usize,
    fields: HashMap<String, String>,
    pub(super) values: Item,
}

impl Pushed {
    /// Takes `condition` in beside what is there, if it fits and is one that can be said.
    pub(super) fn push(&mut self, condition: &Condition) -> bool {
        let mut trial = self.clone();
        let Some(term) = trial.term(condition) else { return false };
        trial.terms.push(term.within(Kind::And));
        trial.keep_if_it_fits(self)
    }

    /// Takes in that the record's folded text has this part.
    pub(super) fn push_search(&mut self, part: &str) -> bool {
        let mut trial = self.clone();
        let (name, value) = (trial.name(FOLDED), trial.value(text(part), part.len()));
        trial.terms.push(format!("contains({name}, {value})"));
        trial.operators += 1;
        trial.keep_if_it_fits(self)
    }

    /// The whole expression; `None` when nothing is asked.
    pub(super) fn text(&self) -> Option<String> {
        (!self.terms.is_empty()).then(|| self.terms.join(" AND "))
    }

    /// What stands for each name.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, placeholder)| (placeholder.as_str(), name.as_str()))
    }

    fn keep_if_it_fits(self, kept: &mut Pushed) -> bool {
        let text_bytes: usize = self.terms.iter().map(|term| term.len() + " AND ".len()).sum();
        // With an AND between each two.
        let operators = self.operators + self.terms.len();
        let fits =
            text_bytes <= MAX_TEXT_BYTES && operators <= MAX_OPERATORS && self.bytes <= MAX_VALUES_BYTES;
        if fits {
            *kept = self;
        }
        fits
    }

    fn term(&mut self, condition: &Condition) -> Option<Term> {
        self.operators += match condition {
            Condition::And(parts) | Condition::Or(parts) => parts.len().saturating_sub(1),
            _ => 1,
        };
        Some(match condition {
            Condition::Compare { field, op, value } => self.compare(*field, *op, attribute_of(value)),
            Condition::In { values, .. } if values.is_empty() || values.len() > MAX_IN => return None,
            Condition::In { field, values } => {
                let name = self.field(*field);
                let values: Vec<String> = values.iter().map(|v| self.any_value(attribute_of(v))).collect();
                Term::atom(format!("{name} IN ({})", values.join(", ")))
            }
            // Every text begins with nothing and has nothing as a part; DynamoDB does not say so.
            Condition::StartsWith { field, prefix: part } | Condition::Contains { field, part }
                if part.is_empty() =>
            {
                Term::atom(format!("attribute_exists({})", self.field(*field)))
            }
            Condition::StartsWith { field, prefix } => self.function("begins_with", *field, prefix),
            Condition::Contains { field, part } => self.function("contains", *field, part),
            Condition::Exists(field) => Term::atom(format!("attribute_exists({})", self.field(*field))),
            Condition::Missing(field) => Term::atom(format!("attribute_not_exists({})", self.field(*field))),
            Condition::And(all) => self.joined(all, Kind::And)?,
            Condition::Or(any) => self.joined(any, Kind::Or)?,
            // Every record has a version. (Its key would do, but may not stand in a filter.)
            Condition::True => Term::atom(format!("attribute_exists({})", self.name(VERSION))),
            Condition::False => Term::atom(format!("attribute_not_exists({})", self.name(VERSION))),
        })
    }

    fn compare(&mut self, field: FieldId, op: CompareOp, value: AttributeValue) -> Term {
        let (name, value) = (self.field(field), self.any_value(value));
        let sign = match op {
            CompareOp::Eq => "=",
            CompareOp::Ne => "<>",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
        };
        Term::atom(format!("{name} {sign} {value}"))
    }

    fn function(&mut self, function: &str, field: FieldId, part: &str) -> Term {
        let (name, value) = (self.field(field), self.value(text(part), part.len()));
        Term::atom(format!("{function}({name}, {value})"))
    }

    fn joined(&mut self, conditions: &[Condition], kind: Kind) -> Option<Term> {
        let mut terms = conditions.iter().map(|one| self.term(one)).collect::<Option<Vec<Term>>>()?;
        match terms.len() {
            0 => None,
            // DynamoDB refuses brackets that do nothing.
            1 => terms.pop(),
            _ => {
                let word = if kind == Kind::And { " AND " } else { " OR " };
                let texts: Vec<String> = terms.into_iter().map(|term| term.within(kind)).collect();
                Some(Term { text: texts.join(word), kind })
            }
        }
    }

    fn field(&mut self, field: FieldId) -> String {
        self.name(&field_attribute(field))
    }

    fn name(&mut self, attribute: &str) -> String {
        let next = format!("#f{}", self.fields.len());
        self.fields.entry(attribute.to_owned()).or_insert(next).clone()
    }

    fn any_value(&mut self, value: AttributeValue) -> String {
        let bytes = match &value {
            AttributeValue::S(value) | AttributeValue::N(value) => value.len(),
            _ => 1,
        };
        self.value(value, bytes)
    }

    fn value(&mut self, value: AttributeValue, bytes: usize) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.bytes += bytes;
        self.values.insert(placeholder.clone(), value);
        placeholder
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Atom,
    And,
    Or,
}

/// A part of an expression, and what holds it together.
struct Term {
    text: String,
    kind: Kind,
}

impl Term {
    fn atom(text: String) -> Term {
        Term { text, kind: Kind::Atom }
    }

    /// As it stands among others joined by `outer`: in brackets where it must be.
    fn within(self, outer: Kind) -> String {
        if self.kind == Kind::Atom || self.kind == outer { self.text } else { format!("({})", self.text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Value;

    fn age(op: CompareOp, than: i64) -> Condition {
        Condition::Compare { field: FieldId(3), op, value: Value::Integer(than) }
    }

    #[test]
    fn conditions_are_said_by_placeholders_and_without_needless_brackets() {
        let check = |conditions: &[Condition], expect: Option<&str>| {
            let mut pushed = Pushed::default();
            assert!(conditions.iter().all(|condition| pushed.push(condition)));
            assert_eq!(pushed.text().as_deref(), expect, "{conditions:?}");
        };
        let (low, high) = (age(CompareOp::Ge, 18), age(CompareOp::Lt, 30));
        let name = FieldId(1);
        check(&[], None);
        check(std::slice::from_ref(&low), Some("#f0 >= :v0"));
        check(&[low.clone(), high.clone()], Some("#f0 >= :v0 AND #f0 < :v1"));
        check(&[Condition::Or(vec![low.clone()])], Some("#f0 >= :v0"));
        let or =
            Condition::Or(vec![low.clone(), Condition::And(vec![high.clone(), Condition::Missing(name)])]);
        check(
            &[or, Condition::Exists(name)],
            Some("(#f0 >= :v0 OR (#f0 < :v1 AND attribute_not_exists(#f1))) AND attribute_exists(#f1)"),
        );
        let begins = |prefix: &str| Condition::StartsWith { field: name, prefix: prefix.into() };
        check(&[begins("Jo"), begins("")], Some("begins_with(#f0, :v0) AND attribute_exists(#f0)"));
        let values = vec![Value::Text("a".into()), Value::Text("b".into())];
        check(&[Condition::In { field: name, values }], Some("#f0 IN (:v0, :v1)"));
    }

    #[test]
    fn what_the_store_would_refuse_is_not_taken_and_leaves_no_trace() {
        let check = |condition: Condition| {
            let mut pushed = Pushed::default();
            assert!(pushed.push(&age(CompareOp::Ge, 1)) && !pushed.push(&condition));
            assert_eq!((pushed.text().as_deref(), pushed.values.len()), (Some("#f0 >= :v0"), 1));
        };
        check(Condition::Or(vec![]));
        check(Condition::In { field: FieldId(1), values: vec![] });
        check(Condition::In { field: FieldId(1), values: (0..101).map(Value::Integer).collect() });
        // As many comparisons as fit, and as many ORs.
        check(Condition::Or((0..146).map(|n| age(CompareOp::Eq, n)).collect()));
        check(Condition::Contains { field: FieldId(1), part: "x".repeat(600 * 1024) });
    }
}

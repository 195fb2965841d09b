use std::collections::BTreeMap;

use domain::{CompareOp, Condition, FieldId, Value};

/// What a filter says of each field, whatever else it says.
#[derive(Debug, Default)]
pub(super) struct Facts<'a>(BTreeMap<FieldId, Fact<'a>>);

#[derive(Debug, Default)]
struct Fact<'a> {
    equal: Option<Equal<'a>>,
    bounds: Bounds<'a>,
    present: bool,
}

/// The one value that a field may have.
#[derive(Debug)]
pub(super) struct Equal<'a> {
    value: &'a Value,
    /// The part of the filter that says so.
    part: Option<usize>,
}

/// Between what the values of a field lie.
#[derive(Debug, Default)]
pub(super) struct Bounds<'a> {
    pub(super) all: Vec<Bound<'a>>,
    parts: Vec<usize>,
}

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound<'a> {
    /// This or more.
    AtLeast(&'a Value),
    /// More than this.
    Above(&'a Value),
    /// This or less.
    AtMost(&'a Value),
    /// Less than this.
    Below(&'a Value),
    /// Texts that begin so.
    Begins(&'a str),
}

impl<'a> Facts<'a> {
    /// Of a filter whose parts must all hold.
    pub(super) fn of(parts: &[Option<&'a Condition>]) -> Facts<'a> {
        let mut facts = Facts::default();
        for (part, condition) in parts.iter().enumerate() {
            if let Some(condition) = condition {
                facts.take(condition, Some(part));
            }
        }
        facts
    }

    /// The value that `field` must have.
    pub(super) fn equal(&self, field: FieldId) -> Option<&Equal<'a>> {
        self.0.get(&field)?.equal.as_ref()
    }

    /// The range that `field` must be in.
    pub(super) fn bounds(&self, field: FieldId) -> Option<&Bounds<'a>> {
        self.0.get(&field).map(|fact| &fact.bounds).filter(|bounds| !bounds.all.is_empty())
    }

    /// Whether `field` must have a value.
    pub(super) fn present(&self, field: FieldId) -> bool {
        self.0.get(&field).is_some_and(|fact| fact.present)
    }

    /// `part` is `None` where the condition is less than the whole part, so that an index that answers it has not answered
    /// the part.
    fn take(&mut self, condition: &'a Condition, part: Option<usize>) {
        for field in present_in(condition) {
            self.0.entry(field).or_default().present = true;
        }
        match condition {
            Condition::And(all) => all.iter().for_each(|condition| self.take(condition, None)),
            Condition::Compare { field, op, value } => self.compare(*field, *op, value, part),
            Condition::In { field, values } if values.len() == 1 => {
                self.compare(*field, CompareOp::Eq, &values[0], part);
            }
            Condition::StartsWith { field, prefix } if !prefix.is_empty() => {
                self.bound(*field, Bound::Begins(prefix), part);
            }
            _ => {}
        }
    }

    fn compare(&mut self, field: FieldId, op: CompareOp, value: &'a Value, part: Option<usize>) {
        match op {
            CompareOp::Eq => {
                let fact = self.0.entry(field).or_default();
                // Said twice, the first counts; the second is looked at in what is found.
                fact.equal.get_or_insert(Equal { value, part });
            }
            CompareOp::Ne => {}
            CompareOp::Lt => self.bound(field, Bound::Below(value), part),
            CompareOp::Le => self.bound(field, Bound::AtMost(value), part),
            CompareOp::Gt => self.bound(field, Bound::Above(value), part),
            CompareOp::Ge => self.bound(field, Bound::AtLeast(value), part),
        }
    }

    fn bound(&mut self, field: FieldId, bound: Bound<'a>, part: Option<usize>) {
        let bounds = &mut self.0.entry(field).or_default().bounds;
        bounds.all.push(bound);
        bounds.parts.extend(part);
    }
}

impl<'a> Equal<'a> {
    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// The parts of the filter that it is the whole of.
    pub(super) fn parts(&self) -> impl Iterator<Item = usize> {
        self.part.into_iter()
    }
}

impl Bounds<'_> {
    /// The parts of the filter that these are the whole of.
    pub(super) fn parts(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().copied()
    }
}

/// The fields that have a value in every record for which `condition` holds.
fn present_in(condition: &Condition) -> Vec<FieldId> {
    match condition {
        Condition::Compare { op: CompareOp::Ne, .. } | Condition::Missing(_) => Vec::new(),
        Condition::Compare { field, .. }
        | Condition::In { field, .. }
        | Condition::StartsWith { field, .. }
        | Condition::Contains { field, .. }
        | Condition::Exists(field) => vec![*field],
        Condition::And(all) => all.iter().flat_map(present_in).collect(),
        Condition::Or(any) => {
            let mut branches = any.iter().map(present_in);
            let first = branches.next().unwrap_or_default();
            branches.fold(first, |both, branch| both.into_iter().filter(|f| branch.contains(f)).collect())
        }
        Condition::True | Condition::False => Vec::new(),
    }
}

use domain::Value;

use super::facts::{Bound, Bounds};
use crate::records::index_key::{MAX_VALUES_BYTES, encode_value, key_prefix, text_prefix};

/// Keys from `from` to `to`, both included; without `to`, to the last.
///
/// It may hold a few keys more than it should (a long text is cut in a key), never one less: what is read is looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub(crate) const ALL: KeyRange = KeyRange { from: Vec::new(), to: None };

    /// The keys that begin with the values `given`, and go on within `bounds`.
    pub(super) fn of<'v>(
        given: impl IntoIterator<Item = &'v Value>,
        bounds: Option<&Bounds<'_>>,
    ) -> KeyRange {
        let start = key_prefix(given);
        let mut range = KeyRange::beginning(start.clone());
        for bound in bounds.into_iter().flat_map(|bounds| &bounds.all) {
            range.narrow(&start, *bound);
        }
        range
    }

    /// Whether nothing can be in it; DynamoDB refuses to be asked for such a range.
    pub(crate) fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to < self.from)
    }

    fn beginning(mut start: Vec<u8>) -> KeyRange {
        start.truncate(MAX_VALUES_BYTES);
        KeyRange { to: behind(&start), from: start }
    }

    fn narrow(&mut self, start: &[u8], bound: Bound<'_>) {
        let key = |end: &[u8]| [start, end].concat();
        let (from, to) = match bound {
            Bound::AtLeast(value) => (Some(key(&encode_value(value))), None),
            Bound::Above(value) => {
                let at = key(&encode_value(value));
                // Cut, it stands for greater values too: then it is not passed by.
                let passed = (at.len() <= MAX_VALUES_BYTES).then(|| behind(&at)).flatten();
                (Some(passed.unwrap_or(at)), None)
            }
            Bound::AtMost(value) => (None, KeyRange::beginning(key(&encode_value(value))).to),
            Bound::Below(value) => {
                let at = key(&encode_value(value));
                let to = if at.len() <= MAX_VALUES_BYTES { Some(at) } else { KeyRange::beginning(at).to };
                (None, to)
            }
            Bound::Begins(text) => {
                let range = KeyRange::beginning(key(&text_prefix(text)));
                (Some(range.from), range.to)
            }
        };
        if let Some(mut from) = from {
            from.truncate(MAX_VALUES_BYTES);
            self.from = self.from.split_off(0).max(from);
        }
        if let Some(to) = to {
            self.to = Some(self.to.take().map_or(to.clone(), |upper| upper.min(to)));
        }
    }
}

/// The least bytes behind all that begin with `start`; `None` where there are none.
fn behind(start: &[u8]) -> Option<Vec<u8>> {
    let last = start.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut behind = start[..=last].to_vec();
    behind[last] += 1;
    Some(behind)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::records::plan::facts::Facts;
    use domain::{CompareOp, Condition, FieldId};
    use proptest::prelude::*;

    const GIVEN: FieldId = FieldId(1);
    const RANGED: FieldId = FieldId(2);

    /// Short texts, and long ones that differ only where a key is cut.
    fn texts() -> impl Strategy<Value = String> {
        ("[ab\u{0}\u{10ffff}]{0,3}", prop_oneof![Just(0), 998..1010_usize], "[ab]{0,2}")
            .prop_map(|(start, length, end)| format!("{start}{}{end}", "x".repeat(length)))
    }

    fn holds(op: CompareOp, value: &str, bound: &str) -> bool {
        match op {
            CompareOp::Eq => value == bound,
            CompareOp::Ne => value != bound,
            CompareOp::Lt => value < bound,
            CompareOp::Le => value <= bound,
            CompareOp::Gt => value > bound,
            CompareOp::Ge => value >= bound,
        }
    }

    proptest! {
        #[test]
        fn whoever_meets_the_bounds_is_in_the_range_and_of_short_ones_nobody_else(
            given in "[ab]{0,2}", other in "[ab]{0,2}", value in texts(), begins in prop::option::of("[ab]{1,2}"),
            bounds in prop::collection::vec((prop::sample::select(
                vec![CompareOp::Lt, CompareOp::Le, CompareOp::Gt, CompareOp::Ge]), texts()), 0..3),
        ) {
            let mut conditions: Vec<Condition> = bounds.iter()
                .map(|(op, text)| Condition::Compare { field: RANGED, op: *op, value: Value::Text(text.clone()) })
                .collect();
            conditions.extend(begins.clone().map(|prefix| Condition::StartsWith { field: RANGED, prefix }));
            let equal = Condition::Compare { field: GIVEN, op: CompareOp::Eq, value: Value::Text(given.clone()) };
            let parts: Vec<Option<&Condition>> = conditions.iter().chain([&equal]).map(Some).collect();
            let facts = Facts::of(&parts);
            let range = KeyRange::of([facts.equal(GIVEN).unwrap().value()], facts.bounds(RANGED));
            let mut key = key_prefix([&Value::Text(other.clone()), &Value::Text(value.clone())]);
            key.truncate(MAX_VALUES_BYTES);
            key.extend([7; 16]);
            let within = key >= range.from && range.to.as_ref().is_none_or(|to| key <= *to);
            let meets = other == given && bounds.iter().all(|(op, bound)| holds(*op, &value, bound))
                && begins.as_ref().is_none_or(|begins| value.starts_with(begins));
            prop_assert!(within || !meets, "{range:x?} {key:x?}");
            if value.len() < 900 && bounds.iter().all(|(_, text)| text.len() < 900) {
                prop_assert_eq!(within, meets, "{:x?} {:x?}", range, key);
            }
        }
    }
}

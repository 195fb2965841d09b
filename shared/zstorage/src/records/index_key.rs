//! Values as bytes that sort as the values do: the sort keys of indexes, and what guards are named after.
//!
//! **The order of the bytes is the order of the values, and no encoded value is the beginning of another**, so that
//! values written one behind the other sort field by field. Integers and decimals are written alike.

use domain::{Decimal, FieldId, Index, RecordId, Table, TablePrefix, Value, Values};
use jiff::Timestamp;

/// A sort key of DynamoDB ends at 1,024 bytes, and the last 16 of ours are the record's ULID. Values that are longer
/// together are cut here: then equal bytes do not mean equal values, and whoever reads by them looks at the record again.
pub(crate) const MAX_VALUES_BYTES: usize = 1024 - ULID_BYTES;

/// How long the end of an index key is that tells the record.
pub(crate) const ULID_BYTES: usize = 16;

const NEGATIVE: u8 = 0x7f;
const ZERO: u8 = 0x80;
const POSITIVE: u8 = 0x81;

/// Where in `index` a record with `values` stands: partition and sort key. `None` when the index has no slot or the record
/// lacks one of its values: then it is not in the index.
pub(crate) fn index_key(
    table: &Table,
    index: &Index,
    values: &Values,
    id: &RecordId,
) -> Option<(String, Vec<u8>)> {
    index.slot?;
    let mut key = values_key(index, values)?;
    key.truncate(MAX_VALUES_BYTES);
    key.extend(id.ulid().to_bytes());
    Some((index_partition(table.prefix, index, id.bucket()), key))
}

/// The partition of one bucket of an index.
pub(crate) fn index_partition(table: TablePrefix, index: &Index, bucket: char) -> String {
    format!("{table}#{}#{bucket}", index.id.0)
}

/// All values of an index, one behind the other, not cut; `None` when one is absent.
pub(crate) fn values_key(index: &Index, values: &Values) -> Option<Vec<u8>> {
    let found: Option<Vec<&Value>> = index.fields.iter().map(|field: &FieldId| values.get(field)).collect();
    let found = found?;
    // Such a field cannot be indexed; should one come here, what is sealed must not stand beside it in clear.
    let opaque = found.iter().any(|value| matches!(value, Value::Encrypted(_) | Value::Json(_)));
    (!opaque).then(|| key_prefix(found))
}

/// How the keys of all records begin that have `values` in an index's first fields. Not cut.
pub(crate) fn key_prefix<'v>(values: impl IntoIterator<Item = &'v Value>) -> Vec<u8> {
    let mut key = Vec::new();
    for value in values {
        push(&mut key, value);
    }
    key
}

/// One value as bytes.
pub(crate) fn encode_value(value: &Value) -> Vec<u8> {
    key_prefix([value])
}

/// How the bytes of all texts begin that begin with `text`.
pub(crate) fn text_prefix(text: &str) -> Vec<u8> {
    // No byte of UTF-8 is 0xff, so none overflows, and 0 is left to end a text with.
    text.bytes().map(|byte| byte + 1).collect()
}

fn push(key: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(text) | Value::Json(text) => push_text(key, text),
        Value::Lookup(id) => push_text(key, &id.to_string()),
        Value::Integer(number) => push_number(key, &Decimal::from(*number)),
        Value::Decimal(number) => push_number(key, number),
        Value::Boolean(is) => key.push(1 + u8::from(*is)),
        Value::DateTime(at) => push_moment(key, *at),
        Value::Encrypted(_) => push_text(key, ""),
    }
}

fn push_text(key: &mut Vec<u8>, text: &str) {
    key.extend(text_prefix(text));
    key.push(0);
}

/// A sign, the power of ten, two digits to a byte, an end; all of it upside down below zero.
fn push_number(key: &mut Vec<u8>, number: &Decimal) {
    let (negative, power, digits) = number.parts();
    if digits.is_empty() {
        key.push(ZERO);
        return;
    }
    let flip = |byte: u8| if negative { !byte } else { byte };
    let power = u8::try_from(power + 128).expect("a decimal lies within 10^-125 to 10^125");
    key.push(if negative { NEGATIVE } else { POSITIVE });
    key.push(flip(power));
    for pair in digits.as_bytes().chunks(2) {
        let tens = pair[0] - b'0';
        let ones = pair.get(1).map_or(0, |digit| digit - b'0');
        key.push(flip(tens * 10 + ones + 1));
    }
    key.push(flip(0));
}

/// Nanoseconds since the first moment there is, in nine bytes.
fn push_moment(key: &mut Vec<u8>, at: Timestamp) {
    let since = at.as_nanosecond() - Timestamp::MIN.as_nanosecond();
    key.extend(&since.to_be_bytes()[16 - 9..]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use std::cmp::Ordering;

    use domain::{IndexId, IndexState};
    use proptest::prelude::*;

    use super::*;

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ab\u{0}é]{0,3}",
            "\\PC{0,12}",
            proptest::collection::vec(any::<char>(), 0..6).prop_map(|c| c.into_iter().collect())
        ]
    }

    fn decimals() -> impl Strategy<Value = Decimal> {
        ("-?[0-9]{1,38}", -80_i32..80)
            .prop_map(|(digits, power)| format!("{digits}e{power}").parse().unwrap())
    }

    fn moments() -> impl Strategy<Value = Timestamp> {
        (Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(), 0..1_000_000_000_i32)
            .prop_map(|(secs, nanos)| Timestamp::new(secs, nanos).unwrap_or(Timestamp::MAX))
    }

    fn ids() -> impl Strategy<Value = RecordId> {
        (0_u32..5, any::<[u8; 16]>(), 0..4_usize).prop_map(|(table, ulid, bucket)| {
            let table = TablePrefix::nth(table).unwrap();
            let bucket = RecordId::buckets(4).nth(bucket).unwrap();
            format!("{table}{bucket}{}", ulid_of(ulid)).parse().unwrap()
        })
    }

    fn ulid_of(bytes: [u8; 16]) -> String {
        let text = RecordId::new(
            TablePrefix::nth(0).unwrap(),
            1,
            Timestamp::UNIX_EPOCH,
            &mut <rand::rngs::StdRng as rand::SeedableRng>::from_seed(
                [bytes, bytes].concat().try_into().unwrap(),
            ),
        );
        text.to_string().split_off(4)
    }

    /// Two values of one field.
    fn pairs() -> impl Strategy<Value = (Value, Value)> {
        let of = |strategy: BoxedStrategy<Value>| (strategy.clone(), strategy).boxed();
        let whole = prop_oneof![any::<i64>(), -300..300_i64].prop_map(Value::Integer).boxed();
        let exact = prop_oneof![decimals(), (-300..300_i64).prop_map(Decimal::from)].prop_map(Value::Decimal);
        prop_oneof![
            of(texts().prop_map(Value::Text).boxed()),
            of(whole.clone()),
            of(exact.clone().boxed()),
            (whole, exact),
            of(any::<bool>().prop_map(Value::Boolean).boxed()),
            of(moments().prop_map(Value::DateTime).boxed()),
            of(ids().prop_map(Value::Lookup).boxed()),
        ]
    }

    fn order(one: &Value, other: &Value) -> Ordering {
        match (one, other) {
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
            (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
            (Value::Integer(a), Value::Decimal(b)) => Decimal::from(*a).cmp(b),
            (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
            (Value::DateTime(a), Value::DateTime(b)) => a.cmp(b),
            (Value::Lookup(a), Value::Lookup(b)) => a.to_string().cmp(&b.to_string()),
            _ => unreachable!("values of one field"),
        }
    }

    fn index(fields: &[u32]) -> Index {
        let fields = fields.iter().map(|id| FieldId(*id)).collect();
        Index { id: IndexId(7), fields, unique: false, slot: Some(1), state: IndexState::Ready }
    }

    #[test]
    fn numbers_stand_in_their_order_whatever_their_size() {
        let sorted = [
            "-1e125",
            "-99",
            "-10",
            "-9.9",
            "-9",
            "-1.01",
            "-1",
            "-0.5",
            "-1e-125",
            "0",
            "1e-125",
            "0.012",
            "0.12",
            "1",
            "1.0000000000000000000000000000000000001",
            "1.01",
            "9",
            "10",
            "99",
            "100",
            "1e125",
        ];
        let keys: Vec<Vec<u8>> =
            sorted.iter().map(|text| encode_value(&Value::Decimal(text.parse().unwrap()))).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:x?}");
    }

    #[test]
    fn a_record_that_lacks_a_value_is_not_in_the_index() {
        let values = Values::from([(FieldId(1), Value::Integer(1)), (FieldId(3), Value::Json("1".into()))]);
        for (fields, expect) in [(&[1][..], true), (&[1, 2], false), (&[2], false), (&[1, 3], false)] {
            assert_eq!(values_key(&index(fields), &values).is_some(), expect, "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_stand_in_the_order_of_the_values_and_none_begins_another((one, other) in pairs()) {
            let (a, b) = (encode_value(&one), encode_value(&other));
            prop_assert_eq!(a.cmp(&b), order(&one, &other), "{:x?} {:x?}", a, b);
            prop_assert!(a == b || !a.starts_with(&b) && !b.starts_with(&a));
        }

        #[test]
        fn two_fields_stand_in_the_order_of_the_first_and_then_of_the_second(
            (a1, b1) in pairs(), (a2, b2) in pairs()
        ) {
            let (a, b) = (key_prefix([&a1, &a2]), key_prefix([&b1, &b2]));
            prop_assert_eq!(a.cmp(&b), order(&a1, &b1).then(order(&a2, &b2)));
        }

        #[test]
        fn a_text_begins_with_another_where_its_bytes_do(text in texts(), part in texts()) {
            let begins = encode_value(&Value::Text(text.clone())).starts_with(&text_prefix(&part));
            prop_assert_eq!(begins, text.starts_with(&part));
        }

        #[test]
        fn long_texts_are_cut_to_what_a_key_may_have_and_stay_in_order(
            one in "[ab]{0,3}", other in "[ab]{0,3}", length in 1000..1020_usize
        ) {
            let long = "x".repeat(length);
            let key = |text: &str| {
                let key = encode_value(&Value::Text(format!("{long}{text}")));
                key[..key.len().min(MAX_VALUES_BYTES)].to_vec()
            };
            prop_assert!(key(&one).len() <= 1008);
            prop_assert!(key(&one).cmp(&key(&other)) == one.cmp(&other) || key(&one) == key(&other));
        }
    }
}

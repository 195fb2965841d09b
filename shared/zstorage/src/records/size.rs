use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::Item;

/// The most a record may be as it is stored, bytes: an item ends at 400 KB, and its image in an idempotency row needs some room.
pub const MAX_RECORD_BYTES: usize = 390 * 1024;

/// The most a transaction may hold, bytes: DynamoDB's 4 MB.
pub const MAX_TRANSACTION_BYTES: usize = 4_000_000;

/// How large DynamoDB counts `item`, or a little more.
pub(super) fn item_bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

pub(super) fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + value_bytes(value)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.len() + item_bytes(map),
        _ => 1,
    }
}

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{EntryKey, OutboxEntry};
use serde_json::Value;

use super::item;
use crate::StoreError;
use crate::item::Item;

/// An entry as a stream record shows it. It is as it was when it was committed: the stored one is the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are whole, and a batch holds a hundred")]
pub enum Seen {
    /// All of it.
    Whole(OutboxEntry),
    /// This one, whose body lies in parts: [`crate::Outbox::entry`] reads it.
    InParts(EntryKey),
}

/// Reads the new image of a stream record, in DynamoDB's JSON (`{"state":{"S":"due"},...}`).
///
/// # Errors
/// [`StoreError::Item`] for what is not an entry: a part of a body, or not DynamoDB's JSON.
pub fn entry_of_image(image: &Value) -> Result<Seen, StoreError> {
    let unreadable = || StoreError::Item {
        item: "of a stream record".to_owned(),
        fault: "the new image is not DynamoDB's JSON".to_owned(),
    };
    let item = item_of(image).ok_or_else(unreadable)?;
    let head = item::read(&item)?;
    Ok(match head.parts {
        0 => Seen::Whole(head.entry),
        _ => Seen::InParts(head.entry.key),
    })
}

fn item_of(image: &Value) -> Option<Item> {
    let read = |(name, value): (&String, &Value)| Some((name.clone(), attribute(value)?));
    image.as_object()?.iter().map(read).collect()
}

/// One attribute: an object of one member, whose name tells the type. Numbers are texts, so no digit is lost.
fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object().filter(|object| object.len() == 1)?.iter().next()?;
    let texts = || -> Option<Vec<String>> {
        value.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let blob = |value: &Value| Some(Blob::new(STANDARD.decode(value.as_str()?).ok()?));
    Some(match kind.as_str() {
        "S" => AttributeValue::S(value.as_str()?.to_owned()),
        "N" => AttributeValue::N(value.as_str()?.to_owned()),
        "B" => AttributeValue::B(blob(value)?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(value.as_bool()?),
        "L" => AttributeValue::L(value.as_array()?.iter().map(attribute).collect::<Option<_>>()?),
        "M" => AttributeValue::M(item_of(value)?),
        "SS" => AttributeValue::Ss(texts()?),
        "NS" => AttributeValue::Ns(texts()?),
        "BS" => AttributeValue::Bs(value.as_array()?.iter().map(blob).collect::<Option<_>>()?),
        _ => return None,
    })
}

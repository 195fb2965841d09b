//! What a message may hold, how large it is, and the digests SDKs check it by.

use super::refusal::Refusal;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest message, and the largest batch of messages, in bytes with attributes.
pub(super) const MAX_BYTES: usize = 1_048_576;
const MAX_ATTRIBUTES: usize = 10;
const MAX_NAME_BYTES: usize = 256;

/// The attributes of a message, sorted by name, as the digest wants them.
pub(super) type MessageAttributes = BTreeMap<String, MessageAttribute>;

/// One attribute of a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MessageAttribute {
    data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    /// In base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

/// A value as it counts: its bytes, and how the digest marks it.
enum Bytes<'a> {
    Text(&'a str),
    Binary(Vec<u8>),
}

impl Bytes<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Text(text) => text.as_bytes(),
            Bytes::Binary(bytes) => bytes,
        }
    }
}

impl MessageAttribute {
    /// The text of a `String` or `Number`.
    pub(super) fn text(&self) -> Option<&str> {
        self.string_value.as_deref()
    }

    /// The logical type: `String.myType` is a `String`.
    fn kind(&self) -> &str {
        self.data_type.split_once('.').map_or(self.data_type.as_str(), |(kind, _)| kind)
    }

    fn bytes(&self, name: &str) -> Result<Bytes<'_>, Refusal> {
        let empty = || {
            Refusal::invalid(format!(
                "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{}'.",
                self.kind()
            ))
        };
        let value = match self.kind() {
            "Binary" => {
                let encoded = self.binary_value.as_deref().ok_or_else(empty)?;
                let bytes = STANDARD.decode(encoded);
                Bytes::Binary(bytes.map_err(|_| Refusal::malformed(format!("'{name}' is not base64.")))?)
            }
            "String" | "Number" => Bytes::Text(self.string_value.as_deref().ok_or_else(empty)?),
            _ => {
                return Err(Refusal::invalid(format!(
                    "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
                )));
            }
        };
        if value.as_slice().is_empty() { Err(empty()) } else { Ok(value) }
    }

    fn check(&self, name: &str) -> Result<usize, Refusal> {
        let bytes = self.bytes(name)?;
        if let Bytes::Text(text) = &bytes {
            check_characters(text)?;
            if self.kind() == "Number" && !text.parse::<f64>().is_ok_and(f64::is_finite) {
                return Err(Refusal::invalid(format!(
                    "Can't cast the value of message (user) attribute '{name}' to a number."
                )));
            }
        }
        Ok(name.len() + self.data_type.len() + bytes.as_slice().len())
    }
}

/// Checks a message's content.
///
/// # Returns
/// Its size in bytes: the body, and each attribute's name, type and value.
pub(super) fn check(body: &str, attributes: &MessageAttributes) -> Result<usize, Refusal> {
    if body.is_empty() {
        return Err(Refusal::missing("MessageBody"));
    }
    check_characters(body)?;
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(Refusal::invalid(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
            attributes.len()
        )));
    }
    attributes.iter().try_fold(body.len(), |bytes, (name, attribute)| {
        check_name(name)?;
        Ok(bytes + attribute.check(name)?)
    })
}

fn check_characters(text: &str) -> Result<(), Refusal> {
    match domain::forbidden_character(text) {
        None => Ok(()),
        Some((at, character)) => Err(Refusal::contents(format!(
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF; found #x{:X} at character {at}.",
            u32::from(character)
        ))),
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let sound = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let lower = name.to_ascii_lowercase();
    let refused = name.is_empty()
        || name.len() > MAX_NAME_BYTES
        || !name.bytes().all(sound)
        || name.starts_with('.')
        || name.ends_with('.')
        || name.contains("..")
        || lower.starts_with("aws.")
        || lower.starts_with("amazon.");
    if refused {
        return Err(Refusal::invalid(format!("The message attribute name '{name}' is invalid.")));
    }
    Ok(())
}

/// The MD5 of a body, in hex.
pub(super) fn body_md5(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}

/// The MD5 of attributes, as the SQS developer guide builds it: each, by name, as length and bytes of name and type,
/// a mark (1 text, 2 binary), length and bytes of the value. `None` where there are none.
pub(super) fn attributes_md5(attributes: &MessageAttributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = md5::Context::new();
    let mut part = |bytes: &[u8], mark: Option<u8>| {
        if let Some(mark) = mark {
            digest.consume([mark]);
        }
        // No attribute is longer than a message, so than 32 bits.
        digest.consume((bytes.len() as u32).to_be_bytes());
        digest.consume(bytes);
    };
    for (name, attribute) in attributes {
        let value = attribute.bytes(name).ok()?;
        part(name.as_bytes(), None);
        part(attribute.data_type.as_bytes(), None);
        part(value.as_slice(), Some(if matches!(value, Bytes::Text(_)) { 1 } else { 2 }));
    }
    Some(format!("{:x}", digest.compute()))
}

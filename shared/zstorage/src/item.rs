use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::StoreError;

/// DynamoDB's form of what we keep.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// A text attribute.
pub(crate) fn text(value: impl Display) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

/// A number attribute.
pub(crate) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A binary attribute.
pub(crate) fn bytes(value: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// The key of an item, as DynamoDB wants it.
pub(crate) fn key(pk: &str, sk: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// Writes an item attribute by attribute; what is absent stays absent.
pub(crate) struct Writer(Item);

impl Writer {
    pub(crate) fn new(pk: &str, sk: &str) -> Writer {
        Writer(key(pk, sk))
    }

    pub(crate) fn set(mut self, name: &str, value: AttributeValue) -> Writer {
        self.0.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn set_some(self, name: &str, value: Option<AttributeValue>) -> Writer {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    pub(crate) fn done(self) -> Item {
        self.0
    }
}

/// Reads an item attribute by attribute. A wrong or absent attribute is named with the item's key, its value is not shown.
pub(crate) struct Reader<'i>(pub(crate) &'i Item);

impl<'i> Reader<'i> {
    /// The error that `name` is not as it should be.
    pub(crate) fn fault(&self, name: &str, fault: &str) -> StoreError {
        let part =
            |key: &str| self.0.get(key).and_then(|value| value.as_s().ok()).map_or("?", String::as_str);
        StoreError::Item {
            item: format!("{} / {}", part("pk"), part("sk")),
            fault: format!("{name} {fault}"),
        }
    }

    fn some(&self, name: &str) -> Result<&'i AttributeValue, StoreError> {
        self.0.get(name).ok_or_else(|| self.fault(name, "is absent"))
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'i str, StoreError> {
        self.some(name)?.as_s().map(String::as_str).map_err(|_| self.fault(name, "is not a text"))
    }

    pub(crate) fn text_or_none(&self, name: &str) -> Result<Option<&'i str>, StoreError> {
        self.0.contains_key(name).then(|| self.text(name)).transpose()
    }

    /// A text, read by its type's own rule.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Result<T, StoreError> {
        self.text(name)?.parse().map_err(|_| self.fault(name, "is not of its form"))
    }

    pub(crate) fn parsed_or_none<T: FromStr>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.0.contains_key(name).then(|| self.parsed(name)).transpose()
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<T, StoreError> {
        let digits = self.some(name)?.as_n().map_err(|_| self.fault(name, "is not a number"))?;
        digits.parse().map_err(|_| self.fault(name, "is a number out of range"))
    }

    pub(crate) fn number_or_none<T: FromStr>(&self, name: &str) -> Result<Option<T>, StoreError> {
        self.0.contains_key(name).then(|| self.number(name)).transpose()
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, StoreError> {
        self.some(name)?.as_bool().copied().map_err(|_| self.fault(name, "is not true or false"))
    }

    pub(crate) fn bytes_or_none(&self, name: &str) -> Result<Option<&'i [u8]>, StoreError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        value.as_b().map(|blob| Some(blob.as_ref())).map_err(|_| self.fault(name, "is not binary"))
    }

    pub(crate) fn hash(&self, name: &str) -> Result<[u8; 32], StoreError> {
        let bytes = self.bytes_or_none(name)?.ok_or_else(|| self.fault(name, "is absent"))?;
        bytes.try_into().map_err(|_| self.fault(name, "has not 32 bytes"))
    }

    pub(crate) fn list(&self, name: &str) -> Result<&'i [AttributeValue], StoreError> {
        self.some(name)?.as_l().map(Vec::as_slice).map_err(|_| self.fault(name, "is not a list"))
    }
}

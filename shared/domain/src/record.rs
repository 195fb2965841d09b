use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rand::Rng;
use serde_json::value::RawValue;
use ulid::Ulid;

use crate::table_name::CROCKFORD;
use crate::{Decimal, FieldId, Secret, TablePrefix};

/// What a caller gives as a record's fields: each name with the JSON text of its value, so that no digit is lost before its
/// field's kind is known. `null` takes a value away.
pub type RawFields = BTreeMap<String, Box<RawValue>>;

/// A record's id: its table's prefix, the character of its partition, a ULID. So an id knows its table and its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId {
    table: TablePrefix,
    bucket: u8,
    ulid: Ulid,
}

/// A text that is not a record's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a record's id: it has 30 characters, the first three are its table's")]
pub struct RecordIdError(String);

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id, for ever.
    pub id: RecordId,
    /// Counts its writes, from 1.
    pub version: u64,
    /// Its values, formulas included; what is absent is null.
    pub values: Values,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// Values by field; an absent one is null.
pub type Values = BTreeMap<FieldId, Value>;

/// One value.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Of text, text area, e-mail, URL, picklist and text formulas.
    Text(String),
    /// Of integers.
    Integer(i64),
    /// Of decimals and currency.
    Decimal(Decimal),
    /// Of booleans.
    Boolean(bool),
    /// Of date-times.
    DateTime(Timestamp),
    /// Of lookups.
    Lookup(RecordId),
    /// Of json: its text, as compact as it can be.
    Json(String),
    /// Of encrypted text: the clear text. It is sealed when it is stored.
    Encrypted(Secret),
}

impl RecordId {
    /// A new id in a table whose records are spread over `buckets` partitions (1 to 32).
    pub fn new(table: TablePrefix, buckets: u8, now: Timestamp, random: &mut impl Rng) -> RecordId {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let bucket = CROCKFORD[usize::from(random.random_range(0..buckets.clamp(1, 32)))];
        RecordId { table, bucket, ulid: Ulid::from_parts(millis, random.random()) }
    }

    /// Whose record it is.
    pub fn table(&self) -> TablePrefix {
        self.table
    }

    /// The character of its partition.
    pub fn bucket(&self) -> char {
        char::from(self.bucket)
    }

    /// The characters of the first `count` partitions.
    pub fn buckets(count: u8) -> impl Iterator<Item = char> {
        CROCKFORD.iter().take(usize::from(count.clamp(1, 32))).map(|b| char::from(*b))
    }

    /// What ids are ordered by within a table, whatever their partition: the time of creation, then chance.
    pub fn ulid(&self) -> Ulid {
        self.ulid
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.table, char::from(self.bucket), self.ulid)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordId {
    type Err = RecordIdError;

    fn from_str(text: &str) -> Result<RecordId, RecordIdError> {
        let read = || {
            let (table, rest) = text.split_at_checked(3)?;
            let (bucket, ulid) = rest.split_at_checked(1)?;
            let bucket = *bucket.as_bytes().first().filter(|b| CROCKFORD.contains(b))?;
            Some(RecordId { table: table.parse().ok()?, bucket, ulid: Ulid::from_string(ulid).ok()? })
        };
        // One id has one spelling.
        read()
            .filter(|id| id.to_string() == text)
            .ok_or_else(|| RecordIdError(text.chars().take(40).collect()))
    }
}

impl fmt::Debug for Value {
    /// Without the clear text of what is encrypted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write!(f, "Text({text:?})"),
            Value::Integer(number) => write!(f, "Integer({number})"),
            Value::Decimal(number) => number.fmt(f),
            Value::Boolean(is) => write!(f, "Boolean({is})"),
            Value::DateTime(at) => write!(f, "DateTime({at})"),
            Value::Lookup(id) => write!(f, "Lookup({id})"),
            Value::Json(text) => write!(f, "Json({text})"),
            Value::Encrypted(_) => f.write_str("Encrypted(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_record_id_has_one_spelling_and_knows_its_table_and_place() {
        let table = TablePrefix::nth(77).unwrap();
        let id = RecordId::new(table, 4, Timestamp::UNIX_EPOCH, &mut rand::rng());
        let text = id.to_string();
        assert_eq!((text.len(), text.parse::<RecordId>().unwrap()), (30, id));
        assert_eq!(id.table(), table);
        assert!(RecordId::buckets(4).any(|bucket| bucket == id.bucket()));
        for wrong in [
            "",
            "0AV",
            &text[1..],
            &text.to_lowercase(),
            &format!("{text}0"),
            "éé000000000000000000000000000",
        ] {
            assert!(wrong.parse::<RecordId>().is_err(), "{wrong}");
        }
    }
}

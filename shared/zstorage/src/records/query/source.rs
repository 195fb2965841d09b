use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Index, TablePrefix};

use super::merge::Place;
use crate::StoreError;
use crate::item::{Item, Reader, bytes, text};
use crate::records::index_key::index_partition;
use crate::records::item::{index_attributes, partition};
use crate::records::plan::KeyRange;

/// What a table's buckets are read from: the records themselves, by age, or an index, by its values.
pub(super) struct Source<'a> {
    table: TablePrefix,
    index: Option<Slot<'a>>,
}

struct Slot<'a> {
    index: &'a Index,
    name: String,
    pk: String,
    sk: String,
}

impl<'a> Source<'a> {
    /// An index without a slot cannot be read; then it is the table.
    pub(super) fn of(table: TablePrefix, index: Option<&'a Index>) -> Source<'a> {
        let slot = index.and_then(|index| {
            let (slot, (pk, sk)) = (index.slot?, index_attributes(index)?);
            Some(Slot { index, name: format!("index-{slot}"), pk, sk })
        });
        Source { table, index: slot }
    }

    /// Whether a strongly consistent read is to be had.
    pub(super) fn is_table(&self) -> bool {
        self.index.is_none()
    }

    /// The secondary index to ask.
    pub(super) fn index_name(&self) -> Option<&str> {
        self.index.as_ref().map(|slot| slot.name.as_str())
    }

    /// The attributes that its keys are in.
    pub(super) fn key_names(&self) -> (&str, &str) {
        self.index.as_ref().map_or(("pk", "sk"), |slot| (&slot.pk, &slot.sk))
    }

    /// The place of an item, or of the key where a read ended.
    pub(super) fn place(&self, item: &Item) -> Result<Place, StoreError> {
        let reader = Reader(item);
        // A record's id: its table, its bucket and the text of its ULID, which begins with the time of its making.
        let Some(([_, _, _, bucket], ulid)) = reader.text("sk")?.as_bytes().split_first_chunk() else {
            return Err(reader.fault("sk", "is not of its form"));
        };
        let key = match &self.index {
            None => ulid.to_vec(),
            Some(slot) => {
                let key = reader.bytes_or_none(&slot.sk)?;
                key.ok_or_else(|| reader.fault(&slot.sk, "is absent"))?.to_vec()
            }
        };
        Ok(Place { key, bucket: *bucket })
    }

    /// Which keys of a bucket lie in `range`, said in DynamoDB's language: a condition, and what stands for each placeholder.
    pub(super) fn keys(
        &self,
        bucket: char,
        range: &KeyRange,
    ) -> (&'static str, Vec<(&'static str, AttributeValue)>) {
        let (from, to) = (Some(&range.from).filter(|from| !from.is_empty()), range.to.as_ref());
        let condition = match (from, to) {
            (None, None) => "#pk = :pk",
            (Some(_), None) => "#pk = :pk AND #sk >= :from",
            (None, Some(_)) => "#pk = :pk AND #sk <= :to",
            (Some(_), Some(_)) => "#pk = :pk AND #sk BETWEEN :from AND :to",
        };
        let mut values = vec![(":pk", text(self.partition(bucket)))];
        values.extend(from.map(|from| (":from", self.sort_key(bucket, from))));
        values.extend(to.map(|to| (":to", self.sort_key(bucket, to))));
        (condition, values)
    }

    fn partition(&self, bucket: char) -> String {
        match &self.index {
            None => partition(self.table, bucket),
            Some(slot) => index_partition(self.table, slot.index, bucket),
        }
    }

    fn sort_key(&self, bucket: char, key: &[u8]) -> AttributeValue {
        match &self.index {
            None => text(format!("{}{bucket}{}", self.table, String::from_utf8_lossy(key))),
            Some(_) => bytes(key),
        }
    }
}

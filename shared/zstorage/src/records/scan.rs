//! Reading records by their keys: some at once, or all of a table one after the other.

use std::collections::HashMap;

use domain::{Record, RecordId};

use super::item::{key_of, partition, record_of};
use super::{OpenTable, Records};
use crate::StoreError;
use crate::item::{Item, Reader, key};
use crate::table::Range;

/// Some records of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Scanned {
    /// Bucket by bucket, in the order of their ids.
    pub records: Vec<Record>,
    /// Where to go on; `None` = these were the last.
    pub cursor: Option<String>,
}

impl Records {
    /// The items of the records `ids`, those that are there, as they are at this moment.
    pub(super) async fn items_of(&self, ids: &[RecordId]) -> Result<HashMap<RecordId, Item>, StoreError> {
        const OPERATION: &str = "read records";
        let mut found = HashMap::new();
        if let [id] = ids {
            let (pk, sk) = key_of(*id);
            found.extend(self.table.get(OPERATION, &pk, &sk).await?.map(|item| (*id, item)));
            return Ok(found);
        }
        let keys = ids.iter().map(|id| key_of(*id)).map(|(pk, sk)| key(&pk, &sk)).collect();
        for item in self.table.get_all(OPERATION, keys, None).await? {
            found.insert(Reader(&item).parsed("sk")?, item);
        }
        Ok(found)
    }

    /// Up to `limit` records (at least one is asked for) of `table` behind `cursor`, with their items, and where to go on.
    pub(super) async fn items_behind(
        &self,
        table: &OpenTable,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Item>, Option<String>), StoreError> {
        const OPERATION: &str = "read a table's records";
        let limit = limit.max(1);
        let definition = table.schema.table();
        let after = cursor.and_then(|cursor| cursor.parse::<RecordId>().ok());
        let mut items: Vec<Item> = Vec::new();
        let mut more = false;
        for bucket in RecordId::buckets(definition.buckets) {
            let mut after = match after {
                Some(id) if id.bucket() > bucket => continue,
                Some(id) if id.bucket() == bucket => Some(id.to_string()),
                _ => None,
            };
            loop {
                if items.len() >= limit {
                    more = true;
                    break;
                }
                let range = Range { from: "0", after: after.as_deref() };
                let step = i32::try_from(limit - items.len()).unwrap_or(i32::MAX);
                let pk = partition(definition.prefix, bucket);
                let (found, last) = self.table.query(OPERATION, &pk, &range, None, Some(step)).await?;
                items.extend(found);
                after = last;
                if after.is_none() {
                    break;
                }
            }
        }
        let last = items.last().filter(|_| more).map(|item| Reader(item).text("sk").map(str::to_owned));
        let cursor = last.transpose()?;
        Ok((items, cursor))
    }

    /// Up to `limit` records (at least one is asked for) of `table` behind `cursor`, which an earlier call gave. A record that is
    /// there all the while is read exactly once; each is read as it is at that moment.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn scan(
        &self,
        table: &OpenTable,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Scanned, StoreError> {
        let (items, cursor) = self.items_behind(table, cursor, limit).await?;
        let records = items.iter().map(|item| record_of(table, item)).collect::<Result<_, _>>()?;
        Ok(Scanned { records, cursor })
    }
}

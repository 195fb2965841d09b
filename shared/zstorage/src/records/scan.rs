//! Reading records by their keys: some at once, or all of a table one after the other.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use domain::{Record, RecordId};
use tokio::time::sleep;

use super::item::{key_of, partition, record_of};
use super::{OpenTable, Records};
use crate::StoreError;
use crate::item::{Item, Reader, key};
use crate::table::Range;

/// Keys that one call may ask for.
const KEYS_AT_ONCE: usize = 100;

/// So often what a throttled table left out is asked for again.
pub(super) const ASKS: u32 = 8;

/// Some records of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Scanned {
    /// Bucket by bucket, in the order of their ids.
    pub records: Vec<Record>,
    /// Where to go on; `None` = these were the last.
    pub cursor: Option<String>,
}

/// Waits before what was left out is asked for again, longer each time.
pub(super) async fn pause_before(ask: u32) {
    if ask > 0 {
        sleep(Duration::from_millis(10 << ask)).await;
    }
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
        for ids in ids.chunks(KEYS_AT_ONCE) {
            let keys = ids.iter().map(|id| key_of(*id)).map(|(pk, sk)| key(&pk, &sk)).collect();
            let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            let mut asked = HashMap::from([(self.table.name.clone(), keys.expect("keys are set"))]);
            for ask in 0..ASKS {
                pause_before(ask).await;
                let call = self.table.client.batch_get_item().set_request_items(Some(asked));
                let answer = call.send().await.map_err(|error| StoreError::from_call(OPERATION, error))?;
                for item in answer.responses.unwrap_or_default().into_values().flatten() {
                    found.insert(Reader(&item).parsed("sk")?, item);
                }
                asked = answer.unprocessed_keys.unwrap_or_default();
                if asked.is_empty() {
                    break;
                }
            }
            if !asked.is_empty() {
                return Err(StoreError::Busy { operation: OPERATION });
            }
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

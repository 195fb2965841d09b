use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::{Index, Values};

use super::Leaf;
use super::reading::{Reading, Spent};
use crate::StoreError;
use crate::item::{Item, key};
use crate::records::guard::{self, guard_of, holder};
use crate::records::item::{key_of, record_of};

/// The guard and its record are two reads: a value may change hands between them. Then they are read once more.
const LOOKS: usize = 2;

impl Reading<'_> {
    /// The one record that has `values` in a unique index, by its guard.
    pub(super) async fn guarded(
        &self,
        index: &Index,
        values: &Values,
        spent: &mut Spent,
    ) -> Result<Leaf, StoreError> {
        let table = self.open.schema.table();
        let mut leaf = Leaf { records: Vec::new(), next: None };
        let Some(pk) = guard_of(table, index, values) else { return Ok(leaf) };
        for _ in 0..LOOKS {
            let Some(guard) = self.item(&pk, guard::SK, spent).await? else { break };
            let (record_pk, record_sk) = key_of(holder(&guard)?);
            let Some(item) = self.item(&record_pk, &record_sk, spent).await? else { continue };
            let record = record_of(self.open, &item)?;
            if guard_of(table, index, &record.values).as_ref() == Some(&pk) {
                leaf.records.extend(Some(record).filter(|record| self.matches(record)));
                break;
            }
        }
        Ok(leaf)
    }

    /// Always strongly consistent: two reads of different ages would not fit together.
    async fn item(&self, pk: &str, sk: &str, spent: &mut Spent) -> Result<Option<Item>, StoreError> {
        let table = &self.records.table;
        let call =
            table.client.get_item().table_name(&table.name).set_key(Some(key(pk, sk))).consistent_read(true);
        let answer = call.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await;
        let answer =
            answer.map_err(|error| StoreError::from_call("find a record by a unique value", error))?;
        let units = answer.consumed_capacity.and_then(|consumed| consumed.capacity_units).unwrap_or_default();
        spent.add(Spent { calls: 1, items: u64::from(answer.item.is_some()), units });
        Ok(answer.item)
    }
}

use domain::Conjunct;
use futures::future::try_join_all;

use super::MAX_ITEMS_COUNTED;
use super::reading::{Chunk, Reading, Spent};
use crate::StoreError;
use crate::item::Item;

impl<'a> Reading<'a> {
    /// How many records the question is about, on all pages; `None` when that takes more reading than is allowed. What the
    /// store can count itself is not sent over.
    pub(super) async fn counted(
        &self,
        conjuncts: &[&'a Conjunct],
        words: &[String],
        spent: &mut Spent,
    ) -> Result<Option<u64>, StoreError> {
        let by_store = self.left_to_the_store(conjuncts, words);
        let (reading, count_only) = (by_store.as_ref().unwrap_or(self), by_store.is_some());
        let (mut count, mut spent_on_it) = (0, Spent::default());
        let mut lanes: Vec<(char, Option<Item>)> =
            self.buckets.iter().map(|bucket| (*bucket, None)).collect();
        while !lanes.is_empty() {
            let left = MAX_ITEMS_COUNTED.saturating_sub(spent_on_it.weight());
            if left == 0 {
                return Ok(None);
            }
            let limit = left.div_ceil(lanes.len());
            let chunks = lanes.into_iter().map(|(bucket, from)| async move {
                let chunk = Chunk { bucket, after: None, from, limit };
                Ok::<_, StoreError>((bucket, reading.read(chunk, count_only).await?))
            });
            lanes = Vec::new();
            for (bucket, read) in try_join_all(chunks).await? {
                spent.add(read.spent);
                spent_on_it.add(read.spent);
                if count_only {
                    count += read.passed;
                }
                for item in &read.items {
                    count += u64::from(reading.record(item)?.is_some());
                }
                if read.last.is_some() {
                    lanes.push((bucket, read.last));
                }
            }
        }
        Ok(Some(count))
    }
}

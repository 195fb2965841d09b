use std::collections::BTreeMap;

use domain::{FieldId, Record};
use futures::future::try_join_all;

use super::merge::Place;
use super::paged::MAX_PAGE_BYTES;
use super::reading::{Chunk, Reading, Spent};
use super::{Leaf, MAX_LIMIT};
use crate::StoreError;
use crate::item::Item;
use crate::records::index_key::{MAX_VALUES_BYTES, encode_value};
use crate::records::plan::Direction;
use crate::records::size::item_bytes;

impl Reading<'_> {
    /// A page in an order that no index keeps: the whole table is read, and what comes next is kept. `None` when there is
    /// more to read than is allowed: then the least may be among what was not read.
    pub(super) async fn sorted(
        &self,
        by: &[(FieldId, Direction)],
        after: Option<&Place>,
        spent: &mut Spent,
    ) -> Result<Option<Leaf>, StoreError> {
        let limit = self.query.limit.clamp(1, MAX_LIMIT);
        let mut next = Next { kept: BTreeMap::new(), bytes: 0, limit, end: None };
        let mut lanes: Vec<(char, Option<Item>)> =
            self.buckets.iter().map(|bucket| (*bucket, None)).collect();
        while !lanes.is_empty() {
            let left = self.left(spent);
            if left == 0 {
                return Ok(None);
            }
            let limit = left.div_ceil(lanes.len());
            let chunks = lanes.into_iter().map(|(bucket, from)| async move {
                Ok((bucket, self.read(Chunk { bucket, after: None, from, limit }, false).await?))
            });
            lanes = Vec::new();
            for (bucket, read) in try_join_all(chunks).await? {
                spent.add(read.spent);
                for item in &read.items {
                    if let Some(record) = self.record(item)?
                        && let Some(place) = sort_place(by, &record)
                        && after.is_none_or(|after| place > *after)
                    {
                        next.keep(place, record, item_bytes(item));
                    }
                }
                if read.last.is_some() {
                    lanes.push((bucket, read.last));
                }
            }
        }
        Ok(Some(next.leaf()))
    }
}

/// The least that were seen, as many as a page has.
struct Next {
    kept: BTreeMap<Place, (Record, usize)>,
    bytes: usize,
    limit: usize,
    /// The least that was seen and not kept: where the page ends, so that what lies behind is not on it, however small.
    end: Option<Place>,
}

impl Next {
    fn keep(&mut self, place: Place, record: Record, size: usize) {
        if self.end.as_ref().is_some_and(|end| place > *end) {
            return;
        }
        self.bytes += size;
        self.kept.insert(place, (record, size));
        while self.kept.len() > self.limit || (self.bytes > MAX_PAGE_BYTES && self.kept.len() > 1) {
            let Some((place, (_, size))) = self.kept.pop_last() else { break };
            self.bytes -= size;
            self.end = Some(place);
        }
    }

    fn leaf(self) -> Leaf {
        let last = self.kept.last_key_value().map(|(place, _)| place.clone());
        let last = last.filter(|_| self.end.is_some());
        Leaf { records: self.kept.into_values().map(|(record, _)| record).collect(), next: last }
    }
}

/// Where a record stands in the order: the bytes of its values, turned round where the greatest comes first. `None` when it
/// lacks one.
fn sort_place(by: &[(FieldId, Direction)], record: &Record) -> Option<Place> {
    let mut key = Vec::new();
    for (field, direction) in by {
        let value = encode_value(record.values.get(field)?);
        match direction {
            Direction::Ascending => key.extend(value),
            // No encoded value begins another, so this turns their order round.
            Direction::Descending => key.extend(value.iter().map(|byte| !byte)),
        }
    }
    key.truncate(MAX_VALUES_BYTES);
    key.extend(record.id.ulid().to_bytes());
    Some(Place { key, bucket: record.id.bucket() as u8 })
}

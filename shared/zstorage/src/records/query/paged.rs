use domain::Record;
use futures::future::try_join_all;

use super::merge::{Merge, Place};
use super::reading::{Chunk, Reading, Spent};
use super::{Leaf, MAX_LIMIT};
use crate::StoreError;
use crate::item::Item;
use crate::records::size::item_bytes;

/// A page holds no more than this, as stored: an answer over HTTP ends at 6 MB.
pub(super) const MAX_PAGE_BYTES: usize = 3_000_000;

/// No chunk reads more items than this.
const MAX_CHUNK: usize = 1_000;

/// What a chunk of a bucket holds.
struct Part {
    /// What the question is about, in order, and how large each is as stored.
    found: Vec<(Place, (Record, usize))>,
    /// How far it was read; `None` = to the bucket's end.
    read_to: Option<Place>,
    /// Where to read on.
    last: Option<Item>,
    spent: Spent,
}

impl Reading<'_> {
    /// A page in the order that the store keeps: all buckets are read side by side and merged.
    pub(super) async fn paged(&self, after: Option<&Place>, spent: &mut Spent) -> Result<Leaf, StoreError> {
        let limit = self.query.limit.clamp(1, MAX_LIMIT);
        let mut merge: Merge<(Record, usize)> = Merge::new(self.buckets.len(), self.descending);
        let mut ends: Vec<Option<Item>> = vec![None; self.buckets.len()];
        let (mut records, mut bytes, mut last) = (Vec::new(), 0, None);
        for round in 0.. {
            while records.len() < limit
                && bytes < MAX_PAGE_BYTES
                && let Some((place, (record, size))) = merge.pop()
            {
                records.push(record);
                bytes += size;
                last = Some(place);
            }
            if merge.is_done() {
                return Ok(Leaf { records, next: None });
            }
            if records.len() == limit || bytes >= MAX_PAGE_BYTES {
                return Ok(Leaf { records, next: last });
            }
            let left = self.left(spent);
            if left == 0 {
                return Ok(Leaf { records, next: merge.reached() });
            }
            let hungry = merge.hungry();
            // Two at least: one of them may be the record that the page before ended with.
            let size = self.chunk(limit - records.len(), round).min(left / hungry.len()).max(2);
            let chunks = hungry.iter().map(|lane| {
                let chunk =
                    Chunk { bucket: self.buckets[*lane], after, from: ends[*lane].take(), limit: size };
                self.part(chunk)
            });
            for (lane, part) in hungry.iter().zip(try_join_all(chunks).await?) {
                spent.add(part.spent);
                merge.add(*lane, part.found, part.read_to);
                ends[*lane] = part.last;
            }
        }
        unreachable!("the rounds end with what there is to read")
    }

    /// Reads a chunk of a bucket and looks at it at once, while the store is busy with the other buckets.
    async fn part(&self, chunk: Chunk<'_>) -> Result<Part, StoreError> {
        let after = chunk.after;
        let read = self.read(chunk, false).await?;
        let mut found = Vec::with_capacity(read.items.len());
        for item in &read.items {
            let place = self.source.place(item)?;
            if after.is_none_or(|after| self.is_behind(&place, after))
                && let Some(record) = self.record(item)?
            {
                found.push((place, (record, item_bytes(item))));
            }
        }
        let read_to = read.last.as_ref().map(|last| self.source.place(last)).transpose()?;
        Ok(Part { found, read_to, last: read.last, spent: read.spent })
    }

    /// How many items to read of each bucket when so many records are wanted: its share and somewhat more, since chance does
    /// not spread evenly; twice as many each time that a filter let too few through.
    fn chunk(&self, wanted: usize, round: u32) -> usize {
        let share = wanted.div_ceil(self.buckets.len());
        let size = share + 2 * share.isqrt() + 2;
        let grown = if self.finds_all_it_reads() { size } else { size << round.min(10) };
        grown.min(MAX_CHUNK)
    }

    fn is_behind(&self, place: &Place, after: &Place) -> bool {
        if self.descending { place < after } else { place > after }
    }
}

use domain::{EntryKey, EntryState, OutboxEntry};
use futures::{StreamExt, stream};
use jiff::SignedDuration;
use tokio::time::{Duration, Instant};
use zstorage::Seen;

use super::parcel::{Parcel, Tally};
use super::{CALLS_AT_ONCE, Courier, WAVE};

/// The stream's word for it that an entry is due is taken for so long after its commit. Then the sweeper may have it.
const BELIEVED: SignedDuration = SignedDuration::from_secs(50);

/// Entries that are read before they are sent, at once: each may have a body of 1 MiB.
const READ_AT_ONCE: usize = 20;

impl Courier {
    /// Sends what the stream has brought and is due, then marks it: each queue's entries in tens, and in their order where the
    /// queue keeps one. Answers which of them, by their places in `seen`, were not begun `within` the time, or could not be
    /// looked up in the store: the stream is to bring them again. A queue that is gone, or takes nothing, is not among the
    /// reasons: the entry's row says when it is tried next, and the sweeper will.
    ///
    /// An entry over 50 s old is read first, and passed over unless it is due and no sweeper ever had it.
    pub async fn ring(&self, seen: Vec<Seen>, within: Duration) -> Vec<usize> {
        let by = Instant::now() + within;
        let now = self.roads.clock.now();
        let (mut believed, mut doubted) = (Vec::new(), Vec::new());
        for (place, seen) in seen.into_iter().enumerate() {
            match seen {
                Seen::Whole(entry) if now.duration_since(entry.committed_at) <= BELIEVED => {
                    believed.extend(fresh(entry, place));
                }
                Seen::Whole(entry) => doubted.push((entry.key, place)),
                Seen::InParts(key) => doubted.push((key, place)),
            }
        }
        let mut tally = self.deliver(believed, by).await;
        for some in doubted.chunks(READ_AT_ONCE) {
            if Instant::now() + WAVE > by {
                tally.unbegun.extend(some.iter().map(|(_, place)| place));
                continue;
            }
            let parcels = self.read(some, &mut tally).await;
            tally.add(self.deliver(parcels, by).await);
        }
        tally.unbegun.sort_unstable();
        tally.unbegun
    }

    async fn read(&self, some: &[(EntryKey, usize)], tally: &mut Tally) -> Vec<Parcel> {
        let reading: Vec<_> =
            some.iter().map(|(key, place)| async move { (*place, self.outbox.entry(key).await) }).collect();
        let mut parcels = Vec::new();
        // Ordered, as the stream was.
        for (place, read) in stream::iter(reading).buffered(CALLS_AT_ONCE).collect::<Vec<_>>().await {
            match read {
                Ok(entry) => parcels.extend(entry.and_then(|entry| fresh(entry, place))),
                Err(error) if error.is_retryable() => tally.unbegun.push(place),
                // Brought again it would be no better.
                Err(error) => {
                    tracing::error!(%error, "An outbox entry that the stream has brought cannot be read.")
                }
            }
        }
        parcels
    }
}

/// A parcel of an entry that is due and was never the sweeper's.
fn fresh(entry: OutboxEntry, place: usize) -> Option<Parcel> {
    let is_fresh = entry.state == EntryState::Due && entry.lease == 0;
    is_fresh.then_some(Parcel { entry, fence: None, place: Some(place), is_clear: false })
}

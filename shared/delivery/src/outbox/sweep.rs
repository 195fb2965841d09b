use domain::EntryKey;
use futures::{StreamExt, stream};
use tokio::time::{Duration, Instant};
use zstorage::Outbox;

use super::parcel::{Parcel, Tally};
use super::{CALLS_AT_ONCE, Courier, Swept, WAVE};

/// Shards looked at at once.
const SHARDS_AT_ONCE: usize = 4;

/// So long nobody else sweeps what a sweeper has taken, seconds.
const LEASE_SECS: u32 = 60;

/// A lease this old is not sent on any more: somebody else may have the next one by the time that the queue answers.
const LEASE_USED_WITHIN: Duration = Duration::from_secs(50);

/// Entries taken and sent together. Each may have a body of 1 MiB.
const LOAD: usize = 50;

/// Loads under way at once, so that one with a queue that does not answer does not hold up all others.
const LOADS_AT_ONCE: usize = 3;

impl Courier {
    /// Takes everything that is due, scheduled messages whose date has come and held writes that nobody finished among it: sends it,
    /// and marks it if nobody else has taken it meanwhile. What does not go is due again after 1 min, 2 min ... up to 10 h, and
    /// is given up for a person to look at after 12 failures. Begins nothing that it cannot end `within` the time.
    pub async fn sweep(&self, within: Duration) -> Swept {
        let by = Instant::now() + within;
        let mut tally = Tally::default();
        let mut open: Vec<_> = (0..Outbox::SHARDS).map(|shard| (shard, None)).collect();
        while !open.is_empty() {
            let pages: Vec<_> = open
                .drain(..)
                .map(|(shard, after)| async move { (shard, self.outbox.due_keys(shard, after).await) })
                .collect();
            let mut keys: Vec<EntryKey> = Vec::new();
            for (shard, page) in stream::iter(pages).buffered(SHARDS_AT_ONCE).collect::<Vec<_>>().await {
                match page {
                    Ok(page) => {
                        keys.extend(page.keys);
                        open.extend(page.next.map(|next| (shard, Some(next))));
                    }
                    Err(error) => {
                        tracing::warn!(%error, outbox.shard = shard, "What is due could not be read.")
                    }
                }
            }
            // Versions of one record behind one another, whatever page they came from.
            keys.sort_unstable();
            let loads: Vec<_> = keys.chunks(LOAD).map(|keys| self.load(keys, by)).collect();
            let loads = stream::iter(loads).buffer_unordered(LOADS_AT_ONCE);
            tally = loads.fold(tally, async |all, one| all.and(one)).await;
            if Instant::now() + WAVE > by {
                break;
            }
        }
        tally.swept
    }

    /// Takes some entries and brings them to their queues.
    async fn load(&self, keys: &[EntryKey], by: Instant) -> Tally {
        let mut tally = Tally::default();
        if Instant::now() + WAVE > by {
            tally.swept.left += keys.len();
            return tally;
        }
        let by = by.min(Instant::now() + LEASE_USED_WITHIN);
        let leasing: Vec<_> = keys.iter().map(|key| self.outbox.lease(key, LEASE_SECS)).collect();
        let mut parcels = Vec::new();
        for leased in stream::iter(leasing).buffered(CALLS_AT_ONCE).collect::<Vec<_>>().await {
            match leased {
                Ok(entry) => parcels.extend(entry.map(|entry| Parcel {
                    fence: Some(entry.lease),
                    entry,
                    place: None,
                    is_clear: false,
                })),
                Err(error) => {
                    tally.swept.left += 1;
                    tracing::warn!(%error, "An entry that is due could not be taken.");
                }
            }
        }
        tally.and(self.deliver(parcels, by).await)
    }
}

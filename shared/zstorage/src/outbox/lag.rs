use domain::EntryState;
use futures::future::try_join_all;

use super::Outbox;
use super::due::OutboxGroup;
use super::item::SHARDS;
use crate::StoreError;

/// So many rows are read at once, and so often in one shard: what is beyond is not counted.
const PAGE: i32 = 5000;
const MOST_PAGES: usize = 20;

/// How much is waiting, and for how long. Beyond 100,000 in one of sixteen shards it is not counted on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// How long the oldest message waits that should have been sent by now, seconds: since its commit, its date, or when a
    /// person last set it due. 0 = none does.
    pub oldest_due_secs: u64,
    /// Entries that are due.
    pub due: u64,
    /// Entries that hold a strict write.
    pub held: u64,
    /// Messages for a date.
    pub scheduled: u64,
    /// Entries that were given up for now.
    pub parked: u64,
}

impl Outbox {
    /// Counts what waits, by the index alone.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn measure(&self) -> Result<Lag, StoreError> {
        let shards = (0..SHARDS).flat_map(|shard| OutboxGroup::ALL.map(|group| self.lag_of(group, shard)));
        let lags = try_join_all(shards).await?;
        Ok(lags.into_iter().fold(Lag::default(), |one, other| Lag {
            oldest_due_secs: one.oldest_due_secs.max(other.oldest_due_secs),
            due: one.due + other.due,
            held: one.held + other.held,
            scheduled: one.scheduled + other.scheduled,
            parked: one.parked + other.parked,
        }))
    }

    async fn lag_of(&self, group: OutboxGroup, shard: u8) -> Result<Lag, StoreError> {
        let now_ms = self.now_ms();
        let mut lag = Lag::default();
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let (rows, last) = self.rows(group, shard, None, after.as_ref(), PAGE).await?;
            for row in rows {
                match row.state {
                    EntryState::Held => lag.held += 1,
                    EntryState::Scheduled => lag.scheduled += 1,
                    EntryState::Parked => lag.parked += 1,
                    _ => lag.due += 1,
                }
                if group == OutboxGroup::Due {
                    let secs = u64::try_from((now_ms - row.since_ms) / 1000).unwrap_or(0);
                    lag.oldest_due_secs = lag.oldest_due_secs.max(secs);
                }
            }
            after = last;
            if after.is_none() {
                break;
            }
        }
        Ok(lag)
    }
}

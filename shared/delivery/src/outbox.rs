//! Entries of the outbox on their way to their queues: sent, then marked.
//!
//! Two roads lead here. The stream rings when an entry is committed ([`Courier::ring`]); the sweeper takes what is due and nobody
//! has published ([`Courier::sweep`]). Both go by queue, in waves: what is sent at once, in tens. **An entry is marked after it was
//! sent, never before; and no queue that takes nothing stands in the way of another.**

mod lane;
mod outgoing;
mod parcel;
mod ring;
mod settle;
mod sweep;

use std::collections::BTreeMap;

use domain::{Clock, QueueId};
use futures::{StreamExt, stream};
use queue::Engines;
use tokio::time::{Duration, Instant};
use zstorage::{Catalog, Outbox, Records, Sealer};

use crate::roads::Roads;
use lane::Lane;
pub(crate) use outgoing::outgoing;
use parcel::{Parcel, Tally};

/// Queues served at once.
const QUEUES_AT_ONCE: usize = 32;

/// Calls to the store under way at once for one queue.
const CALLS_AT_ONCE: usize = 16;

/// What one wave may take: two attempts at sending, and the marks. None is begun when there is less time.
const WAVE: Duration = Duration::from_secs(7);

/// Sends outbox entries and marks them. Cheap to clone; clones share what they have learnt of the queues.
#[derive(Clone)]
pub struct Courier {
    pub(crate) outbox: Outbox,
    pub(crate) records: Records,
    pub(crate) roads: Roads,
}

/// What a courier, or a writer, stands on.
#[derive(Clone)]
pub struct CourierParts {
    /// Where entries lie.
    pub outbox: Outbox,
    /// Whose held writes are made to stand.
    pub records: Records,
    /// Where queues are found.
    pub catalog: Catalog,
    /// What sends.
    pub engines: Engines,
    /// What opens credentials of queues.
    pub sealer: Sealer,
    /// The wall clock.
    pub clock: Clock,
}

/// What one sweep has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Entries that are on their queues now.
    pub sent: usize,
    /// Entries that wait for another time.
    pub postponed: usize,
    /// Entries that were given up, for a person to look at.
    pub parked: usize,
    /// Held writes that stand now, their messages sent or given up.
    pub applied: usize,
    /// Due entries that were not begun, because the time was over or the store did not answer. The next sweep finds them.
    pub left: usize,
}

impl Courier {
    /// A courier that has learnt nothing yet.
    pub fn new(parts: CourierParts) -> Courier {
        let CourierParts { outbox, records, catalog, engines, sealer, clock } = parts;
        Courier { outbox, records, roads: Roads::new(engines, catalog, sealer, clock) }
    }

    /// Brings all of `parcels` to their queues, several queues at once. What could not be begun by `by` is left.
    async fn deliver(&self, parcels: Vec<Parcel>, by: Instant) -> Tally {
        let mut by_queue: BTreeMap<QueueId, Vec<Parcel>> = BTreeMap::new();
        for parcel in parcels {
            by_queue.entry(parcel.entry.queue).or_default().push(parcel);
        }
        // The futures are made first: a stream that makes them as it goes is not `Send` for the compiler.
        let lanes: Vec<_> =
            by_queue.into_iter().map(|(queue, parcels)| Lane::run(self, queue, parcels, by)).collect();
        stream::iter(lanes)
            .buffer_unordered(QUEUES_AT_ONCE)
            .fold(Tally::default(), async |all, one| all.and(one))
            .await
    }
}

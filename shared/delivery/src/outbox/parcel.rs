use domain::{EntryKey, LinkId, OutboxEntry, RecordId};

use super::Swept;

/// An entry on its way.
pub(super) struct Parcel {
    pub(super) entry: OutboxEntry,
    /// The sweeper's lease of it; `None` = it came by the stream, or behind another.
    pub(super) fence: Option<u64>,
    /// Where it stands in the stream's batch.
    pub(super) place: Option<usize>,
    /// Whether it is known to be due, and all before it to be on the queue.
    pub(super) is_clear: bool,
}

/// The entries of one link for one record: they keep their order among one another.
pub(super) type Line = (RecordId, LinkId);

/// What has become of some parcels.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) swept: Swept,
    /// Where those of the stream's batch stand that were not begun.
    pub(super) unbegun: Vec<usize>,
}

impl Parcel {
    /// The line that it must keep to.
    pub(super) fn line(&self) -> Option<Line> {
        match self.entry.key {
            EntryKey::Link { record, link, .. } if self.entry.ordered => Some((record, link)),
            _ => None,
        }
    }

    /// What it weighs in a wave, bytes: somewhat more than it has.
    pub(super) fn bytes(&self) -> usize {
        self.entry.body.len() + 1024
    }
}

impl Tally {
    pub(super) fn and(mut self, other: Tally) -> Tally {
        self.add(other);
        self
    }

    pub(super) fn add(&mut self, other: Tally) {
        let Swept { sent, postponed, parked, applied, left } = other.swept;
        self.swept.sent += sent;
        self.swept.postponed += postponed;
        self.swept.parked += parked;
        self.swept.applied += applied;
        self.swept.left += left;
        self.unbegun.extend(other.unbegun);
    }

    /// Leaves one to the next time.
    pub(super) fn leave(&mut self, parcel: &Parcel) {
        self.swept.left += 1;
        self.unbegun.extend(parcel.place);
    }
}

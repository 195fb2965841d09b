//! What people do with entries: send again what was given up, discard it, ask for a date, take that back.

use domain::{EntryKey, EntryState, MessageId, OutboxEntry};

use super::change::{Change, Changed, and, as_seen, is_in};
use super::item::{self, Head, keys};
use super::{Outbox, inserting};
use crate::StoreError;
use crate::item::{number, text};
use crate::table::{Action, Undone};

/// So often an entry is looked at again that others change at the same time, before the store counts as busy.
const LOOKS: usize = 5;

/// What became of a redrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redriven {
    /// It is due, now.
    Done {
        /// The round that it is in.
        round: u32,
    },
    /// It was not given up, and no send of it has failed.
    NotParked(EntryState),
    /// There is no such entry.
    Missing,
}

/// What became of a discard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discarded {
    /// It is discarded, and what waited behind it is due now.
    Done,
    /// It is not parked.
    NotParked(EntryState),
    /// There is no such entry.
    Missing,
}

/// What became of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It will not be sent. Also of one that was cancelled before.
    Done,
    /// It was sent, or somebody is at it.
    TooLate,
    /// No such message is scheduled, or it was long ago.
    Unknown,
}

impl Outbox {
    /// Sends a parked entry again: it is due now, in its next round, under the same message id, with no failures yet. One that
    /// is due still but waits for its next attempt after a failure waits no longer, and its round goes on.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn redrive(&self, key: &EntryKey) -> Result<Redriven, StoreError> {
        const OPERATION: &str = "redrive an outbox entry";
        let now = self.clock.now();
        let anew = Change::default()
            .state(self, key, EntryState::Due, now)
            .one_more("round")
            .set("failures", number(0))
            .set("due-since", number(now.as_millisecond()))
            .remove("reason");
        let seen = match self.change(OPERATION, key, anew, is_in(&[EntryState::Parked])).await? {
            Changed::Done(item) => return Ok(Redriven::Done { round: item::read(&item)?.entry.round }),
            Changed::Not(None) => return Ok(Redriven::Missing),
            Changed::Not(Some(item)) => item::read(&item)?.entry,
        };
        if seen.state != EntryState::Due || seen.failures == 0 {
            return Ok(Redriven::NotParked(seen.state));
        }
        let sooner = Change::default().state(self, key, EntryState::Due, now);
        let waits = as_seen(&seen, &[EntryState::Due], Some(seen.lease));
        match self.change(OPERATION, key, sooner, waits).await? {
            Changed::Done(item) => Ok(Redriven::Done { round: item::read(&item)?.entry.round }),
            // Somebody is at it at this moment.
            Changed::Not(Some(item)) => Ok(Redriven::NotParked(item::read(&item)?.entry.state)),
            Changed::Not(None) => Ok(Redriven::Missing),
        }
    }

    /// Discards a parked entry; `note` says why. The entry that waited behind it is due now by the same transaction, so none
    /// waits longer because somebody was killed.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn discard(&self, key: &EntryKey, note: &str) -> Result<Discarded, StoreError> {
        const OPERATION: &str = "discard an outbox entry";
        for _ in 0..LOOKS {
            let Some(Head { entry, .. }) = self.head(key).await? else { return Ok(Discarded::Missing) };
            if entry.state != EntryState::Parked {
                return Ok(Discarded::NotParked(entry.state));
            }
            let woken = self.head_behind(key).await?.and_then(|behind| self.waking(&behind.entry));
            let change = Change::default()
                .state(self, key, EntryState::Discarded, self.clock.now())
                .set("reason", item::reason(note));
            let condition = and(is_in(&[EntryState::Parked]), "round", number(entry.round));
            if self.close(OPERATION, key, 0, change, condition, woken.into_iter().collect()).await? {
                return Ok(Discarded::Done);
            }
        }
        Err(StoreError::Busy { operation: OPERATION })
    }

    /// What makes an entry due now that waited. One that a strict write's own process may be sending is left to it.
    fn waking(&self, behind: &OutboxEntry) -> Option<Action> {
        let now = self.clock.now();
        let is_the_sweepers = match behind.state {
            EntryState::Due => true,
            EntryState::Held => behind.lease > 0,
            _ => false,
        };
        (is_the_sweepers && behind.next_attempt_at > Some(now)).then(|| {
            let (pk, sk) = keys(&behind.key);
            let update = Change::default().set("next-attempt-at", number(now.as_millisecond())).expression();
            let condition = and(is_in(&[behind.state]), "lease", number(behind.lease));
            Action::Update { pk, sk, update, condition }
        })
    }

    /// Saves a message for its date. One of its id that is there already is left as it is.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn schedule(&self, entry: &OutboxEntry) -> Result<(), StoreError> {
        match self.table.transact("schedule a message", inserting(entry)).await {
            Ok(()) | Err(Undone::Conditions(_)) => Ok(()),
            Err(Undone::Store(error)) => Err(error),
        }
    }

    /// Takes back a message that is scheduled, unless somebody ever began to send it.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn cancel(&self, message: MessageId) -> Result<Cancelled, StoreError> {
        let key = EntryKey::Scheduled(message);
        let Some(Head { entry, .. }) = self.head(&key).await? else { return Ok(Cancelled::Unknown) };
        let is_untouched = entry.lease == 0 && entry.failures == 0;
        match entry.state {
            EntryState::Discarded if is_untouched => return Ok(Cancelled::Done),
            EntryState::Scheduled if is_untouched => {}
            _ => return Ok(Cancelled::TooLate),
        }
        let change = Change::default()
            .state(self, &key, EntryState::Discarded, self.clock.now())
            .set("reason", text("cancelled"));
        let condition = and(is_in(&[EntryState::Scheduled]), "lease", number(0));
        let condition = and(condition, "failures", number(0));
        let changed = self.change("cancel a message", &key, change, condition).await?;
        let done = matches!(changed, Changed::Done(_));
        // Not done: somebody was quicker. Another cancellation, too, leaves it untouched.
        let quicker = if done { None } else { self.head(&key).await? };
        Ok(match quicker {
            Some(Head { entry, .. }) if entry.state != EntryState::Discarded => Cancelled::TooLate,
            _ => Cancelled::Done,
        })
    }
}

use domain::{Backoff, EntryState};
use jiff::{SignedDuration, Timestamp};
use queue::{Accepted, SendError};
use zstorage::{Applied, Settled, StoreError};

use super::Courier;
use super::parcel::{Line, Parcel, Tally};

/// An entry that failed this often is given up, for a person to look at.
const MOST_FAILURES: u32 = 12;

/// 1 min, 2 min ... up to 10 h.
const BACKOFF: Backoff = Backoff { base_secs: 60, cap_secs: 10 * 3600 };

/// Of what went wrong so much is kept with the entry, characters.
const REASON_CHARS: usize = 500;

/// What was written down of one parcel.
#[derive(Default)]
pub(super) struct Upshot {
    pub(super) tally: Tally,
    /// The line in which nothing more may go now, and until when.
    pub(super) stops: Option<(Line, Timestamp)>,
    /// The one behind it, which may go now.
    pub(super) next: Option<Parcel>,
}

impl Courier {
    /// Writes down what the queue said.
    pub(super) async fn settle(&self, parcel: Parcel, answer: Result<Accepted, SendError>) -> Upshot {
        match answer {
            Ok(accepted) => self.sent(parcel, accepted.engine_id).await,
            Err(error) => {
                // A queue that has too much to do, or that was not heard, has not said what it thinks of this message.
                let is_certain = matches!(error, SendError::Refused { .. }) && !error.is_throttle();
                self.failed(parcel, error.to_string(), is_certain).await
            }
        }
    }

    /// It is on its queue: marks it, and looks for the one behind it.
    async fn sent(&self, parcel: Parcel, engine_id: String) -> Upshot {
        let (entry, mut upshot) = (&parcel.entry, Upshot::default());
        let is_held = entry.state == EntryState::Held;
        let marked = if is_held {
            let applied = Applied::Published { engine_id: Some(engine_id) };
            self.records.apply(&entry.key, applied, parcel.fence).await.map(|done| done == Settled::Now)
        } else {
            self.outbox.published(entry, &engine_id, parcel.fence).await
        };
        match marked {
            Ok(true) => {
                upshot.tally.swept.sent = 1;
                upshot.tally.swept.applied = usize::from(is_held);
                upshot.next = self.behind(&parcel).await;
            }
            // Somebody else has marked it, or has it now: they go on with the one behind it.
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(message.id = %entry.message_id, %error, "A message that was sent could not be marked, and will be sent again.");
                upshot.stops = parcel.line().map(|line| (line, self.after(60)));
            }
        }
        upshot
    }

    /// The entry behind one that was just marked as published, if it is due.
    async fn behind(&self, parcel: &Parcel) -> Option<Parcel> {
        parcel.line()?;
        let next = self.outbox.successor(&parcel.entry.key).await;
        let next = next.inspect_err(|error| {
            tracing::warn!(message.id = %parcel.entry.message_id, %error, "The entry behind a published one could not be read; the sweeper will.");
        });
        let entry = next.ok().flatten().filter(|entry| entry.state == EntryState::Due)?;
        Some(Parcel { entry, fence: None, place: None, is_clear: true })
    }

    /// It did not go: counts that, and postpones it or gives it up. A held write whose message is refused for good stands all the
    /// same, and its message is given up.
    pub(super) async fn failed(&self, parcel: Parcel, reason: String, for_good: bool) -> Upshot {
        let (entry, mut upshot) = (&parcel.entry, Upshot::default());
        let reason: String = reason.chars().take(REASON_CHARS).collect();
        tracing::warn!(
            message.id = %entry.message_id, queue.id = %entry.queue, entry.failures = entry.failures + 1, reason,
            "A message of the outbox did not reach its queue."
        );
        let is_held = entry.state == EntryState::Held;
        let is_last = entry.failures + 1 >= MOST_FAILURES || (is_held && for_good);
        let wait_secs = BACKOFF.after(entry.failures + 1, &mut rand::rng());
        let until = self.after(i64::from(wait_secs));
        let swept = &mut upshot.tally.swept;
        let noted: Result<(), StoreError> = match (is_last, is_held) {
            (false, _) => {
                let noted = self.outbox.postpone(entry, &reason, until, true).await;
                noted.map(|is_new| swept.postponed = usize::from(is_new))
            }
            (true, false) => {
                let noted = self.outbox.park(entry, &reason).await;
                noted.map(|is_new| swept.parked = usize::from(is_new))
            }
            (true, true) => {
                let noted = self.records.apply(&entry.key, Applied::Parked { reason }, parcel.fence).await;
                noted.map(|done| {
                    swept.parked = usize::from(done == Settled::Now);
                    swept.applied = swept.parked;
                })
            }
        };
        if let Err(error) = noted {
            tracing::warn!(message.id = %entry.message_id, %error, "That a message did not go could not be noted.");
        }
        upshot.stops = parcel.line().map(|line| (line, until));
        upshot
    }

    /// It waits for what becomes of another message, which is not its failure.
    pub(super) async fn waits(&self, parcel: Parcel, reason: &str, until: Timestamp) -> Upshot {
        let (entry, mut upshot) = (&parcel.entry, Upshot::default());
        match self.outbox.postpone(entry, reason, until, false).await {
            Ok(is_new) => upshot.tally.swept.postponed = usize::from(is_new),
            Err(error) => {
                tracing::warn!(message.id = %entry.message_id, %error, "That an entry waits could not be noted.");
            }
        }
        upshot
    }

    fn after(&self, secs: i64) -> Timestamp {
        self.roads.clock.now() + SignedDuration::from_secs(secs)
    }
}

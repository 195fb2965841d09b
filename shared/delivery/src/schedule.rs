use domain::{EntryKey, EntryState, OutboxEntry};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};
use zstorage::StoreError;

use crate::publisher::{Errand, SCHEDULED};
use crate::{PublishError, Published, Publisher};

impl Publisher {
    /// The date that an errand is for, if it is not to be sent now. What was begun before and came to no end may lie in the outbox
    /// already, whose word is the last: it is not sent past it, even if its date has come meanwhile.
    pub(crate) fn later(&self, errand: &Errand<'_>) -> Option<Timestamp> {
        let date = errand.message.options.deliver_at?;
        (errand.is_resumed || date > self.clock.now()).then_some(date)
    }

    /// Lays the message into the outbox, from where the sweeper sends it when its date has come. The idempotency row stands before
    /// it and is marked after it, and the message keeps its id: cut off anywhere, the same call again ends in one message.
    pub(crate) async fn schedule(
        &self,
        errand: &Errand<'_>,
        date: Timestamp,
        by: Instant,
    ) -> Result<Published, PublishError> {
        let message_id = errand.message_id;
        let entry = OutboxEntry {
            key: EntryKey::Scheduled(message_id),
            message_id,
            queue: errand.queue.id,
            body: errand.message.payload.as_str().to_owned(),
            ordering_key: errand.message.options.ordering_key.clone(),
            ordered: false,
            origin: None,
            round: 0,
            notes: Vec::new(),
            state: EntryState::Scheduled,
            failures: 0,
            lease: 0,
            committed_at: self.clock.now(),
            next_attempt_at: Some(date),
            reason: None,
            engine_id: None,
        };
        let scheduled = timeout_at(by, self.outbox.schedule(&entry)).await;
        let operation = "schedule a message";
        match scheduled.unwrap_or_else(|_elapsed| Err(StoreError::Busy { operation })) {
            Ok(()) => {
                self.mark_accepted(errand, SCHEDULED, by).await;
                Ok(errand.published(SCHEDULED.to_owned()))
            }
            Err(source) => {
                self.free(errand, by).await;
                Err(PublishError::Unscheduled { message_id, source })
            }
        }
    }

    /// Frees the idempotency key for the next try, which will go on under the same message id.
    async fn free(&self, errand: &Errand<'_>, by: Instant) {
        let Some(row) = errand.row() else { return };
        let freed = timeout_at(by, self.messages.refused(&row, errand.taken_by, None)).await;
        if !matches!(freed, Ok(Ok(()))) {
            tracing::warn!(message.id = %errand.message_id, "An idempotency key could not be freed; it frees itself in a while.");
        }
    }
}

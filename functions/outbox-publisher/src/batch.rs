use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::event::rings;
use crate::{EventError, OutboxPublisher, StreamAnswer};

/// So much of an invocation's time is kept for its answer.
const TO_ANSWER: Duration = Duration::from_secs(1);

impl OutboxPublisher {
    /// Handles one invocation that Lambda ends at `deadline`.
    ///
    /// # Errors
    /// [`EventError`].
    pub async fn handle_until(&self, event: Value, deadline: SystemTime) -> Result<StreamAnswer, EventError> {
        let remaining = deadline.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        self.handle(event, remaining)
            .await
            .inspect_err(|error| tracing::error!(%error, "A batch of the outbox's stream was refused."))
    }

    /// Sends what the batch rings for, and names what could not be begun within the `remaining` time: Lambda goes on from the
    /// first of these.
    ///
    /// # Errors
    /// [`EventError`]: nothing was sent, and the whole batch comes back.
    pub async fn handle(&self, event: Value, remaining: Duration) -> Result<StreamAnswer, EventError> {
        let (mut sequence_numbers, mut seen) = (Vec::new(), Vec::new());
        for ring in rings(event)? {
            match ring.entry {
                Ok(Some(entry)) => {
                    sequence_numbers.push(ring.sequence_number);
                    seen.push(entry);
                }
                Ok(None) => {}
                // To fail it would hold up its shard for an hour and change nothing: the row is due, the sweeper's to send,
                // and the lag tells if it cannot, either.
                Err(error) => tracing::error!(
                    stream.sequence_number = ring.sequence_number,
                    error,
                    "A record of the outbox's stream cannot be read and is left to the sweeper."
                ),
            }
        }
        let left = self.courier.ring(seen, remaining.saturating_sub(TO_ANSWER)).await;
        Ok(StreamAnswer::new(left.into_iter().map(|place| sequence_numbers[place].clone())))
    }
}

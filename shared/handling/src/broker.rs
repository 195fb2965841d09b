use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Outcome;
use jiff::SignedDuration;
use queue::{MAX_DELAY_SECS, RetryBody, RetryMessage, RetryQueue, SendError};

use crate::{Body, Handling, HandlingError, LiveHandlers, Received};

/// Handling of messages that came from Kafka or RabbitMQ. A partition does not wait, and a broker knows no visibility timeout: so
/// what is not done with at its first receipt goes on from the stack's retry queue, and is done with for its broker. Order is
/// kept among messages that succeed at once. Cheap to clone.
#[derive(Clone)]
pub struct BrokerHandling {
    handling: Handling,
    retry_queue: RetryQueue,
}

impl BrokerHandling {
    /// Messages are handled by `handling`, and put off to `retry_queue`.
    pub fn new(handling: Handling, retry_queue: RetryQueue) -> BrokerHandling {
        BrokerHandling { handling, retry_queue }
    }

    /// The handlers for a batch that begins now: see [`crate::Handlers::for_batch`].
    pub async fn handlers_for_batch(&self, wait: Duration) -> Option<Arc<LiveHandlers>> {
        self.handling.handlers_for_batch(wait).await
    }

    /// Handles one message by the `live` handlers, or none (`None` = none could be loaded yet), and says what becomes of it; the
    /// handler is stopped at `deadline`.
    ///
    /// `Ack`: it is done, or buried, or waits on the retry queue. `Retry`: that queue did not take it, or nobody could say
    /// which queue it is of, so its broker must keep it.
    pub async fn handle(
        &self,
        live: Option<&LiveHandlers>,
        received: &Received,
        deadline: Instant,
    ) -> Outcome {
        let outcome = match live {
            Some(live) => self.handling.handle(live, received, deadline).await,
            None => self.handling.put_back(received),
        };
        match outcome {
            Outcome::Retry { after_secs, .. } => self.put_off(received, after_secs).await,
            done => done,
        }
    }

    /// Puts a message that was not started, or not settled in time, on the retry queue, without a strike: it is handled after
    /// `after_secs`. The outcome is as that of [`BrokerHandling::handle`].
    pub async fn put_off(&self, received: &Received, after_secs: u32) -> Outcome {
        match self.try_put_off(received, after_secs).await {
            Ok(()) => Outcome::Ack,
            Err(error) => {
                tracing::error!(
                    message.id = received.id(),
                    message.source = %received.source,
                    error = domain::causes(&error),
                    "a message could not be put off and stays with its broker"
                );
                Outcome::Retry { after_secs, strike: false }
            }
        }
    }

    async fn try_put_off(&self, received: &Received, after_secs: u32) -> Result<(), HandlingError> {
        let queue = self.handling.queue_of(received).await?.ok_or(HandlingError::UnknownQueue)?;
        let parts = &self.handling.parts;
        let kept = async |body: &[u8]| -> Result<RetryBody, HandlingError> {
            Ok(RetryBody::At(parts.messages.keep_body(received.id(), body).await?))
        };
        let body = match (&received.body, received.body.travels()) {
            (_, Some(text)) => RetryBody::Text(text.to_owned()),
            (Body::Text(text), None) => kept(text.as_bytes()).await?,
            (Body::Bytes(bytes), None) => kept(bytes).await?,
            (Body::Kept(at), None) => RetryBody::At(at.clone()),
        };
        let time = parts.clock.now() + SignedDuration::from_secs(after_secs.into());
        let mut message = RetryMessage {
            message_id: received.id().to_owned(),
            round: received.round,
            queue: queue.id,
            engine_id: received.engine_id.clone(),
            sent_at_ms: received.sent_at.map(|at| at.as_millisecond()),
            not_before_secs: (after_secs > MAX_DELAY_SECS).then(|| time.as_second()),
            ordering_key: received.group.clone(),
            body,
            attributes: received.attributes.clone(),
        };
        let mut sent = self.retry_queue.send(&message, after_secs).await;
        // With what travels beside it, it may be too large, or this queue's limit may be a lower one.
        if sent.as_ref().is_err_and(SendError::is_of_the_message)
            && let RetryBody::Text(text) = &message.body
        {
            message.body = kept(text.as_bytes()).await?;
            sent = self.retry_queue.send(&message, after_secs).await;
        }
        sent.map_err(HandlingError::PutOff)?;
        tracing::info!(
            message.id = received.id(),
            message.source = %received.source,
            retry.secs = after_secs,
            "a message goes on from the retry queue"
        );
        Ok(())
    }
}

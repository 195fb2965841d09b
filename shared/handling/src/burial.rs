//! How a dead letter is made: kept, then forwarded, and only then may the message go.

use domain::{DeadReason, HandlerName, Letter, LetterOrigin, LetterState, Outcome};
use queue::{Outgoing, Place};

use crate::handling::Case;
use crate::{Handling, HandlingError};

/// A reason is told in this many bytes at most: the faults of a body may quote all of it.
const MAX_REASON_BYTES: usize = 4096;

/// A message at its end, and what a person will want to know.
pub(crate) struct Death {
    pub(crate) reason: DeadReason,
    /// Handler runs made.
    pub(crate) attempts: u32,
    /// The full name of the handler that ran, if any did.
    pub(crate) handler: Option<String>,
    /// The end of its log.
    pub(crate) log: String,
}

impl Handling {
    /// Keeps the letter, forwards the body, and gives the ack that is due then. On any error nothing is acknowledged: the
    /// message comes back, and both are done again; the letter is the same item, the forwarded body has the same id.
    ///
    /// A registered queue without a dead-letter queue has nowhere to forward to: there the letter keeps the body itself.
    pub(crate) async fn bury(&self, case: &Case<'_>, death: Death) -> Result<Outcome, HandlingError> {
        let queue = case.queue.as_deref().ok_or(HandlingError::Unregistered)?;
        let received = case.received;
        let mut reason = death.reason;
        reason.message.truncate(reason.message.floor_char_boundary(MAX_REASON_BYTES));
        let letter = Letter {
            message_id: received.id().to_owned(),
            round: received.round,
            queue_id: queue.id,
            queue_name: queue.name.clone(),
            origin: LetterOrigin::Worker,
            reason,
            body: queue.dead_letter_queue.is_none().then(|| received.body.clone()),
            ordering_key: received.group.clone(),
            attempts: death.attempts,
            handler: death.handler.and_then(|name| HandlerName::parse(&name).ok()),
            log: death.log,
            died_at: self.parts.clock.now(),
            state: LetterState::Open,
        };
        self.parts.messages.keep_letter(&letter).await?;
        self.forward(case).await?;
        tracing::warn!(
            message.id = received.id(),
            message.round = received.round,
            queue.name = queue.name.as_str(),
            letter.code = letter.reason.code,
            letter.attempts = letter.attempts,
            "a message became a dead letter"
        );
        Ok(Outcome::Ack)
    }

    /// Puts the unchanged body on the dead-letter queue, with `message-id` and `round` alone beside it.
    pub(crate) async fn forward(&self, case: &Case<'_>) -> Result<(), HandlingError> {
        let queue = case.queue.as_deref().ok_or(HandlingError::Unregistered)?;
        let Some(dead) = &queue.dead_letter_queue else { return Ok(()) };
        let received = case.received;
        let fifo = dead.name.ends_with(".fifo");
        let outgoing = Outgoing {
            message_id: received.id().to_owned(),
            round: received.round,
            body: received.body.clone(),
            // On a standard queue a group would mean something else (fair queues).
            ordering_key: received.group.clone().filter(|_| fifo),
            delay_secs: 0,
            attributes: Vec::new(),
        };
        let place = Place { queue: dead.clone(), credentials: None, fifo };
        self.parts.queues.send(&place, &outgoing).await?;
        Ok(())
    }
}

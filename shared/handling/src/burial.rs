//! How a dead letter is made: kept, then forwarded, and only then may the message go.

use domain::{DeadReason, HandlerName, Letter, LetterBody, LetterOrigin, LetterState, Outcome};
use queue::{Outgoing, SendError, SqsPlace};
use zstorage::Messages;

use crate::handling::Case;
use crate::{Body, Handling, HandlingError};

/// A reason is told in this many bytes at most: the faults of a body may quote all of it.
const MAX_REASON_BYTES: usize = 4096;

/// A longer key of Kafka's is not kept with a letter, bytes.
const MAX_KEY_BYTES: usize = 2048;

/// Stands on a dead-letter queue for a body that lies in Messages.
const ELSEWHERE: &str = "{}";

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
    /// A registered queue without a dead-letter queue has nowhere to forward to: there the letter keeps the body itself. So it does where
    /// SQS could not carry it; what is forwarded then says by its attribute `body-at` where the body lies.
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
            body: match &received.body {
                body if queue.dead_letter_queue.is_some() && body.travels().is_some() => None,
                Body::Text(text) => Some(LetterBody::Text(text.clone())),
                Body::Bytes(bytes) => Some(LetterBody::Bytes(bytes.clone())),
                Body::Kept(_) => None,
            },
            ordering_key: received.group.clone().filter(|key| key.len() <= MAX_KEY_BYTES),
            attempts: death.attempts,
            handler: death.handler.and_then(|name| HandlerName::parse(&name).ok()),
            log: death.log,
            died_at: self.parts.clock.now(),
            state: LetterState::Open,
        };
        // What is forwarded in the body's place names it, and must find it from the first moment.
        if let (Some(_), Some(body)) = (&queue.dead_letter_queue, &letter.body) {
            self.parts.messages.keep_body(received.id(), body.as_bytes()).await?;
        }
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

    /// Puts the unchanged body on the dead-letter queue, with `message-id` and `round` alone beside it. One that SQS cannot carry
    /// was kept before the letter; one that this queue alone does not take, for its limit is a lower one, is kept now.
    pub(crate) async fn forward(&self, case: &Case<'_>) -> Result<(), HandlingError> {
        let queue = case.queue.as_deref().ok_or(HandlingError::Unregistered)?;
        let Some(dead) = &queue.dead_letter_queue else { return Ok(()) };
        let received = case.received;
        let fifo = dead.name.ends_with(".fifo");
        let at = match &received.body {
            body if body.travels().is_some() => None,
            Body::Text(text) => Some(Messages::body_address(received.id(), text.as_bytes())),
            Body::Bytes(bytes) => Some(Messages::body_address(received.id(), bytes)),
            Body::Kept(at) => Some(at.clone()),
        };
        let mut outgoing = Outgoing {
            message_id: received.id().to_owned(),
            round: received.round,
            body: received.body.travels().unwrap_or(ELSEWHERE).to_owned(),
            // On a standard queue a group would mean something else (fair queues).
            ordering_key: received.group.clone().filter(|_| fifo),
            delay_secs: 0,
            attributes: at.map(|at| ("body-at", at)).into_iter().collect(),
        };
        let place = SqsPlace { queue: dead.clone(), credentials: None, fifo };
        let mut sent = self.parts.queues.send(&place, &outgoing).await;
        if sent.as_ref().is_err_and(SendError::is_of_the_message)
            && let Some(text) = received.body.travels()
        {
            let at = self.parts.messages.keep_body(received.id(), text.as_bytes()).await?;
            outgoing.attributes.push(("body-at", at));
            outgoing.body = ELSEWHERE.to_owned();
            sent = self.parts.queues.send(&place, &outgoing).await;
        }
        sent.map(|_| ()).map_err(HandlingError::Forward)
    }
}

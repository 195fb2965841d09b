use std::time::Duration;

use domain::{Clock, DeadReason, KeyId, Letter, LetterOrigin, LetterState, MessageId, Payload, Queue};
use queue::{Engines, Outgoing, SendError};
use tokio::time::{Instant, timeout, timeout_at};
use zstorage::{Begun, IdempotencyKey, Messages, MessagesError, Outbox, Sealer};

use crate::door::{CHECK_WITHIN, Door, Doors, LEARN_WITHIN};
use crate::error::{told, too_slow};
use crate::message::in_use;
use crate::{NewMessage, PublishError, Published, Undelivered};

/// A caller has its answer within 5 s; this is what the steps may use of it, the last of them the keeping of a letter.
pub(crate) const ADMIT_WITHIN: Duration = Duration::from_secs(2);
pub(crate) const BEGIN_WITHIN: Duration = Duration::from_secs(1);
const SENT_BY: Duration = Duration::from_millis(4100);
const ANSWER_BY: Duration = Duration::from_millis(4800);

// Whatever is slow, each step has time left to begin, and the answer is there within the 5 s.
const _: () = {
    assert!(LEARN_WITHIN.as_millis() + CHECK_WITHIN.as_millis() <= ADMIT_WITHIN.as_millis());
    let begun_by = ADMIT_WITHIN.as_millis() + BEGIN_WITHIN.as_millis();
    assert!(begun_by < SENT_BY.as_millis());
    assert!(SENT_BY.as_millis() < ANSWER_BY.as_millis() && ANSWER_BY.as_millis() < 5000);
};

/// An idempotency key is held by the publish of one message this long, seconds.
const IN_PROGRESS_SECS: u32 = 10;

/// What stands in an idempotency row in place of the engine's id, for a message that is for a later date. No engine gives such an id.
pub(crate) const SCHEDULED: &str = "scheduled";

/// Publishes messages. Cheap to clone; clones share what they have learnt of the queues.
#[derive(Clone)]
pub struct Publisher {
    pub(crate) messages: Messages,
    pub(crate) outbox: Outbox,
    pub(crate) engines: Engines,
    pub(crate) clock: Clock,
    doors: Doors,
}

/// Whom a message comes from and where it is to go.
pub(crate) struct Errand<'q> {
    pub(crate) caller: KeyId,
    pub(crate) queue: &'q Queue,
    pub(crate) message: NewMessage,
    pub(crate) message_id: MessageId,
    /// The id that this errand brought along: it is the message's unless an earlier try gave it one, and tells this
    /// errand's hold of an idempotency key from another's.
    pub(crate) taken_by: MessageId,
    /// How long it may hold its idempotency key, seconds: longer than it takes.
    pub(crate) in_progress_secs: u32,
    /// Whether an earlier try came to no end that is known.
    pub(crate) is_resumed: bool,
}

impl Publisher {
    /// A publisher that keeps idempotency rows and letters in `messages` and what is for a later date in `outbox`, and sends through
    /// `engines`.
    pub fn new(
        messages: Messages,
        outbox: Outbox,
        engines: Engines,
        sealer: Sealer,
        clock: Clock,
    ) -> Publisher {
        let doors = Doors::new(engines.clone(), sealer, clock.clone());
        Publisher { messages, outbox, engines, clock, doors }
    }

    /// The largest body `queue` takes, bytes: its own limit less what travels beside a body.
    pub async fn max_body_bytes(&self, queue: &Queue) -> usize {
        self.doors.of(queue).await.max_body_bytes
    }

    /// Puts one message on `queue` and waits for the engine's acceptance: within 5 s, and warm and without an idempotency
    /// key by one AWS call. What is for a later date is kept for it instead, and the answer says so.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish(
        &self,
        caller: KeyId,
        queue: &Queue,
        message: NewMessage,
    ) -> Result<Published, PublishError> {
        let start = Instant::now();
        let door = self.admit(queue, &message, start + ADMIT_WITHIN).await?;
        let mut errand = self.errand(caller, queue, message, IN_PROGRESS_SECS);
        if let Some(row) = errand.row()
            && let Some(before) = self.begin(&row, &mut errand).await?
        {
            return Ok(before);
        }
        if let Some(date) = self.later(&errand) {
            return self.schedule(&errand, date, start + ANSWER_BY).await;
        }
        let sent = match &door.place {
            Err(reason) => Err(SendError::Unreachable { reason: reason.clone() }),
            Ok(place) => {
                let sent = timeout_at(start + SENT_BY, self.engines.send(place, &errand.outgoing())).await;
                sent.unwrap_or_else(|_elapsed| {
                    Err(SendError::Unanswered { reason: "it took too long".to_owned() })
                })
            }
        };
        let sent = sent.map(|accepted| accepted.engine_id);
        self.settle(&errand, sent, start + ANSWER_BY).await
    }

    /// The door to `queue`, if `message` may pass it, which is known by `by`.
    pub(crate) async fn admit(
        &self,
        queue: &Queue,
        message: &NewMessage,
        by: Instant,
    ) -> Result<std::sync::Arc<Door>, PublishError> {
        in_use(queue)?;
        let door = self.doors.of(queue).await;
        let options = message.options.faults(queue);
        let payload = door.payload_faults(&message.payload, by).await.ok_or_else(|| Undelivered {
            letter: None,
            outcome_unknown: false,
            reason: "other payloads are being held against their schemas; nothing was sent".to_owned(),
        })?;
        if options.is_empty() && payload.is_empty() {
            Ok(door)
        } else {
            Err(PublishError::Invalid { options, payload })
        }
    }

    pub(crate) fn errand<'q>(
        &self,
        caller: KeyId,
        queue: &'q Queue,
        message: NewMessage,
        in_progress_secs: u32,
    ) -> Errand<'q> {
        let message_id = MessageId::new(self.clock.now(), &mut rand::rng());
        Errand {
            caller,
            queue,
            message,
            message_id,
            taken_by: message_id,
            in_progress_secs,
            is_resumed: false,
        }
    }

    /// Notes the idempotency key before anything is sent. `Some` = the answer that was given before; else the errand
    /// goes on, under the id it had on an earlier try.
    pub(crate) async fn begin(
        &self,
        row: &IdempotencyKey,
        errand: &mut Errand<'_>,
    ) -> Result<Option<Published>, PublishError> {
        let begun =
            self.messages.begin(row, errand.message.fingerprint(), errand.taken_by, errand.in_progress_secs);
        let begun =
            timeout(BEGIN_WITHIN, begun).await.unwrap_or_else(|_elapsed| Err(too_slow("an idempotency key")));
        match begun.map_err(PublishError::Storage)? {
            Begun::New { .. } => Ok(None),
            Begun::Resume { message_id, letter } => {
                errand.message_id = message_id;
                errand.is_resumed = letter.is_none();
                Ok(None)
            }
            Begun::Accepted { message_id, engine_id } => {
                errand.message_id = message_id;
                Ok(Some(Published { replayed: true, ..errand.published(engine_id) }))
            }
            Begun::OtherBody => Err(PublishError::OtherBody),
            Begun::InProgress { retry_after_secs } => Err(PublishError::InFlight { retry_after_secs }),
        }
    }

    /// Writes down what became of a send, until `by` at the latest, and says it.
    pub(crate) async fn settle(
        &self,
        errand: &Errand<'_>,
        sent: Result<String, SendError>,
        by: Instant,
    ) -> Result<Published, PublishError> {
        match sent {
            Ok(engine_id) => {
                self.mark_accepted(errand, &engine_id, by).await;
                Ok(errand.published(engine_id))
            }
            Err(error) => self.keep(errand, &error, by).await,
        }
    }

    /// The engine has the message, so the answer is yes even if the mark fails: then a retry under the same key sends the
    /// same message-id again, once the key's hold has lapsed.
    pub(crate) async fn mark_accepted(&self, errand: &Errand<'_>, engine_id: &str, by: Instant) {
        let Some(row) = errand.row() else { return };
        let marked = timeout_at(by, self.messages.accepted(&row, engine_id)).await;
        if let Err(error) = marked.unwrap_or_else(|_elapsed| Err(too_slow("the mark of an accepted message")))
        {
            tracing::warn!(message.id = %errand.message_id, %error, "An accepted message could not be marked as such.");
        }
    }

    /// Keeps the message as a letter; with an idempotency key, frees the key for the next try in the same breath.
    async fn keep(
        &self,
        errand: &Errand<'_>,
        error: &SendError,
        by: Instant,
    ) -> Result<Published, PublishError> {
        let (queue, message_id) = (errand.queue, errand.message_id);
        tracing::warn!(
            message.id = %message_id, queue.id = %queue.id, queue.name = %queue.name, %error,
            "A message did not reach its queue."
        );
        let letter = errand.letter(error, self.clock.now());
        let row = errand.row();
        let keeping = async {
            match &row {
                Some(row) => self.messages.refused(row, errand.taken_by, Some(&letter)).await,
                None => self.messages.keep_letter(&letter).await,
            }
        };
        let mut kept = timeout_at(by, keeping).await.unwrap_or_else(|_elapsed| Err(too_slow("a letter")));
        if let (Err(MessagesError::Overtaken), Some(row)) = (&kept, &row) {
            let asking = MessageId::new(self.clock.now(), &mut rand::rng());
            let again =
                self.messages.begin(row, errand.message.fingerprint(), asking, errand.in_progress_secs);
            match timeout_at(by, again).await {
                // This try was so slow that another one under the same key and id got through meanwhile: what that one
                // was told holds for this one, too.
                Ok(Ok(Begun::Accepted { message_id, engine_id })) => {
                    return Ok(Published { message_id, replayed: true, ..errand.published(engine_id) });
                }
                // Or is at it now: how that one ends is how the message ends.
                Ok(Ok(Begun::InProgress { retry_after_secs })) => {
                    return Err(PublishError::InFlight { retry_after_secs });
                }
                // Or has failed as well, so that the key is this one's again, to be freed with a letter.
                Ok(Ok(Begun::Resume { .. })) => {
                    let refused = timeout_at(by, self.messages.refused(row, asking, Some(&letter))).await;
                    kept = refused.unwrap_or_else(|_elapsed| Err(too_slow("a letter")));
                }
                Ok(Ok(Begun::New { .. } | Begun::OtherBody) | Err(_)) | Err(_) => {}
            }
        }
        if let Err(error) = &kept {
            tracing::error!(message.id = %message_id, %error, "A letter could not be kept.");
        }
        Err(PublishError::Undelivered(Undelivered {
            letter: kept.is_ok().then(|| message_id.to_string()),
            outcome_unknown: matches!(error, SendError::Unanswered { .. }),
            reason: told(error),
        }))
    }
}

impl Errand<'_> {
    pub(crate) fn row(&self) -> Option<IdempotencyKey> {
        let key = self.message.options.idempotency_key.clone()?;
        Some(IdempotencyKey { caller: self.caller, queue: self.queue.id, key })
    }

    pub(crate) fn outgoing(&self) -> Outgoing {
        Outgoing {
            message_id: self.message_id.to_string(),
            round: 0,
            body: self.message.payload.as_str().to_owned(),
            ordering_key: self.message.options.ordering_key.clone(),
            delay_secs: self.message.options.deliver_after_secs.unwrap_or(0),
            attributes: Vec::new(),
        }
    }

    /// The answer, once the engine has the message under this id, or the outbox under [`SCHEDULED`].
    pub(crate) fn published(&self, engine_id: String) -> Published {
        let deliver_at = self.message.options.deliver_at.filter(|_| engine_id == SCHEDULED);
        let engine_id = Some(engine_id).filter(|_| deliver_at.is_none());
        Published {
            message_id: self.message_id,
            engine: self.queue.engine(),
            engine_id,
            queue_id: self.queue.id,
            deliver_at,
            replayed: false,
        }
    }

    fn letter(&self, error: &SendError, died_at: jiff::Timestamp) -> Letter {
        let code = match error {
            SendError::Refused { .. } => "refused",
            SendError::Unreachable { .. } => "unreachable",
            SendError::Unanswered { .. } => "unanswered",
        };
        let payload: &Payload = &self.message.payload;
        Letter {
            message_id: self.message_id.to_string(),
            round: 0,
            queue_id: self.queue.id,
            queue_name: self.queue.name.clone(),
            origin: LetterOrigin::Publish {
                outcome_unknown: matches!(error, SendError::Unanswered { .. }),
                may_have_been_retried: self.message.options.idempotency_key.is_none(),
            },
            reason: DeadReason::new(code, error.to_string()),
            body: Some(payload.as_str().to_owned().into()),
            ordering_key: self.message.options.ordering_key.clone(),
            attempts: 1,
            handler: payload.handler().cloned(),
            log: String::new(),
            died_at,
            state: LetterState::Open,
        }
    }
}

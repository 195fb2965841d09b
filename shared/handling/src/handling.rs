use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Backoff, Clock, DeadReason, EntryKey, Letter, LetterOrigin, MessageId, Outcome, Queue};
use jiff::SignedDuration;
use lua_host::{Job, Report, Verdict};
use queue::Queues;
use serde_json::{Value, json};
use zstorage::{Catalog, CatalogError, Messages, Records, Settled};

use crate::burial::Death;
use crate::pick::{BAD_BODY, NotPicked, pick};
use crate::redact::redact;
use crate::verdict::{Ending, ending};
use crate::{Body, Door, Handlers, HandlingError, LiveHandlers, Received, Source, log};

/// What returns without a strike is visible again after this many seconds.
pub const RETURN_SECS: u32 = 1;

/// So many receives come back promptly.
const PROMPT_RETURNS: u32 = 5;

/// The longest a message is put off, seconds: SQS's 12 hours count from the receipt, so something is left for the run.
pub const MAX_VISIBILITY_SECS: u32 = 42_000;

/// By so much the clock of who sends a message may be ahead of ours.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// How long one handler may compute by default.
pub const DEFAULT_CPU_BUDGET: Duration = Duration::from_secs(2);

/// What handling is made of.
#[derive(Clone)]
pub struct HandlingParts {
    /// Which handlers there are, and where they run.
    pub handlers: Handlers,
    /// The registered queues.
    pub catalog: Catalog,
    /// Failures, dead letters, bodies that no SQS message can carry.
    pub messages: Messages,
    /// The records of strict writes, which stand before the handlers of their messages run.
    pub records: Records,
    /// Sends to dead-letter queues.
    pub queues: Queues,
    /// What handlers may ask of the world.
    pub door: Door,
    /// The time.
    pub clock: Clock,
    /// What every handler sees as `context.config`: an object.
    pub config: Value,
    /// How long one handler may compute.
    pub cpu_budget: Duration,
}

/// Gives messages to their handlers. Cheap to clone.
#[derive(Clone)]
pub struct Handling {
    pub(crate) parts: Arc<HandlingParts>,
}

/// One message, its queue and its past.
pub(crate) struct Case<'r> {
    pub(crate) received: &'r Received,
    /// `None` = the queue is not registered.
    pub(crate) queue: Option<Arc<Queue>>,
    /// Failures so far in this round.
    pub(crate) failures: u32,
}

impl Case<'_> {
    /// Poison is buried without being counted. Where a receipt left no failure, its letter may be kept and its body not yet
    /// forwarded: then it must not run again, lest it succeed beside its open letter. How often a broker brought it, nobody counted.
    fn may_be_half_buried(&self) -> bool {
        let Received { receive_count, source, .. } = self.received;
        let is_counted = matches!(source, Source::Sqs { .. });
        let left_no_failure = self.failures + 1 < *receive_count;
        self.queue.is_some() && (left_no_failure || (!is_counted && *receive_count > 1))
    }
}

impl Handling {
    /// Handling with these parts.
    pub fn new(parts: HandlingParts) -> Handling {
        Handling { parts: Arc::new(parts) }
    }

    /// What becomes of a message for which no handlers are loaded: it comes back without a strike, later with each receipt, lest an
    /// outage of minutes spend the receives that the redrive policy allows.
    pub fn put_back(&self, received: &Received) -> Outcome {
        tracing::error!(message.id = received.id(), "no handlers are loaded yet, and a message comes back");
        Outcome::Retry { after_secs: self.backoff(received.receive_count), strike: false }
    }

    /// The handlers for a batch that begins now: see [`Handlers::for_batch`].
    pub async fn handlers_for_batch(&self, wait: Duration) -> Option<Arc<LiveHandlers>> {
        self.parts.handlers.for_batch(wait).await
    }

    /// Handles one message by the `live` handlers and says what becomes of it; the handler is stopped at `deadline`.
    ///
    /// A handler that acknowledges a message received once costs no AWS call (the registry is cached). Failures are
    /// counted per message, queue and round; the last one the queue allows, and whatever no attempt can help, becomes a
    /// dead letter. The answer is `Ack` or `Retry`, never `DeadLetter`: the burial is over when it is given. Whatever cannot be
    /// read, kept or forwarded makes the message come back without a strike, later with each receipt.
    pub async fn handle(&self, live: &LiveHandlers, received: &Received, deadline: Instant) -> Outcome {
        if let Some(after_secs) = self.early_secs(received) {
            return Outcome::Retry { after_secs, strike: false };
        }
        match self.settle(live, received, deadline).await {
            Ok(outcome) => outcome,
            Err(error) => {
                let after_secs = self.backoff(received.receive_count);
                tracing::error!(
                    message.id = received.id(),
                    message.source = %received.source,
                    retry.secs = after_secs,
                    error = domain::causes(&error),
                    "a message could not be settled and comes back"
                );
                Outcome::Retry { after_secs, strike: false }
            }
        }
    }

    async fn settle(
        &self,
        live: &LiveHandlers,
        received: &Received,
        deadline: Instant,
    ) -> Result<Outcome, HandlingError> {
        let received = &*self.whole(received).await?;
        let case = self.case(received).await?;
        if case.queue.is_none() && !matches!(received.source, Source::Sqs { .. }) {
            return Err(HandlingError::UnknownQueue);
        }
        if let Some(queue) = &case.queue
            && case.failures >= queue.max_failures.max(1)
        {
            return self.bury_again(&case).await;
        }
        if case.may_be_half_buried() && self.is_kept(&case).await? {
            self.forward(&case).await?;
            return Ok(Outcome::Ack);
        }
        let default = case.queue.as_ref().and_then(|queue| queue.default_handler.as_ref());
        let body = match received.body.text() {
            Ok(body) => body,
            Err(reason) => {
                let death = Death { reason, attempts: case.failures, handler: None, log: String::new() };
                return self.bury(&case, death).await;
            }
        };
        let handler = match pick(|name| live.resolve(name), body, default) {
            Ok(handler) => handler,
            Err(NotPicked::Waits(package)) => {
                let why = format!("the package {package} could not be loaded yet");
                return Ok(self.returned(received, None, &why));
            }
            Err(NotPicked::Poison(reason)) => {
                if reason.code != BAD_BODY && self.parts.handlers.are_other_than(live).await? {
                    let why = "its handler may have been released since the batch began";
                    return Ok(self.returned(received, None, why));
                }
                let death = Death { reason, attempts: case.failures, handler: None, log: String::new() };
                return self.bury(&case, death).await;
            }
        };
        self.let_stand(received).await?;
        let report = self.run(live, &case, handler, body, deadline).await;
        if lacks_a_module(&report) && live.lacks_packages() {
            let why = "a module that it requires may be of a package that could not be loaded yet";
            return Ok(self.returned(received, Some(handler), why));
        }
        match ending(&report.verdict) {
            Ending::Done => Ok(Outcome::Ack),
            Ending::Returned { why } => Ok(self.returned(received, Some(handler), &why)),
            Ending::Poison(reason) => {
                let attempts = case.failures + 1;
                let log = log::tail(&report, &live.release_of(handler));
                let death = Death { reason, attempts, handler: Some(handler.to_owned()), log };
                self.bury(&case, death).await
            }
            Ending::Failed { error, after_secs } => {
                let log = log::tail(&report, &live.release_of(handler));
                self.fail(&case, handler, log, &error, after_secs).await
            }
        }
    }

    /// Seconds until a message's time comes; `None` = it has come. SQS delays by a quarter of an hour at most, and it was put off for longer.
    fn early_secs(&self, received: &Received) -> Option<u32> {
        let Source::Retry { not_before: Some(time), .. } = received.source else { return None };
        let secs = time.as_second() - self.parts.clock.now().as_second();
        let secs = u32::try_from(secs).ok().filter(|secs| *secs > 0)?;
        Some(secs.min(MAX_VISIBILITY_SECS))
    }

    /// The message with its body, wherever that lies; without one whose body was lost.
    async fn whole<'r>(&self, received: &'r Received) -> Result<Cow<'r, Received>, HandlingError> {
        let Body::Kept(at) = &received.body else { return Ok(Cow::Borrowed(received)) };
        let body = self.parts.messages.body(at).await?;
        Ok(body.map_or(Cow::Borrowed(received), |body| {
            Cow::Owned(Received { body: Body::of(body), ..received.clone() })
        }))
    }

    /// The registered queue that a message came from.
    pub(crate) async fn queue_of(&self, received: &Received) -> Result<Option<Arc<Queue>>, CatalogError> {
        let catalog = &self.parts.catalog;
        match &received.source {
            Source::Sqs { arn } => catalog.queue_by_arn(arn).await,
            // A topic may be called as a queue of another engine is, or as one of another broker.
            Source::Broker { engine, queue } => {
                let known = catalog.queue_by_name(queue).await?;
                Ok(known.filter(|known| known.engine() == *engine && known.is_on_own_broker()))
            }
            Source::Retry { queue, .. } => catalog.queue_by_id(*queue).await,
        }
    }

    /// The message of a strict link is the proof that its queue has it, and whoever holds it may be quicker than its writer's next word:
    /// so the write is made to stand before the handler runs. A write that was undone, or stands, takes nothing from its message.
    async fn let_stand(&self, received: &Received) -> Result<(), HandlingError> {
        let Some(held) = received.attributes.get("held") else { return Ok(()) };
        let message = received.message_id.as_deref().and_then(|id| id.parse::<MessageId>().ok());
        let (Ok(key), Some(message)) = (held.parse::<EntryKey>(), message) else {
            tracing::warn!(message.id = received.id(), "an attribute held of a message is none of ours");
            return Ok(());
        };
        let settled = self.parts.records.let_stand(&key, message, &received.engine_id).await;
        if settled.map_err(HandlingError::Held)? == Settled::Now {
            tracing::info!(
                message.id = received.id(),
                entry.key = %key,
                "a held write stands, for its message is at its handler"
            );
        }
        Ok(())
    }

    /// The message's queue and past. Failures are read only for what was received before: a first receipt has none.
    async fn case<'r>(&self, received: &'r Received) -> Result<Case<'r>, HandlingError> {
        let queue = self.queue_of(received).await?;
        let failures = match &queue {
            Some(queue) if received.receive_count > 1 => {
                self.parts.messages.failures(received.id(), received.round, queue.id).await?
            }
            Some(_) => 0,
            None => received.receive_count.saturating_sub(1),
        };
        Ok(Case { received, queue, failures })
    }

    async fn run(
        &self,
        live: &LiveHandlers,
        case: &Case<'_>,
        handler: &str,
        body: &str,
        deadline: Instant,
    ) -> Report {
        let received = case.received;
        let secrets = live.secrets_of(handler);
        let told = secrets.into_iter().flatten();
        let context = json!({
            "id": received.id(),
            "queue": case.queue.as_ref().map(|queue| queue.name.as_str()),
            "handler": handler,
            "attempt": case.failures + 1,
            // Seconds since 1970, as @std/time counts them.
            "sent_at": received.sent_at.map(|at| at.as_millisecond() as f64 / 1000.0),
            "attributes": received.attributes,
        });
        let job = Job {
            handler: handler.to_owned(),
            context,
            body: body.to_owned(),
            config: self.parts.config.clone(),
            secrets: told.map(|(name, secret)| (name.to_string(), secret.expose().to_owned())).collect(),
            deadline,
            cpu_budget: self.parts.cpu_budget,
        };
        let host = Arc::new(self.parts.door.for_message(received.id(), received.round));
        let mut report = live.sandbox.run(job, host).await;
        if let Some(secrets) = secrets {
            redact(&mut report, secrets);
        }
        log::emit(&report, received.id(), handler, &live.release_of(handler));
        report
    }

    /// Counts a failure: the message comes back, or was at its last attempt.
    async fn fail(
        &self,
        case: &Case<'_>,
        handler: &str,
        log: String,
        error: &str,
        after_secs: Option<u32>,
    ) -> Result<Outcome, HandlingError> {
        let received = case.received;
        let Some(queue) = &case.queue else {
            // Nobody to count for and no dead-letter queue to name: the redrive policy counts receipts.
            let after_secs = self.put_off(after_secs, received.receive_count);
            tracing::error!(
                message.id = received.id(),
                message.source = %received.source,
                handler.name = handler,
                error,
                "a message of an unregistered queue failed: it comes back until the queue's redrive policy takes it"
            );
            return Ok(Outcome::Retry { after_secs, strike: true });
        };
        let failures =
            self.parts.messages.add_failure(received.id(), received.round, queue.id, error).await?;
        if failures >= queue.max_failures.max(1) {
            let times = if failures == 1 { "once".to_owned() } else { format!("{failures} times, at last") };
            let reason = DeadReason::new("failed", format!("it failed {times}: {error}"));
            let death = Death { reason, attempts: failures, handler: Some(handler.to_owned()), log };
            return self.bury(case, death).await;
        }
        let after_secs = self.put_off(after_secs, failures);
        tracing::warn!(
            message.id = received.id(),
            queue.name = queue.name.as_str(),
            handler.name = handler,
            handler.failures = failures,
            retry.secs = after_secs,
            error,
            "a handler failed and its message comes back"
        );
        Ok(Outcome::Retry { after_secs, strike: true })
    }

    /// A message whose attempts are spent came back: its burial was cut short, or the queue's limit was lowered. It does
    /// not run again. A letter kept the first time knows more than we do now, so it is not written over.
    async fn bury_again(&self, case: &Case<'_>) -> Result<Outcome, HandlingError> {
        if self.is_kept(case).await? {
            self.forward(case).await?;
            return Ok(Outcome::Ack);
        }
        let message = format!("it failed {} times; what its last attempt said was not kept", case.failures);
        let reason = DeadReason::new("failed", message);
        self.bury(case, Death { reason, attempts: case.failures, handler: None, log: String::new() }).await
    }

    /// Whether the message's letter of this round and queue was kept before. One that is older than the message is another's: a topic that
    /// was made anew counts from 0 again.
    async fn is_kept(&self, case: &Case<'_>) -> Result<bool, HandlingError> {
        let received = case.received;
        let letters = self.parts.messages.letters(received.id()).await?;
        let is_older = |letter: &Letter| {
            received.sent_at.is_some_and(|sent| sent.duration_since(letter.died_at) > MAX_SKEW)
        };
        let of_this_queue = |letter: &Letter| {
            letter.round == received.round
                && !is_older(letter)
                && letter.origin == LetterOrigin::Worker
                && case.queue.as_ref().is_some_and(|queue| queue.id == letter.queue_id)
        };
        Ok(letters.iter().any(of_this_queue))
    }

    fn returned(&self, received: &Received, handler: Option<&str>, why: &str) -> Outcome {
        let message = "a message returns without a strike";
        tracing::info!(message.id = received.id(), handler.name = handler, why, "{message}");
        Outcome::Retry { after_secs: self.returned_secs(received.receive_count), strike: false }
    }

    /// At once, as long as it did not go round often: after that each return waits longer, lest a long disturbance
    /// spend the receives that the redrive policy allows.
    fn returned_secs(&self, receive_count: u32) -> u32 {
        match receive_count.saturating_sub(PROMPT_RETURNS) {
            0 => RETURN_SECS,
            more => self.backoff(more),
        }
    }

    fn put_off(&self, asked_secs: Option<u32>, failures: u32) -> u32 {
        asked_secs.unwrap_or_else(|| self.backoff(failures)).min(MAX_VISIBILITY_SECS)
    }

    fn backoff(&self, times: u32) -> u32 {
        Backoff::default().after(times, &mut rand::rng())
    }
}

/// Whether a `require` found nothing.
fn lacks_a_module(report: &Report) -> bool {
    matches!(&report.verdict, Verdict::Failed(error) if error.code.as_deref() == Some("no-module"))
}

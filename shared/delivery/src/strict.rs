use std::collections::HashSet;

use domain::{EntryKey, EntryState, LinkMode, Operation, OutboxEntry};
use futures::{StreamExt, stream};
use queue::SendError;
use tokio::time::{Duration, Instant, timeout_at};
use zstorage::{Applied, By, Change, ChangeKind, HeldWrite, Settled, StoreError, WriteError, Written};

use crate::Writer;
use crate::breaker::Leave;
use crate::error::told;
use crate::outbox::outgoing;
use crate::roads::NoRoad;
use crate::writer::{ANSWER_WITHIN, Answer, Answers, EngineId, WriterError};

/// A strict message is sent within this time, once: somewhat more than any engine takes to say what it knows.
const SEND_WITHIN: Duration = Duration::from_millis(4300);

/// What was held is ended by so long after the request began: a send, and one transaction, and the answer is in time.
const LAST_SEND: Duration = Duration::from_secs(18);

/// So often the second transaction of a strict write is tried before the sweeper has to do it.
const TRIES: usize = 3;

/// Strict writes of one batch under way at once.
const AT_ONCE: usize = 16;

/// A change of a batch, with its place.
type Placed = (usize, Change);

/// What is known of a strict message after its one attempt.
enum Attempt {
    Accepted(EngineId),
    /// It is certainly not on the queue.
    Refused(String),
    Unknown,
}

impl Writer {
    /// Does each of `changes`, each with its place, in a transaction of its own, as [`zstorage::Records::each`]; waits as [`Writer::create`].
    /// Where a table has a strict link, each held write is ended before the next one of the same record begins.
    ///
    /// # Errors
    /// [`WriteError`], of the batch as a whole; nothing of it was done then.
    pub async fn each(
        &self,
        changes: Vec<(usize, Change)>,
        by: &By,
        wait: bool,
    ) -> Result<Answers, WriteError> {
        let start = Instant::now();
        let mut left = self.open_all(changes).await?;
        let mut answers: Vec<(usize, Result<Answer, WriterError>)> = Vec::with_capacity(left.len());
        let mut is_begun = false;
        while !left.is_empty() {
            if is_begun && start.elapsed() > LAST_SEND {
                let reason = "there was no time left for this operation of the batch";
                let refused = |(place, _)| (place, Err(WriterError::Refused { reason: reason.to_owned() }));
                answers.extend(left.drain(..).map(refused));
                break;
            }
            let (round, rest) = round(left);
            left = rest;
            let places: Vec<usize> = round.iter().map(|(place, _)| *place).collect();
            let written = match self.courier.records.each(round, by).await {
                Ok(written) => written,
                Err(error) if !is_begun => return Err(error),
                Err(error) => {
                    // What was done before stands; each of these has its own error.
                    tracing::warn!(%error, "A batch came to its end before its time.");
                    let busy = || WriteError::from(StoreError::Busy { operation: "write a record" });
                    answers.extend(places.into_iter().map(|place| (place, Err(busy().into()))));
                    continue;
                }
            };
            is_begun = true;
            let settling: Vec<_> = written
                .into_iter()
                .map(|written| async move { self.settle(written?, start).await })
                .collect();
            let settled = stream::iter(settling).buffered(AT_ONCE).collect::<Vec<_>>().await;
            answers.extend(places.into_iter().zip(settled));
        }
        answers.sort_by_key(|(place, _)| *place);
        Ok(self.told(answers.into_iter().map(|(_, answer)| answer).collect(), wait, start).await)
    }

    /// Ends a write that is held: sends its message once, then lets it stand or takes it back. One that is not held is done already.
    pub(crate) async fn settle(&self, mut written: Written, start: Instant) -> Result<Answer, WriterError> {
        let Some(HeldWrite { entry }) = written.held.take() else { return Ok(Answer::of(written)) };
        let unknown = || WriterError::Unknown { message_id: entry.message_id };
        match self.attempt(&entry, start).await {
            Attempt::Accepted(engine_id) => {
                let stands = timeout_at(start + ANSWER_WITHIN, self.stands(&entry.key, &engine_id.id)).await;
                let state = stands.ok().flatten().ok_or_else(unknown)?;
                let mut answer = Answer::of(written);
                let own = answer.messages.iter_mut().find(|sent| sent.entry == entry.key);
                if let Some(own) = own {
                    own.engine_id = Some(engine_id);
                    own.state = state;
                }
                Ok(answer)
            }
            Attempt::Refused(reason) => {
                let taken_back = timeout_at(start + ANSWER_WITHIN, self.is_taken_back(&entry)).await;
                Err(if taken_back.unwrap_or(false) { WriterError::Refused { reason } } else { unknown() })
            }
            Attempt::Unknown => {
                tracing::warn!(message.id = %entry.message_id, "A strict message got no answer: its write stays held until the sweeper comes.");
                Err(unknown())
            }
        }
    }

    async fn attempt(&self, entry: &OutboxEntry, start: Instant) -> Attempt {
        let roads = &self.courier.roads;
        let by = (Instant::now() + SEND_WITHIN).min(start + LAST_SEND + SEND_WITHIN);
        let road = match timeout_at(by, roads.to(entry.queue)).await {
            Ok(Ok(road)) => road,
            Ok(Err(NoRoad::Closed { reason, .. })) => return Attempt::Refused(reason),
            Ok(Err(NoRoad::Unknown(_))) | Err(_) => {
                return Attempt::Refused("its queue could not be looked up".to_owned());
            }
        };
        if Instant::now() > start + LAST_SEND {
            return Attempt::Refused("there was no time left to send it".to_owned());
        }
        if road.breaker.ask(roads.clock.now()) == Leave::Nothing {
            return Attempt::Refused("the queue took no message lately".to_owned());
        }
        let sent = timeout_at(by, roads.engines.send_once(&road.place, &outgoing(entry))).await;
        let sent = sent
            .unwrap_or_else(|_elapsed| Err(SendError::Unanswered { reason: "it took too long".to_owned() }));
        match &sent {
            Err(error) if !error.is_of_the_message() => road.breaker.failed(1, roads.clock.now()),
            _ => road.breaker.answered(),
        }
        match sent {
            Ok(accepted) => {
                Attempt::Accepted(EngineId { engine: road.place.engine(), id: accepted.engine_id })
            }
            Err(SendError::Unanswered { .. }) => Attempt::Unknown,
            Err(error) => {
                tracing::warn!(message.id = %entry.message_id, queue.id = %entry.queue, %error, "A strict message was refused.");
                Attempt::Refused(told(&error))
            }
        }
    }

    /// The queue has the message: lets the write stand. `None` = that is not known to be done; the sweeper, or whoever receives the
    /// message, will do it.
    async fn stands(&self, key: &EntryKey, engine_id: &str) -> Option<EntryState> {
        for _ in 0..TRIES {
            let applied = Applied::Published { engine_id: Some(engine_id.to_owned()) };
            match self.courier.records.apply(key, applied, None).await {
                Ok(Settled::Now) => return Some(EntryState::Published),
                Ok(Settled::Before(state)) => return Some(state),
                Ok(Settled::Undone | Settled::Outrun) => return None,
                Err(error) => {
                    tracing::warn!(entry = %key, %error, "A held write whose message is sent could not be made to stand.")
                }
            }
        }
        None
    }

    /// The message is certainly not on the queue: takes the write back, unless a sweeper may have sent it meanwhile.
    async fn is_taken_back(&self, entry: &OutboxEntry) -> bool {
        for _ in 0..TRIES {
            match self.courier.records.undo(entry).await {
                Ok(is_taken_back) => return is_taken_back,
                Err(error) => {
                    tracing::warn!(message.id = %entry.message_id, %error, "A held write could not be taken back.")
                }
            }
        }
        false
    }
}

/// Of `changes` those that can be done at once, and the others. Where strict links are asked, one record is written once, and so
/// many at once as can be sent at once.
fn round(changes: Vec<Placed>) -> (Vec<Placed>, Vec<Placed>) {
    if !changes.iter().any(|(_, change)| asks_strict_link(change)) {
        return (changes, Vec::new());
    }
    let (mut records, mut strict) = (HashSet::new(), 0);
    changes.into_iter().partition(|(_, change)| {
        let id = match &change.kind {
            ChangeKind::Create(_) => None,
            ChangeKind::Update { id, .. } | ChangeKind::Delete { id, .. } => Some(*id),
        };
        // Whoever is passed over keeps later ones of the same record back.
        let is_first = id.is_none_or(|id| records.insert(id));
        let is_strict = asks_strict_link(change);
        let goes = is_first && (!is_strict || strict < AT_ONCE);
        strict += usize::from(goes && is_strict);
        goes
    })
}

fn asks_strict_link(change: &Change) -> bool {
    let operation = match change.kind {
        ChangeKind::Create(_) => Operation::Create,
        ChangeKind::Update { .. } => Operation::Update,
        ChangeKind::Delete { .. } => Operation::Delete,
    };
    let links = &change.table.schema.table().links;
    links.iter().any(|link| link.enabled && link.mode == LinkMode::Strict && link.on.contains(operation))
}

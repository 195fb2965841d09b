use std::collections::HashMap;
use std::time::Duration;

use domain::{KeyId, Queue};
use futures::StreamExt;
use futures::stream;
use queue::{Outgoing, SendError};
use tokio::time::{Instant, timeout};
use zstorage::StoreError;

use crate::publisher::{ADMIT_WITHIN, BEGIN_WITHIN, Errand};
use crate::{NewMessage, PublishError, Published, Publisher, Undelivered};

/// So many calls to the store are under way at once for one batch.
const AT_ONCE: usize = 16;

/// All chunks of a batch are sent within this time; `send_all` itself begins none after 9 s.
const SEND_WITHIN: Duration = Duration::from_secs(11);

/// What is for later dates is kept within this time, before anything is sent.
const SCHEDULE_WITHIN: Duration = Duration::from_secs(3);

/// What became of the batch is written down within this time after the send.
const SETTLE_WITHIN: Duration = Duration::from_secs(3);

/// An idempotency key is held by a batch this long, seconds.
const IN_PROGRESS_SECS: u32 = 30;

// A hundred keys are noted in rounds. Whatever is slow, the answer comes before the 27 s after which the edge gives up (and what
// became of the messages would never be written down), and no key is free before it.
const _: () = {
    let begin_secs = 100_usize.div_ceil(AT_ONCE) as u64 * BEGIN_WITHIN.as_secs();
    let all_secs = ADMIT_WITHIN.as_secs()
        + begin_secs
        + SCHEDULE_WITHIN.as_secs()
        + SEND_WITHIN.as_secs()
        + SETTLE_WITHIN.as_secs();
    assert!(all_secs < 27 && all_secs < IN_PROGRESS_SECS as u64);
};

type Answer = Result<Published, PublishError>;

impl Publisher {
    /// Puts many messages on one queue: one answer for each, in order. An idempotency key that stands twice in the batch
    /// is one message with one answer, unless the two differ: then the later one is refused.
    pub async fn publish_batch(
        &self,
        caller: KeyId,
        queue: &Queue,
        messages: Vec<NewMessage>,
    ) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = Vec::new();
        answers.resize_with(messages.len(), || None);
        let mut errands = Vec::with_capacity(messages.len());
        let mut repeats = Vec::new();
        let mut first_of: HashMap<String, (usize, [u8; 32])> = HashMap::new();
        let mut place = None;
        let by = Instant::now() + ADMIT_WITHIN;
        for (at, message) in messages.into_iter().enumerate() {
            match self.admit(queue, &message, by).await {
                Err(error) => {
                    answers[at] = Some(Err(error));
                    continue;
                }
                Ok(door) => place = Some(door.place.clone()),
            }
            if let Some(key) = &message.options.idempotency_key {
                let fingerprint = message.fingerprint();
                match first_of.get(key) {
                    Some((_, other)) if *other != fingerprint => {
                        answers[at] = Some(Err(PublishError::OtherBody));
                        continue;
                    }
                    Some((first, _)) => {
                        repeats.push((at, *first));
                        continue;
                    }
                    None => {
                        first_of.insert(key.clone(), (at, fingerprint));
                    }
                }
            }
            errands.push((at, self.errand(caller, queue, message, IN_PROGRESS_SECS)));
        }
        let errands = self.begin_all(errands, &mut answers).await;
        let errands = self.schedule_all(errands, &mut answers).await;
        let sent = self.send_errands(place, &errands).await;
        let by = Instant::now() + SETTLE_WITHIN;
        // The futures are made first: a stream that makes them as it goes is not `Send` for the compiler.
        let settling: Vec<_> = std::iter::zip(&errands, sent)
            .map(|((at, errand), sent)| async move { (*at, self.settle(errand, sent, by).await) })
            .collect();
        for (at, answer) in stream::iter(settling).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
            answers[at] = Some(answer);
        }
        for (at, first) in repeats {
            answers[at] = Some(repeat(answers[first].as_ref()));
        }
        answers.into_iter().map(|answer| answer.expect("each message got its answer above")).collect()
    }

    /// Notes all idempotency keys; those that need no send have their answer, the others go on.
    async fn begin_all<'q>(
        &self,
        errands: Vec<(usize, Errand<'q>)>,
        answers: &mut [Option<Answer>],
    ) -> Vec<(usize, Errand<'q>)> {
        let beginning: Vec<_> = errands
            .into_iter()
            .map(|(at, mut errand)| async move {
                let before = match errand.row() {
                    Some(row) => self.begin(&row, &mut errand).await,
                    None => Ok(None),
                };
                (at, errand, before)
            })
            .collect();
        let mut going_on = Vec::new();
        // Ordered, for what is sent keeps the order it was given in.
        for (at, errand, before) in stream::iter(beginning).buffered(AT_ONCE).collect::<Vec<_>>().await {
            match before {
                Ok(None) => going_on.push((at, errand)),
                Ok(Some(before)) => answers[at] = Some(Ok(before)),
                Err(error) => answers[at] = Some(Err(error)),
            }
        }
        going_on
    }

    /// Keeps what is for a later date; the others go on.
    async fn schedule_all<'q>(
        &self,
        errands: Vec<(usize, Errand<'q>)>,
        answers: &mut [Option<Answer>],
    ) -> Vec<(usize, Errand<'q>)> {
        let by = Instant::now() + SCHEDULE_WITHIN;
        // Each is asked once: its date may come at any moment.
        let (mut later, mut now) = (Vec::new(), Vec::new());
        for (at, errand) in errands {
            match self.later(&errand) {
                Some(date) => later.push((at, errand, date)),
                None => now.push((at, errand)),
            }
        }
        let scheduling: Vec<_> = later
            .iter()
            .map(|(at, errand, date)| async move { (*at, self.schedule(errand, *date, by).await) })
            .collect();
        for (at, answer) in stream::iter(scheduling).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
            answers[at] = Some(answer);
        }
        now
    }

    async fn send_errands(
        &self,
        place: Option<Result<queue::Place, String>>,
        errands: &[(usize, Errand<'_>)],
    ) -> Vec<Result<String, SendError>> {
        let all = |error: SendError| vec![Err(error); errands.len()];
        let place = match place {
            Some(Ok(place)) if !errands.is_empty() => place,
            Some(Err(reason)) => return all(SendError::Unreachable { reason }),
            Some(Ok(_)) | None => return Vec::new(),
        };
        let outgoing: Vec<Outgoing> = errands.iter().map(|(_, errand)| errand.outgoing()).collect();
        match timeout(SEND_WITHIN, self.engines.send_all(&place, &outgoing)).await {
            Ok(sent) => sent.into_iter().map(|answer| answer.map(|accepted| accepted.engine_id)).collect(),
            Err(_elapsed) => all(SendError::Unanswered { reason: "the batch took too long".to_owned() }),
        }
    }
}

/// The answer of the first message under an idempotency key, once more.
fn repeat(first: Option<&Answer>) -> Answer {
    match first {
        Some(Ok(published)) => Ok(Published { replayed: true, ..published.clone() }),
        Some(Err(PublishError::Undelivered(undelivered))) => Err(undelivered.clone().into()),
        Some(Err(PublishError::OtherBody)) => Err(PublishError::OtherBody),
        Some(Err(PublishError::InFlight { retry_after_secs })) => {
            Err(PublishError::InFlight { retry_after_secs: *retry_after_secs })
        }
        Some(Err(PublishError::Unscheduled { message_id, .. })) => Err(PublishError::Unscheduled {
            message_id: *message_id,
            source: StoreError::Busy { operation: "schedule a message" },
        }),
        Some(Err(_)) | None => Err(PublishError::Undelivered(Undelivered {
            letter: None,
            outcome_unknown: false,
            reason: "the first message of the batch under this idempotency key was not sent".to_owned(),
        })),
    }
}

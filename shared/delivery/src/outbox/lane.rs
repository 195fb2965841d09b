use std::collections::{HashMap, HashSet, VecDeque};

use domain::{Engine, EntryState, QueueId};
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use queue::{Accepted, SendError};
use tokio::time::{Instant, timeout_at};

use super::parcel::{Line, Parcel, Tally};
use super::settle::Upshot;
use super::{CALLS_AT_ONCE, Courier, WAVE, outgoing};
use crate::breaker::Leave;
use crate::roads::{NoRoad, Road};

/// What goes out at once: to SQS four calls side by side, to brokers as many messages. To a FIFO queue it is one call.
const SIDE_BY_SIDE: usize = 40;
const ONE_CALL: usize = 10;

/// All bodies of one wave, bytes.
const SIDE_BY_SIDE_BYTES: usize = 2 * 1024 * 1024;
const ONE_CALL_BYTES: usize = 1024 * 1024;

/// An entry behind one that is not published looks again when that one is tried next, and after this long at the earliest. Whoever
/// publishes that one goes on with this one, so this is for the case that they died in between.
const LOOKS_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// What is noted of it meanwhile.
const BEHIND: &str = "it waits for the message of the same record before it";

/// Behind one that waits for a person it looks again after this long.
const LOOKS_FOR_A_PERSON: SignedDuration = SignedDuration::from_hours(1);

/// The parcels of one queue.
pub(super) struct Lane<'c> {
    courier: &'c Courier,
    waiting: VecDeque<Parcel>,
    /// Lines in which nothing more goes, and until when.
    stopped: HashMap<Line, Timestamp>,
    by: Instant,
    tally: Tally,
}

/// Why nothing is sent.
struct Shut {
    reason: String,
    /// Whether it counts as a failure of what is not sent. Not while another message is finding out.
    counts: bool,
    /// Whether what is held need not be tried again.
    for_good: bool,
    /// Whether it is noted on what the stream has brought, too. Else that simply stays due.
    is_noted: bool,
}

/// What is known of a parcel right before it is sent.
enum Look {
    Clear(Parcel),
    /// Somebody has seen to it.
    Done,
    /// Another must go first, which is not tried before this.
    Behind(Parcel, Timestamp),
    /// The store did not say.
    Unknown(Parcel),
}

impl Lane<'_> {
    /// Brings `parcels` to `queue`, wave by wave.
    pub(super) async fn run(
        courier: &Courier,
        queue: QueueId,
        mut parcels: Vec<Parcel>,
        by: Instant,
    ) -> Tally {
        parcels.sort_by_key(|parcel| parcel.entry.key);
        let (stopped, tally) = (HashMap::new(), Tally::default());
        let mut lane = Lane { courier, waiting: parcels.into(), stopped, by, tally };
        match courier.roads.to(queue).await {
            Ok(road) => lane.travel(&road).await,
            Err(NoRoad::Closed { reason, for_good }) => {
                tracing::warn!(queue.id = %queue, reason, "Messages wait: their queue cannot be used.");
                lane.turn_back(&Shut { reason, counts: true, for_good, is_noted: true }).await;
            }
            Err(NoRoad::Unknown(error)) => {
                tracing::warn!(queue.id = %queue, %error, "A queue could not be looked up.");
            }
        }
        while let Some(parcel) = lane.waiting.pop_front() {
            lane.tally.leave(&parcel);
        }
        lane.tally
    }

    async fn travel(&mut self, road: &Road) {
        let ordered = road.place.keeps_order();
        let (most, bytes) = match road.place.engine() {
            Engine::Sqs if ordered => (ONE_CALL, ONE_CALL_BYTES),
            Engine::Sqs | Engine::Kafka | Engine::RabbitMq => (SIDE_BY_SIDE, SIDE_BY_SIDE_BYTES),
        };
        while !self.waiting.is_empty() && Instant::now() + WAVE <= self.by {
            let now = self.courier.roads.clock.now();
            let leave = road.breaker.ask(now);
            let most = match leave {
                Leave::All => most,
                Leave::Probe => 1,
                Leave::Nothing => {
                    let reason = "the queue took no message lately, so this one was not tried".to_owned();
                    let counts = !road.breaker.is_probed(now);
                    return self.turn_back(&Shut { reason, counts, for_good: false, is_noted: false }).await;
                }
            };
            let wave = self.next(most, bytes, ordered);
            let wave = self.clear(wave).await;
            if wave.is_empty() {
                if leave == Leave::Probe {
                    road.breaker.gives_back();
                }
                continue;
            }
            if let Some(reason) = self.send(road, wave).await {
                let shut = Shut { reason, counts: true, for_good: false, is_noted: false };
                return self.turn_back(&shut).await;
            }
        }
    }

    /// Nothing more is sent: what the sweeper has taken waits for another time.
    async fn turn_back(&mut self, shut: &Shut) {
        while !self.waiting.is_empty() && Instant::now() < self.by {
            let wave = self.next(SIDE_BY_SIDE, usize::MAX, true);
            let (noted, passed_over): (Vec<_>, Vec<_>) =
                wave.into_iter().partition(|parcel| shut.is_noted || parcel.fence.is_some());
            // The doorbell has rung for these, and that is all it was for.
            drop(passed_over);
            let courier = self.courier;
            let failing: Vec<_> = self
                .clear(noted)
                .await
                .into_iter()
                .map(|parcel| async move {
                    let reason = shut.reason.clone();
                    match shut.counts {
                        true => courier.failed(parcel, reason, shut.for_good).await,
                        false => courier.waits(parcel, &reason, courier.soonest()).await,
                    }
                })
                .collect();
            self.settled(failing).await;
        }
    }

    /// The next wave: of one ordering key and of one line at most one, and always the first that waits.
    fn next(&mut self, most: usize, most_bytes: usize, ordered: bool) -> Vec<Parcel> {
        let (mut wave, mut bytes) = (Vec::new(), 0);
        let (mut keys, mut lines) = (HashSet::new(), HashSet::new());
        let mut rest = VecDeque::new();
        for parcel in self.waiting.drain(..) {
            // Whoever is passed over keeps those behind it back.
            let key = parcel.entry.ordering_key.clone().filter(|_| ordered);
            let is_first = key.is_none_or(|key| keys.insert(key));
            let is_first = parcel.line().is_none_or(|line| lines.insert(line)) && is_first;
            let fits = wave.is_empty() || (wave.len() < most && bytes + parcel.bytes() <= most_bytes);
            if is_first && fits {
                bytes += parcel.bytes();
                wave.push(parcel);
            } else {
                rest.push_back(parcel);
            }
        }
        self.waiting = rest;
        wave
    }

    /// Those of `wave` that may be sent now. Each that must keep to a line is looked at once more, with the one before it, in one
    /// consistent read.
    async fn clear(&mut self, wave: Vec<Parcel>) -> Vec<Parcel> {
        let courier = self.courier;
        let stopped = &self.stopped;
        let looking: Vec<_> = wave
            .into_iter()
            .map(|parcel| {
                let stopped = parcel.line().and_then(|line| stopped.get(&line)).copied();
                async move {
                    match stopped {
                        Some(until) => Look::Behind(parcel, until),
                        None => courier.look(parcel).await,
                    }
                }
            })
            .collect();
        let looked: Vec<Look> = stream::iter(looking).buffered(CALLS_AT_ONCE).collect().await;
        let (mut clear, mut waiting) = (Vec::new(), Vec::new());
        for look in looked {
            match look {
                Look::Clear(parcel) => clear.push(parcel),
                Look::Done => {}
                Look::Behind(parcel, until) => {
                    self.stopped.extend(parcel.line().map(|line| (line, until)));
                    // The stream's stay due as they are.
                    if parcel.fence.is_some() {
                        // A moment later, so that the one before it comes first.
                        let until = until + SignedDuration::from_secs(1);
                        waiting.push(courier.waits(parcel, BEHIND, until));
                    }
                }
                Look::Unknown(parcel) => self.tally.leave(&parcel),
            }
        }
        self.settled(waiting).await;
        clear
    }

    /// Sends one wave and writes down what came of it. Answers why, if the queue did not take part in it at all.
    async fn send(&mut self, road: &Road, wave: Vec<Parcel>) -> Option<String> {
        let messages: Vec<_> = wave.iter().map(|parcel| outgoing(&parcel.entry)).collect();
        let sending = self.courier.roads.engines.send_all(&road.place, &messages);
        let answers = timeout_at(self.by, sending).await.unwrap_or_else(|_elapsed| {
            let error = SendError::Unanswered { reason: "it took too long".to_owned() };
            vec![Err(error); messages.len()]
        });
        drop(messages);
        let dead = why_dead(&answers);
        match dead {
            None => road.breaker.answered(),
            Some(_) => {
                let messages = u32::try_from(answers.len()).unwrap_or(u32::MAX);
                road.breaker.failed(messages, self.courier.roads.clock.now());
            }
        }
        let courier = self.courier;
        let settling: Vec<_> =
            wave.into_iter().zip(answers).map(|(parcel, answer)| courier.settle(parcel, answer)).collect();
        self.settled(settling).await;
        dead
    }

    /// Waits for what is being written down, and takes note of it.
    async fn settled(&mut self, settling: Vec<impl Future<Output = Upshot>>) {
        for upshot in stream::iter(settling).buffer_unordered(CALLS_AT_ONCE).collect::<Vec<_>>().await {
            self.tally.add(upshot.tally);
            self.stopped.extend(upshot.stops);
            let Some(next) = upshot.next else { continue };
            match self.waiting.iter_mut().find(|parcel| parcel.entry.key == next.entry.key) {
                // It is here already: what was just read of it is the newest.
                Some(here) => here.is_clear = here.fence.is_none_or(|lease| lease == next.entry.lease),
                None => self.waiting.push_back(next),
            }
        }
    }
}

impl Courier {
    async fn look(&self, parcel: Parcel) -> Look {
        // What is held was let pass when it was written, and nobody else can write that record.
        if parcel.is_clear || parcel.line().is_none() || parcel.entry.state == EntryState::Held {
            return Look::Clear(parcel);
        }
        let (entry, before) = match self.outbox.with_predecessor(&parcel.entry.key).await {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(message.id = %parcel.entry.message_id, %error, "An entry could not be looked at.");
                return Look::Unknown(parcel);
            }
        };
        let is_ours = entry.is_some_and(|entry| {
            entry.state == EntryState::Due && entry.lease == parcel.fence.unwrap_or_default()
        });
        match before {
            _ if !is_ours => Look::Done,
            Some(before) if !before.lets_others_pass() => {
                let until = self.waits_until(&parcel).await;
                Look::Behind(parcel, until)
            }
            _ => Look::Clear(parcel),
        }
    }

    /// When a parcel is looked at again that waits for what others come to.
    fn soonest(&self) -> Timestamp {
        self.roads.clock.now() + LOOKS_AGAIN
    }

    /// When the one before a parcel is tried next. Of what the stream brought nobody asks: it stays due as it is.
    async fn waits_until(&self, parcel: &Parcel) -> Timestamp {
        let (now, soonest) = (self.roads.clock.now(), self.soonest());
        if parcel.fence.is_none() {
            return soonest;
        }
        match self.outbox.predecessor(&parcel.entry.key).await {
            Ok(Some(before)) if before.state == EntryState::Parked => now + LOOKS_FOR_A_PERSON,
            Ok(Some(before)) => before.next_attempt_at.map_or(soonest, |next| next.max(soonest)),
            Ok(None) | Err(_) => soonest,
        }
    }
}

/// Why the queue takes nothing, if it took none of these and refused none for what it is.
fn why_dead(answers: &[Result<Accepted, SendError>]) -> Option<String> {
    let errors: Vec<&SendError> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    let is_dead = errors.len() == answers.len() && !errors.iter().any(|error| error.is_of_the_message());
    errors.first().filter(|_| is_dead).map(ToString::to_string)
}

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::QueueId;
use jiff::{SignedDuration, Timestamp};

/// So many messages in a row that came to nothing open a breaker.
const OPENS_AFTER: u32 = 5;

/// For how long a breaker opens first; each probe that comes to nothing doubles it.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// It never opens for longer: less than lies between two sweeps, so that each of them tries a message.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(50);

/// A probe of which nothing was heard by then counts as one that never was: who made it is dead or stuck.
const PROBE_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// More queues than this are not remembered at once.
const MAX_BREAKERS: usize = 1000;

/// What may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    All,
    /// One message, to see whether the queue is back. Whoever is told so says what came of it.
    Probe,
    Nothing,
}

/// Keeps senders from a queue that takes nothing: opens after some messages in a row came to nothing for reasons that are not
/// theirs, lets one through after a pause, and closes when that one is taken. Each process has its own.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    pause: SignedDuration,
    until: Timestamp,
    probe_until: Option<Timestamp>,
}

impl Breaker {
    /// Asks for leave to send.
    pub(crate) fn ask(&self, now: Timestamp) -> Leave {
        let mut state = self.state();
        match &mut state.open {
            None => Leave::All,
            Some(open) if open.lets_probe(now) => {
                open.probe_until = Some(now + PROBE_WITHIN);
                Leave::Probe
            }
            Some(_) => Leave::Nothing,
        }
    }

    /// Whether who asks now would get leave for one message at least.
    pub(crate) fn lets_one(&self, now: Timestamp) -> bool {
        self.state().open.as_ref().is_none_or(|open| open.lets_probe(now))
    }

    /// Whether somebody is finding out just now if the queue is back.
    pub(crate) fn is_probed(&self, now: Timestamp) -> bool {
        let probe_until = self.state().open.as_ref().and_then(|open| open.probe_until);
        probe_until.is_some_and(|until| now < until)
    }

    /// A probe was not sent after all.
    pub(crate) fn gives_back(&self) {
        if let Some(open) = &mut self.state().open {
            open.probe_until = None;
        }
    }

    /// The queue has taken a message, or looked at one and refused it for what it is.
    pub(crate) fn answered(&self) {
        *self.state() = State::default();
    }

    /// So many messages came to nothing.
    pub(crate) fn failed(&self, messages: u32, now: Timestamp) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(messages);
        let pause = match &state.open {
            None if state.failures < OPENS_AFTER => return,
            None => FIRST_PAUSE,
            // What was on its way when it opened tells nothing new.
            Some(open) if open.probe_until.is_none() => return,
            Some(open) => (open.pause * 2).min(LONGEST_PAUSE),
        };
        state.open = Some(Open { pause, until: now + pause, probe_until: None });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn lets_probe(&self, now: Timestamp) -> bool {
        now >= self.until && self.probe_until.is_none_or(|until| now >= until)
    }
}

/// The breakers of the queues met so far. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breakers(Arc<Mutex<HashMap<QueueId, Arc<Breaker>>>>);

impl Breakers {
    pub(crate) fn of(&self, queue: QueueId) -> Arc<Breaker> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_BREAKERS && !kept.contains_key(&queue) {
            kept.clear();
        }
        Arc::clone(kept.entry(queue).or_default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// `steps`: at a second, `f3` = three failures, `a` = an answer, `b` = a probe given back, `?X` = asked, and told `A`ll, `P`robe or `N`othing.
    fn check(steps: &[(i64, &str)]) {
        let breaker = Breaker::default();
        for (place, (second, step)) in steps.iter().enumerate() {
            let now = Timestamp::from_second(*second).unwrap();
            match step.split_at(1) {
                ("f", count) => breaker.failed(count.parse().unwrap(), now),
                ("a", _) => breaker.answered(),
                ("b", _) => breaker.gives_back(),
                (_, expect) => {
                    let lets_one = breaker.lets_one(now);
                    let told = match breaker.ask(now) {
                        Leave::All => "A",
                        Leave::Probe => "P",
                        Leave::Nothing => "N",
                    };
                    assert_eq!(told, expect, "step {place} of {steps:?}");
                    assert_eq!(lets_one, told != "N", "step {place} of {steps:?}");
                }
            }
        }
    }

    #[test]
    fn a_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through_at_a_time() {
        check(&[(0, "f4"), (0, "?A"), (0, "f1"), (0, "?N"), (4, "?N"), (5, "?P"), (5, "?N")]);
        // In a row.
        check(&[(0, "f4"), (0, "a"), (0, "f4"), (0, "?A")]);
        // A probe that is taken closes it, one that fails doubles the pause, to 50 s at most.
        check(&[(0, "f5"), (5, "?P"), (6, "a"), (6, "?A"), (6, "f4"), (6, "?A")]);
        check(&[(0, "f5"), (5, "?P"), (5, "f1"), (14, "?N"), (15, "?P"), (15, "f1"), (34, "?N"), (35, "?P")]);
        check(&[
            (0, "f5"),
            (5, "?P"),
            (5, "f1"),
            (15, "?P"),
            (15, "f1"),
            (35, "?P"),
            (35, "f1"),
            (75, "?P"),
            (75, "f1"),
            (124, "?N"),
            (125, "?P"),
            (125, "f1"),
            (175, "?P"),
        ]);
        // A probe of which nothing is heard, and one that was not needed.
        check(&[(0, "f5"), (5, "?P"), (14, "?N"), (15, "?P"), (15, "b"), (15, "?P")]);
        // What was on its way when it opened does not open it for longer.
        check(&[(0, "f5"), (3, "f40"), (5, "?P")]);
    }
}

use domain::EntryState;
use futures::{StreamExt, stream};
use tokio::time::{Duration, Instant, sleep_until, timeout_at};

use crate::Writer;
use crate::writer::{ANSWER_WITHIN, Answers, EngineId, Sent};

/// The first pause between two looks, and the longest; each is half as long again as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Entries looked at at once.
const LOOKS_AT_ONCE: usize = 8;

impl Writer {
    /// `answers` with what is known of their messages: of those that were given before, how far they are by now; and where somebody
    /// waits, how far they are when the waiting is over.
    pub(crate) async fn told(&self, mut answers: Answers, wait: bool, start: Instant) -> Answers {
        let given = answers.iter_mut().filter_map(|answer| answer.as_mut().ok());
        let before = given.filter(|answer| answer.written.replayed);
        self.look_at_all(before.flat_map(|answer| &mut answer.messages).collect(), start + ANSWER_WITHIN)
            .await;
        if wait {
            self.wait_for(&mut answers, start).await;
        }
        answers
    }

    /// Looks at the entries of `answers` until each is published, or given up, or 25 s have passed since `start`. Sends nothing: that
    /// is the doorbell's and the sweeper's to do.
    async fn wait_for(&self, answers: &mut Answers, start: Instant) {
        let until = start + ANSWER_WITHIN;
        let mut pause = FIRST_PAUSE;
        loop {
            let messages = answers.iter_mut().filter_map(|answer| answer.as_mut().ok());
            let open: Vec<&mut Sent> = messages
                .flat_map(|answer| &mut answer.messages)
                .filter(|sent| is_under_way(sent.state))
                .collect();
            let next = Instant::now() + pause;
            if open.is_empty() || next > until {
                return;
            }
            sleep_until(next).await;
            self.look_at_all(open, until).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// Looks at `all`. What the store has not said by `until` stays as it was known: the answer is worth more.
    async fn look_at_all(&self, all: Vec<&mut Sent>, until: Instant) {
        let looking: Vec<_> = all.into_iter().map(|sent| self.look_at(sent)).collect();
        let looked = stream::iter(looking).buffer_unordered(LOOKS_AT_ONCE).collect::<()>();
        if timeout_at(until, looked).await.is_err() {
            tracing::warn!("Not all messages of a write could be looked at in time.");
        }
    }

    async fn look_at(&self, sent: &mut Sent) {
        match self.courier.outbox.entry(&sent.entry).await {
            Ok(Some(entry)) => {
                sent.state = entry.state;
                sent.engine_id = match entry.engine_id {
                    None => None,
                    Some(id) => {
                        let engine = self.courier.roads.engine(entry.queue).await;
                        engine.map(|engine| EngineId { engine, id })
                    }
                };
            }
            // Only what was published or discarded long ago is cleaned away: a replay of an old request.
            Ok(None) => sent.state = EntryState::Published,
            Err(error) => {
                tracing::warn!(message.id = %sent.message_id, %error, "A message that is waited for could not be looked at.")
            }
        }
    }
}

fn is_under_way(state: EntryState) -> bool {
    matches!(state, EntryState::Due | EntryState::Held | EntryState::Scheduled)
}

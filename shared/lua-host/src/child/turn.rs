//! How long a run waited for its turn on the one thread that all runs share.

use std::time::{Duration, Instant};

/// The turns of one run.
pub(super) struct Turn {
    begun: Instant,
    /// Since when it waits for its turn; not while it waits for a host call.
    asked: Option<Instant>,
    waited: Duration,
}

impl Turn {
    /// A run that came at this moment asks for its first turn.
    pub(super) fn new(begun: Instant) -> Turn {
        Turn { begun, asked: Some(begun), waited: Duration::ZERO }
    }

    /// Whether it is to be run.
    pub(super) fn is_due(&self) -> bool {
        self.asked.is_some()
    }

    pub(super) fn ask(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// It is being run.
    pub(super) fn take(&mut self, now: Instant) {
        if let Some(asked) = self.asked.take() {
            self.waited += now.saturating_duration_since(asked);
        }
    }

    /// Whether it waited for its turn for more than half of its time, or never had one.
    pub(super) fn was_kept_waiting(&self, now: Instant) -> bool {
        let waiting = self.asked.map_or(Duration::ZERO, |asked| now.saturating_duration_since(asked));
        self.asked == Some(self.begun)
            || (self.waited + waiting) * 2 > now.saturating_duration_since(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_for_a_turn_counts() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut turn = Turn::new(start);
        assert!(turn.was_kept_waiting(start), "it never had a turn");
        turn.take(at(10));
        assert!(!turn.is_due() && !turn.was_kept_waiting(at(100)), "it waits for a host call");
        turn.ask(at(100));
        assert!(turn.is_due() && !turn.was_kept_waiting(at(180)));
        assert!(turn.was_kept_waiting(at(185)));
        turn.take(at(185));
        assert!(!turn.was_kept_waiting(at(300)));
    }
}

//! Deadlines that cost nothing while they are kept.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that outlives the run it was set for.
///
/// Setting a timer earlier than every other wakes the thread that waits for them all, which costs more than a tiny
/// handler. The next run's deadline is mostly later than the last one's, so the timer stays as it is; when it rings too
/// early, it is set anew.
pub(super) struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    fn set_for(moment: Instant) -> Alarm {
        Alarm(Box::pin(sleep_until(moment)))
    }

    /// Rings at this moment, and again when asked again.
    pub(super) async fn at(&mut self, moment: Instant) {
        if self.0.deadline() > moment {
            self.0.as_mut().reset(moment);
        }
        loop {
            self.0.as_mut().await;
            if Instant::now() >= moment {
                return;
            }
            self.0.as_mut().reset(moment);
        }
    }
}

/// The alarms of runs that have ended.
#[derive(Default)]
pub(super) struct Alarms(Mutex<Vec<Alarm>>);

impl Alarms {
    /// One for a run with this deadline.
    pub(super) fn take(&self, deadline: Instant) -> Alarm {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Alarm::set_for(deadline))
    }

    pub(super) fn give_back(&self, alarm: Alarm) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(alarm);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_rings_at_its_moment_whatever_it_was_set_for_before() {
        let begun = Instant::now();
        let after = |millis| begun + Duration::from_millis(millis);
        let mut alarm = Alarm::set_for(after(20));
        for millis in [60, 61, 30, 90] {
            alarm.at(after(millis)).await;
            assert!(Instant::now() >= after(millis), "{millis}");
        }
        let mut far = Alarm::set_for(after(3_600_000));
        far.at(after(100)).await;
        assert!(Instant::now() < after(60_000));
    }
}

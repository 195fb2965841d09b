//! How parent and sandbox wait for each other's next word.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// To wake a sleeping thread takes about 20 us on a virtual machine, more than many a handler computes: so much is looked
/// without sleeping, where a word is likely to come.
pub(crate) const LOOK: Duration = Duration::from_micros(50);

/// Whose last word came within this time is likely to speak soon again.
const BRISK: Duration = Duration::from_micros(100);

/// So many words are waited for asleep after a look in vain: where both share a processor, whoever looks keeps the other from
/// speaking.
const WORDS_ASLEEP: u32 = 200;

/// Tells whether to look for a moment before sleeping: as long as that pays.
pub(crate) struct Pace {
    /// Whether the other can speak while this process looks: it needs a processor of its own for that.
    able: bool,
    /// For how many words it is not looked yet.
    asleep: AtomicU32,
}

impl Pace {
    /// To be made before the walls stand.
    pub(crate) fn new() -> Pace {
        let able = thread::available_parallelism().is_ok_and(|count| count.get() > 1);
        Pace { able, asleep: AtomicU32::new(1) }
    }

    pub(crate) fn looks(&self) -> bool {
        self.able && self.asleep.load(Ordering::Relaxed) == 0
    }

    /// Learns from the last word, for which it was waited so long, and perhaps looked.
    pub(crate) fn learn(&self, waited: Duration, looked: bool) {
        let asleep = self.asleep.load(Ordering::Relaxed);
        let asleep = match looked {
            true if waited < LOOK => 0,
            true => WORDS_ASLEEP,
            false if waited < BRISK => asleep.saturating_sub(1),
            false => asleep.max(1),
        };
        self.asleep.store(asleep, Ordering::Relaxed);
    }

    /// Waits by `sleep`, but not before it has looked by `readable` for a moment.
    pub(crate) fn wait<T>(&self, readable: impl Fn() -> bool, sleep: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let looks = self.looks();
        if looks {
            while !readable() && begun.elapsed() < LOOK {}
        }
        let came = sleep();
        self.learn(begun.elapsed(), looks);
        came
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn pace(able: bool, brisk: bool) -> Pace {
        Pace { able, asleep: AtomicU32::new(u32::from(!brisk)) }
    }

    #[test]
    fn it_looks_only_where_the_last_word_came_soon() {
        let looked = Cell::new(0);
        let look = || {
            looked.set(looked.get() + 1);
            true
        };
        let unknown = pace(true, false);
        unknown.wait(look, || ());
        assert_eq!(looked.get(), 0, "nothing is known of the other yet");
        let brisk = pace(true, true);
        brisk.wait(look, || thread::sleep(BRISK));
        assert_eq!(looked.get(), 1);
        brisk.wait(look, || ());
        assert_eq!(looked.get(), 1, "the last word came late");
        pace(false, true).wait(look, || ());
        assert_eq!(looked.get(), 1, "the other could not speak meanwhile");
    }

    #[test]
    fn a_look_in_vain_is_the_last_for_long() {
        let (pace, begun) = (pace(true, true), Instant::now());
        pace.wait(|| false, || ());
        assert!(begun.elapsed() >= LOOK);
        for word in 0..WORDS_ASLEEP {
            assert!(!pace.looks(), "{word}");
            pace.learn(Duration::ZERO, false);
        }
        assert!(pace.looks());
        pace.learn(Duration::ZERO, true);
        assert!(pace.looks());
        pace.learn(BRISK, true);
        assert!(!pace.looks());
    }
}

use std::time::{Duration, Instant};

/// At most this much of an invocation is kept for settling what handlers left.
const MAX_MARGIN: Duration = Duration::from_millis(2500);

/// A handler that would have less time than this is not started.
const MIN_RUN: Duration = Duration::from_millis(250);

/// Of a batch's time so much at most is spent on new releases, and a fifth of it; what takes longer goes on beside the batch.
const MAX_LOOK: Duration = Duration::from_secs(2);

/// How one invocation's time is spent. Ten messages share it; whoever is late is returned, never cut off by Lambda, which
/// would bring back all ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// So long, before anything is started, new releases may take.
    pub look: Duration,
    /// From here on no handler is started.
    pub start_by: Instant,
    /// Here handlers are stopped.
    pub run_until: Instant,
    /// By here failures are counted and dead letters kept and forwarded.
    pub settle_until: Instant,
    /// By here visibilities are set and late messages put off; what is left is for the answer's way.
    pub answer_by: Instant,
}

impl Budget {
    /// Divides the `remaining` time: a quarter of it, at most 2.5 s, is for settling (six tenths for failures and letters, three
    /// for visibilities, one for the answer), the rest for handlers.
    pub fn new(now: Instant, remaining: Duration) -> Budget {
        let margin = (remaining / 4).min(MAX_MARGIN);
        let run = remaining.saturating_sub(margin);
        let run_until = now + run;
        Budget {
            look: (remaining / 5).min(MAX_LOOK),
            start_by: now + run.saturating_sub(MIN_RUN.min(remaining / 20)),
            run_until,
            settle_until: run_until + margin * 6 / 10,
            answer_by: run_until + margin * 9 / 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_ten_seconds_handlers_have_seven_and_a_half() {
        let now = Instant::now();
        let budget = Budget::new(now, Duration::from_secs(10));
        let at = |millis| now + Duration::from_millis(millis);
        let expect = Budget {
            look: Duration::from_secs(2),
            start_by: at(7250),
            run_until: at(7500),
            settle_until: at(9000),
            answer_by: at(9750),
        };
        assert_eq!(budget, expect);
    }

    proptest! {
        #[test]
        fn each_step_ends_before_the_next_and_all_before_the_end(millis in 0_u64..900_000) {
            let (now, remaining) = (Instant::now(), Duration::from_millis(millis));
            let budget = Budget::new(now, remaining);
            prop_assert!(now + budget.look <= budget.start_by || millis == 0);
            prop_assert!(now <= budget.start_by && budget.start_by <= budget.run_until);
            prop_assert!(budget.run_until <= budget.settle_until && budget.settle_until <= budget.answer_by);
            prop_assert!(budget.answer_by <= now + remaining);
        }
    }
}

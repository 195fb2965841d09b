use rand::Rng;

/// Exponential backoff with equal jitter: half of the step is sure, half is chance, so that retries neither
/// come in step nor at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first step, seconds.
    pub base_secs: u32,
    /// No step is longer, seconds.
    pub cap_secs: u32,
}

impl Default for Backoff {
    /// 2 s, 4 s, 8 s ... up to 15 minutes.
    fn default() -> Backoff {
        Backoff { base_secs: 2, cap_secs: 900 }
    }
}

impl Backoff {
    /// Seconds to wait after failure number `failures` (from 1): between half the step and the whole, at least 1.
    pub fn after(&self, failures: u32, random: &mut impl Rng) -> u32 {
        let doublings = failures.saturating_sub(1).min(20);
        let step = u64::from(self.base_secs) << doublings;
        let step = u32::try_from(step).unwrap_or(u32::MAX).min(self.cap_secs).max(1);
        random.random_range(step.div_ceil(2)..=step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_up_to_the_cap_and_stay_in_their_half() {
        let backoff = Backoff::default();
        for (failures, step) in
            [(0, 2), (1, 2), (2, 4), (3, 8), (9, 512), (10, 900), (99, 900), (u32::MAX, 900)]
        {
            for _ in 0..50 {
                let secs = backoff.after(failures, &mut rand::rng());
                assert!((step / 2..=step).contains(&secs), "failure {failures}: {secs} s");
            }
        }
    }
}

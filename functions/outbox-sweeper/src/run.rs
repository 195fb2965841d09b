use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use bootstrap::Metric;
use tokio::time::{Instant, timeout_at};
use zstorage::Lag;

use crate::{LAG_SECONDS, OutboxSweeper, PARKED_ENTRIES, Report, Standing};

/// So much of a run's time is kept from the sweep, for asking how the outbox stands.
const TO_MEASURE: Duration = Duration::from_secs(2);

/// So much of it is left once that is known, or given up: a run that Lambda ends has told nobody what it did.
const TO_ANSWER: Duration = Duration::from_millis(200);

impl OutboxSweeper {
    /// One run of which Lambda ends the function at `deadline`. It cannot fail: what went wrong is in the log, and the next
    /// run finds what this one left.
    ///
    /// # Errors
    /// Never.
    pub async fn handle_until(&self, deadline: SystemTime) -> Result<Report, Infallible> {
        let remaining = deadline.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        Ok(self.handle(remaining).await)
    }

    /// Sends what is due within the `remaining` time, and tells how the outbox stands after that.
    pub async fn handle(&self, remaining: Duration) -> Report {
        let end = Instant::now() + remaining;
        let swept = self.courier.sweep(remaining.saturating_sub(TO_MEASURE)).await;
        // What the sweep did not use may be used, too: a store that is slow is no reason to be silent, and silence is alarming.
        let measured_by = end - TO_ANSWER;
        let report = Report {
            sent: swept.sent,
            postponed: swept.postponed,
            parked: swept.parked,
            applied: swept.applied,
            left: swept.left,
            standing: self.standing(measured_by).await,
        };
        if report.sent + report.postponed + report.parked + report.applied + report.left > 0 {
            tracing::info!(
                outbox.sent = report.sent,
                outbox.postponed = report.postponed,
                outbox.parked = report.parked,
                outbox.applied = report.applied,
                outbox.left = report.left,
                "The outbox was swept."
            );
        }
        report
    }

    /// How the outbox stands, told to CloudWatch, too, if that is known `by` then. Silence there means that nobody knows, and
    /// is alarming.
    async fn standing(&self, by: Instant) -> Option<Standing> {
        let error = match timeout_at(by, self.outbox.measure()).await {
            Ok(Ok(lag)) => return Some(self.tell(lag)),
            Ok(Err(error)) => domain::causes(&error),
            Err(too_slow) => too_slow.to_string(),
        };
        tracing::warn!(error, "The outbox does not tell how it stands.");
        None
    }

    fn tell(&self, lag: Lag) -> Standing {
        let told = [
            Metric { name: LAG_SECONDS, unit: "Seconds", value: lag.oldest_due_secs },
            Metric { name: PARKED_ENTRIES, unit: "Count", value: lag.parked },
        ];
        self.metrics.tell(self.clock.now().as_millisecond(), &told);
        Standing {
            lag_secs: lag.oldest_due_secs,
            due: lag.due,
            held: lag.held,
            scheduled: lag.scheduled,
            parked: lag.parked,
        }
    }
}

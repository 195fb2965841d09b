use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use bootstrap::Metric;
use tokio::time::timeout;
use zstorage::Lag;

use crate::{LAG_SECONDS, OutboxSweeper, PARKED_ENTRIES, Report, Standing};

/// So much of a run's time is kept for asking how the outbox stands.
const TO_MEASURE: Duration = Duration::from_secs(2);

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
        let swept = self.courier.sweep(remaining.saturating_sub(TO_MEASURE)).await;
        let report = Report {
            sent: swept.sent,
            postponed: swept.postponed,
            parked: swept.parked,
            applied: swept.applied,
            left: swept.left,
            standing: self.standing().await,
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

    /// How the outbox stands, told to CloudWatch, too. Silence there means that nobody knows, and is alarming.
    async fn standing(&self) -> Option<Standing> {
        let error = match timeout(TO_MEASURE, self.outbox.measure()).await {
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

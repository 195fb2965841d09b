//! What a schedule does: call a function every so often.

use std::future::Future;
use std::time::Duration;

use domain::Clock;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::function::Function;

/// Calls `function` at once and then `every` so often, one call at a time, until `stopped`. A call that fails is said; the
/// next one is its retry.
pub async fn call_every(
    function: Function,
    every: Duration,
    clock: Clock,
    stopped: impl Future<Output = ()> + Send,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let calling = async {
        loop {
            ticks.tick().await;
            let event = json!({
                "version": "0",
                "source": "aws.events",
                "detail-type": "Scheduled Event",
                "time": clock.now().to_string(),
                "detail": {},
            });
            if let Err(error) = function.invoke(event).await {
                tracing::warn!(error = domain::causes(&error), "a call by the clock failed");
            }
        }
    };
    tokio::select! {
        () = calling => {}
        () = stopped => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use serde_json::Value;
    use tokio::sync::{mpsc, oneshot};

    #[tokio::test]
    async fn a_function_is_called_at_once_and_again_also_after_a_failure_until_the_stop() {
        let (calls, mut called) = mpsc::unbounded_channel();
        let function = Function::new(Duration::from_secs(1), move |event: Value, _| {
            calls.send(event).unwrap();
            async { Err::<Value, _>("thrown") }
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let schedule = tokio::spawn(call_every(function, Duration::from_millis(5), Clock::system(), stopped));
        for _ in 0..3 {
            assert_eq!(called.recv().await.unwrap()["detail-type"], "Scheduled Event");
        }
        stop.send(()).unwrap();
        schedule.await.unwrap();
    }
}

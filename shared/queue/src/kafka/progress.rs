use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::{Broker, Statistics};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

#[cfg(feature = "kafka-tls")]
use super::iam::IamTokens;

/// librdkafka tells its counters this often. Short, because whoever failed waits for the second next time.
pub(super) const TOLD_EVERY_MS: &str = "100";

/// What a producer has written to its brokers so far, as of one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Counts the moments.
    tick: u64,
    /// Whether the cluster gave this producer the number by which it knows a record sent twice.
    pub(super) ready: bool,
    brokers: HashMap<String, Counters>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Counters {
    /// Produce requests written out whole.
    produced: i64,
    /// Whatever may have come between such a request and its answer: lost connections, silence, what was sent again.
    trouble: i64,
}

/// What went over the wire between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// No record of anybody.
    Silent,
    /// Records, each of which the broker answered the first time.
    Orderly,
    /// Records, and not every request got its answer; or it is not known.
    Troubled,
}

impl Progress {
    pub(super) fn since(&self, before: &Progress) -> Wire {
        // A broker that came since is compared with one that had done nothing; one that is gone took its counters with it.
        let none = Counters { produced: 0, trouble: 0 };
        if before.brokers.keys().any(|name| !self.brokers.contains_key(name)) {
            return Wire::Troubled;
        }
        let pairs =
            || self.brokers.iter().map(|(name, now)| (before.brokers.get(name).unwrap_or(&none), now));
        if pairs().all(|(then, now)| then.produced == now.produced) {
            Wire::Silent
        } else if pairs().all(|(then, now)| then.trouble == now.trouble) {
            Wire::Orderly
        } else {
            Wire::Troubled
        }
    }
}

impl From<&Broker> for Counters {
    fn from(broker: &Broker) -> Counters {
        let counted = broker.req_timeouts + broker.txretries + broker.txerrs;
        Counters {
            produced: broker.req.get("Produce").copied().unwrap_or_default(),
            trouble: i64::try_from(counted)
                .unwrap_or(i64::MAX)
                .saturating_add(broker.disconnects.unwrap_or_default()),
        }
    }
}

/// Where a producer's own thread leaves what librdkafka tells it.
#[derive(Clone)]
pub(super) struct Told(Arc<Inner>);

struct Inner {
    progress: watch::Sender<Progress>,
    error: Mutex<Option<(RDKafkaErrorCode, String)>>,
    #[cfg(feature = "kafka-tls")]
    tokens: Option<IamTokens>,
}

impl Told {
    pub(super) fn new(#[cfg(feature = "kafka-tls")] tokens: Option<IamTokens>) -> Told {
        Told(Arc::new(Inner {
            progress: watch::Sender::new(Progress::default()),
            error: Mutex::new(None),
            #[cfg(feature = "kafka-tls")]
            tokens,
        }))
    }

    /// As of the last moment it told.
    pub(super) fn now(&self) -> Progress {
        self.0.progress.borrow().clone()
    }

    /// As of a moment that is surely after this call. `None`: the producer, whose threads may starve, did not tell by then.
    pub(super) async fn later(&self, by: Instant) -> Option<Progress> {
        // The next one may have been counted before the call and be on its way to us.
        let after = self.0.progress.borrow().tick + 2;
        let mut told = self.0.progress.subscribe();
        let told = timeout_at(by, told.wait_for(|progress| progress.tick >= after)).await.ok()?.ok()?;
        Some(told.clone())
    }

    /// Waits until the producer may send.
    pub(super) async fn ready(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.progress.subscribe().wait_for(|progress| progress.ready).await;
    }

    /// What troubled the producer last, since a record came through.
    pub(super) fn error(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.0.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A record came through.
    pub(super) fn all_is_well(&self) {
        self.0.error.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl ClientContext for Told {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = cfg!(feature = "kafka-tls");

    /// Kept to ourselves: what matters of it comes as an error, and is told by whoever sent.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn stats(&self, statistics: Statistics) {
        let ready = statistics.eos.is_some_and(|eos| eos.idemp_state == "Assigned");
        let brokers =
            statistics.brokers.iter().map(|(name, broker)| (name.clone(), Counters::from(broker))).collect();
        self.0.progress.send_modify(|progress| {
            *progress = Progress { tick: progress.tick + 1, ready, brokers };
        });
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let mut last = self.0.error.lock().unwrap_or_else(PoisonError::into_inner);
        // That none of them is there says less than why one is not.
        if last.is_none() || code != RDKafkaErrorCode::AllBrokersDown {
            *last = Some((code, reason.to_owned()));
        }
    }

    #[cfg(feature = "kafka-tls")]
    fn generate_oauth_token(
        &self,
        _: Option<&str>,
    ) -> Result<rdkafka::client::OAuthToken, Box<dyn std::error::Error>> {
        self.0.tokens.as_ref().ok_or("this cluster is not entered by IAM")?.make()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(brokers: &[(&str, i64, i64)]) -> Progress {
        let brokers = brokers
            .iter()
            .map(|(name, produced, trouble)| {
                ((*name).to_owned(), Counters { produced: *produced, trouble: *trouble })
            })
            .collect();
        Progress { tick: 1, ready: true, brokers }
    }

    #[test]
    fn the_wire_was_silent_only_if_no_broker_was_sent_a_record() {
        let check = |before: &[(&str, i64, i64)], after: &[(&str, i64, i64)], expect: Wire| {
            assert_eq!(progress(after).since(&progress(before)), expect, "{before:?} {after:?}");
        };
        check(&[], &[], Wire::Silent);
        check(&[("a", 3, 0)], &[("a", 3, 0)], Wire::Silent);
        check(&[("a", 3, 0)], &[("a", 3, 9)], Wire::Silent);
        check(&[("a", 3, 0)], &[("a", 3, 0), ("b", 0, 1)], Wire::Silent);
        check(&[("a", 3, 1)], &[("a", 4, 1)], Wire::Orderly);
        check(&[("a", 3, 1)], &[("a", 3, 1), ("b", 1, 0)], Wire::Orderly);
        check(&[("a", 3, 1)], &[("a", 4, 2)], Wire::Troubled);
        check(&[("a", 3, 1)], &[("a", 4, 1), ("b", 0, 1)], Wire::Troubled);
        check(&[("a", 3, 1), ("b", 0, 0)], &[("a", 3, 1)], Wire::Troubled);
    }
}

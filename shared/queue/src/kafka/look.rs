use domain::{BrokerAddress, Guard, KafkaCluster};
use futures::future::join_all;
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};

use crate::SendError;
use crate::addresses::looked_at;

/// The addresses of brokers are looked at again after this long.
const LOOKED_AT: Duration = Duration::from_secs(60);

/// Looks at the addresses of a cluster's brokers, of those that are to be asked and of those that it names then, and remembers for a
/// minute that they may be connected to.
pub(super) struct Lookout {
    guard: Guard,
    bootstrap: Vec<BrokerAddress>,
    looked: Mutex<Option<Instant>>,
}

impl Lookout {
    pub(super) fn new(bootstrap: Vec<BrokerAddress>, guard: Guard) -> Lookout {
        Lookout { guard, bootstrap, looked: Mutex::new(None) }
    }

    /// At those that are to be asked.
    pub(super) async fn at_bootstrap(&self) -> Result<(), SendError> {
        self.at(&self.bootstrap).await
    }

    /// At all, unless that was done a moment ago; `named` asks the cluster, each time anew, for it may name others by then. Whoever
    /// comes meanwhile waits for the same look.
    pub(super) async fn at_all(
        &self,
        named: impl Future<Output = Result<Vec<(String, i32)>, SendError>>,
    ) -> Result<(), SendError> {
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|at| at.elapsed() < LOOKED_AT) {
            return Ok(());
        }
        self.at_bootstrap().await?;
        let named: Vec<BrokerAddress> =
            named.await?.iter().map(|(host, port)| address(host, *port)).collect::<Result<_, _>>()?;
        self.at(&named).await?;
        *looked = Some(Instant::now());
        Ok(())
    }

    async fn at(&self, brokers: &[BrokerAddress]) -> Result<(), SendError> {
        let looks = brokers.iter().map(async |broker| {
            let found = looked_at(&self.guard, &broker.host(), broker.port()).await;
            found.map(|_addresses| ())
        });
        together(join_all(looks).await)
    }
}

/// One that must not be connected to spoils all. A name that is not known spoils nothing as long as another one is: librdkafka goes
/// to that one, and a broker that is down may well have lost its name.
fn together(looks: Vec<Result<(), SendError>>) -> Result<(), SendError> {
    let mut known = Err(SendError::Unreachable { reason: "it has no broker".to_owned() });
    for look in looks {
        match look {
            Err(error @ SendError::Unreachable { .. }) => known = known.or(Err(error)),
            Err(error) => return Err(error),
            Ok(()) => known = Ok(()),
        }
    }
    known
}

/// A broker by the name that its cluster gives it. One that is no name of a host is nothing that we could look at as librdkafka does.
fn address(host: &str, port: i32) -> Result<BrokerAddress, SendError> {
    let text = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let one = KafkaCluster::addresses(&text).ok().filter(|addresses| addresses.len() == 1);
    one.and_then(|mut addresses| addresses.pop()).ok_or_else(|| SendError::Refused {
        code: "InvalidBroker".to_owned(),
        message: format!("the cluster names a broker {text:?}, which is no HOST:PORT"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn told(look: &Result<(), SendError>) -> &str {
        match look {
            Ok(()) => "well",
            Err(SendError::Refused { code, .. }) => code,
            Err(SendError::Unreachable { .. }) => "unreachable",
            Err(SendError::Unanswered { .. }) => "unanswered",
        }
    }

    fn lookout(bootstrap: &str) -> Lookout {
        Lookout::new(KafkaCluster::addresses(bootstrap).unwrap(), Guard::operator())
    }

    async fn names(named: &[(&str, i32)]) -> Result<Vec<(String, i32)>, SendError> {
        Ok(named.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect())
    }

    #[tokio::test]
    async fn a_cluster_is_spoilt_by_one_broker_that_is_forbidden_and_not_by_one_that_is_unknown() {
        let check = async |named: &[(&str, i32)], expect: &str| {
            assert_eq!(told(&lookout("10.0.0.1:9092").at_all(names(named)).await), expect, "{named:?}");
        };
        check(&[("10.0.0.1", 9092), ("fd12::1", 9092)], "well").await;
        check(&[("10.0.0.1", 9092), ("down.invalid", 9092)], "well").await;
        check(&[("down.invalid", 9092), ("10.0.0.1", 9092)], "well").await;
        check(&[("down.invalid", 9092)], "unreachable").await;
        check(&[], "unreachable").await;
        for evil in ["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "127.1", "localhost"] {
            check(&[("down.invalid", 9092), ("10.0.0.1", 9092), (evil, 9001)], "ForbiddenAddress").await;
        }
        for odd in ["", "a:9092,b", "10.0.0.1,127.0.0.1", "u@10.0.0.1", "fe80::1%lo", "a b", "[10.0.0.1"] {
            check(&[("10.0.0.1", 9092), (odd, 9092)], "InvalidBroker").await;
        }
        for port in [0, -1, 65_536 + 9001] {
            check(&[("10.0.0.1", port)], "InvalidBroker").await;
        }
        assert_eq!(told(&lookout("10.0.0.1:1,127.0.0.1:1").at_bootstrap().await), "ForbiddenAddress");
    }

    #[tokio::test]
    async fn brokers_that_a_cluster_names_later_are_looked_at_within_a_minute() {
        let lookout = lookout("10.0.0.1:9092");
        let fine = [("10.0.0.1", 9092)];
        assert_eq!(told(&lookout.at_all(names(&fine)).await), "well");
        let unasked = async { panic!("it was asked a moment ago") };
        assert_eq!(told(&lookout.at_all(unasked).await), "well");
        *lookout.looked.lock().await = Some(Instant::now() - LOOKED_AT);
        let evil = [("10.0.0.1", 9092), ("127.0.0.1", 9001)];
        assert_eq!(told(&lookout.at_all(names(&evil)).await), "ForbiddenAddress");
        // Nor is it forgotten.
        assert_eq!(told(&lookout.at_all(names(&evil)).await), "ForbiddenAddress");
        assert_eq!(told(&lookout.at_all(names(&fine)).await), "well");
    }
}

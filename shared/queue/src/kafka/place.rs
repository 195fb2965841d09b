use std::fmt;

use domain::{BrokerAddress, Credentials, KafkaCluster, KafkaLogin, ScramHash};

use crate::SendError;

/// A topic of a cluster and the right to send to it. These are all the settings there are: librdkafka's own are no
/// business of a user (one of them runs a shell command).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaPlace {
    /// `host:port`, several separated by commas: where to ask for the brokers.
    pub bootstrap: String,
    /// The topic.
    pub topic: String,
    /// The only partition to send to. `None`: by the ordering key, as Java's clients do; without one, any.
    pub partition: Option<i32>,
    /// How to show who we are, and whether others may listen.
    pub security: KafkaSecurity,
}

/// How a cluster knows us.
#[derive(Clone, PartialEq, Eq)]
pub enum KafkaSecurity {
    /// It does not, and all may listen.
    Plaintext,
    /// It does not; the connection is encrypted.
    Tls,
    /// By user name and password, sent as they are.
    SaslPlain {
        /// The user.
        credentials: Credentials,
        /// Whether the connection is encrypted.
        tls: bool,
    },
    /// By user name and password, of which only a proof is sent.
    SaslScram {
        /// The user.
        credentials: Credentials,
        /// The hash of the proof.
        hash: ScramHash,
        /// Whether the connection is encrypted.
        tls: bool,
    },
    /// MSK knows our own role; the connection is encrypted.
    MskIam {
        /// Of the cluster, such as `eu-west-1`.
        region: String,
    },
}

impl fmt::Debug for KafkaSecurity {
    /// Without the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KafkaSecurity::Plaintext => f.write_str("Plaintext"),
            KafkaSecurity::Tls => f.write_str("Tls"),
            KafkaSecurity::SaslPlain { tls, .. } => {
                f.debug_struct("SaslPlain").field("tls", tls).finish_non_exhaustive()
            }
            KafkaSecurity::SaslScram { hash, tls, .. } => {
                f.debug_struct("SaslScram").field("hash", hash).field("tls", tls).finish_non_exhaustive()
            }
            KafkaSecurity::MskIam { region } => f.debug_struct("MskIam").field("region", region).finish(),
        }
    }
}

impl KafkaSecurity {
    /// By this `login`, with the user's `credentials` where it takes any.
    ///
    /// # Errors
    /// It takes some, and there are none.
    pub fn of(login: &KafkaLogin, credentials: Option<Credentials>) -> Result<KafkaSecurity, String> {
        let user = || credentials.ok_or("it has neither user name nor password");
        Ok(match login {
            KafkaLogin::Nobody { tls: false } => KafkaSecurity::Plaintext,
            KafkaLogin::Nobody { tls: true } => KafkaSecurity::Tls,
            KafkaLogin::Plain { tls } => KafkaSecurity::SaslPlain { credentials: user()?, tls: *tls },
            KafkaLogin::Scram { hash, tls } => {
                KafkaSecurity::SaslScram { credentials: user()?, hash: *hash, tls: *tls }
            }
            KafkaLogin::MskIam { region } => KafkaSecurity::MskIam { region: region.clone() },
        })
    }

    /// Whether this build can do it.
    pub(super) fn check(&self) -> Result<(), SendError> {
        if let KafkaSecurity::MskIam { region } = self
            && !region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return refused("InvalidRegion", format!("{region:?} is no region"));
        }
        if self.needs_tls_feature() && !cfg!(feature = "kafka-tls") {
            return refused(
                "NoTls",
                "this program was built without TLS and SCRAM for Kafka (cargo feature kafka-tls)".to_owned(),
            );
        }
        Ok(())
    }

    /// Whether nobody else can listen.
    pub(super) fn encrypts(&self) -> bool {
        match self {
            KafkaSecurity::Plaintext => false,
            KafkaSecurity::Tls | KafkaSecurity::MskIam { .. } => true,
            KafkaSecurity::SaslPlain { tls, .. } | KafkaSecurity::SaslScram { tls, .. } => *tls,
        }
    }

    /// Whether it needs what the cargo feature `kafka-tls` brings: encryption, and SCRAM's hashes with it.
    pub fn needs_tls_feature(&self) -> bool {
        self.encrypts() || matches!(self, KafkaSecurity::SaslScram { .. })
    }
}

impl KafkaPlace {
    /// Whether it can be sent to at all by this build.
    pub(crate) fn check(&self) -> Result<(), SendError> {
        bootstrap(&self.bootstrap)?;
        if !is_topic(&self.topic) {
            return refused("InvalidTopic", format!("{:?} is no name of a topic", self.topic));
        }
        if self.partition.is_some_and(|partition| partition < 0) {
            return refused("UnknownPartition", "partitions are counted from 0".to_owned());
        }
        self.security.check()
    }
}

/// Where to ask for the brokers. librdkafka would take a protocol before an address, which the security says here.
pub(super) fn bootstrap(text: &str) -> Result<Vec<BrokerAddress>, SendError> {
    KafkaCluster::addresses(text).or_else(|fault| refused("InvalidBootstrap", fault.message))
}

fn refused<T>(code: &str, message: String) -> Result<T, SendError> {
    Err(SendError::Refused { code: code.to_owned(), message })
}

/// Kafka's own rule for names of topics.
fn is_topic(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name.bytes().all(legal) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use domain::Secret;

    use super::*;

    #[test]
    fn only_addresses_and_names_of_topics_reach_librdkafka() {
        let check = |bootstrap: &str, topic: &str, expect: bool| {
            let place = KafkaPlace {
                bootstrap: bootstrap.to_owned(),
                topic: topic.to_owned(),
                partition: None,
                security: KafkaSecurity::Plaintext,
            };
            assert_eq!(place.check().is_ok(), expect, "{bootstrap} {topic}");
        };
        check("127.0.0.1:9092", "etx-event-log", true);
        check("b-1.cluster.kafka.eu-west-1.amazonaws.com:9098,b-2.x.y:9098", "a.b_c-D", true);
        check("[::1]:9092", "t", true);
        for bootstrap in
            ["", "host", ":9092", "host:0", "host:70000", "host:9092,", "PLAINTEXT://h:1", "h :1", "[x]:1"]
        {
            check(bootstrap, "t", false);
        }
        for topic in ["", ".", "..", "a b", "a/b", "é", &"x".repeat(250)] {
            check("h:1", topic, false);
        }
    }

    #[test]
    fn a_place_is_printed_without_its_user() {
        let credentials = Credentials { username: Secret::new("ada"), password: Secret::new("s3cret") };
        for security in [
            KafkaSecurity::SaslPlain { credentials: credentials.clone(), tls: false },
            KafkaSecurity::SaslScram { credentials: credentials.clone(), hash: ScramHash::Sha512, tls: true },
        ] {
            let printed = format!("{security:?}");
            assert!(!printed.contains("s3cret") && !printed.contains("ada"), "{printed}");
        }
    }
}

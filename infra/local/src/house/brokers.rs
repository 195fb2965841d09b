//! The brokers of this house: a Kafka inside it or one that was named, and a RabbitMQ if one was named.

use std::fmt;
use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use domain::{Credentials, Fault, Guard, KafkaCluster, KafkaLogin, RabbitMqBroker, Secret};
use queue::BrokersConfig;
use queue::local::MockKafka;
use queue_admin::{Brokers, OwnBroker, Received};

use super::StartError;
use crate::mapping::BrokerMappings;

/// What the detail of a queue says that lies in the embedded Kafka.
const NOTE: &str = "in memory: what lies there is gone when this installation stops, and of each partition the oldest \
    goes past 5 MiB";

/// Brokers that a house is told of.
#[derive(Clone, Default)]
pub struct BrokerOptions {
    /// `HOST:PORT`, several separated by commas: a Kafka cluster that wants to know neither who we are nor to hide what we
    /// say; `None` = one of the house's own, in memory.
    pub kafka: Option<String>,
    /// `amqp[s]://USER:PASSWORD@HOST[:PORT][/VHOST]`: a RabbitMQ; `None` = there is none.
    pub amqp: Option<Secret>,
}

impl fmt::Debug for BrokerOptions {
    /// Without the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerOptions").field("kafka", &self.kafka).finish_non_exhaustive()
    }
}

/// The house's own brokers.
pub(super) struct OwnBrokers {
    /// The cluster inside, if the house has none that was named.
    pub(super) embedded: Option<MockKafka>,
    kafka: KafkaCluster,
    rabbitmq: Option<(RabbitMqBroker, Credentials)>,
}

/// Where the house's own brokers are, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokerAddresses {
    /// `HOST:PORT,...`
    pub(super) kafka: String,
    /// Whether that is the one inside.
    pub(super) embedded: bool,
    /// `amqp[s]://HOST[:PORT][/VHOST]`, without a user.
    pub(super) rabbitmq: Option<String>,
}

impl OwnBrokers {
    /// Reads what was said of brokers, and starts the embedded Kafka where none was named. Connects to nothing.
    pub(super) fn open(options: &BrokerOptions) -> Result<OwnBrokers, StartError> {
        let wrong = |option: &'static str| move |fault: Fault| StartError::Broker { option, fault };
        let rabbitmq = options.amqp.as_ref().map(|url| RabbitMqBroker::with_user(url.expose()));
        let rabbitmq = rabbitmq.transpose().map_err(wrong("--amqp"))?;
        let (embedded, bootstrap) = match &options.kafka {
            Some(bootstrap) => {
                let addresses = KafkaCluster::addresses(bootstrap).map_err(wrong("--kafka"))?;
                (None, addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
            }
            None => {
                let embedded = MockKafka::start().map_err(StartError::part("the embedded Kafka"))?;
                let bootstrap = embedded.bootstrap();
                (Some(embedded), bootstrap)
            }
        };
        let kafka = KafkaCluster { bootstrap, login: KafkaLogin::Nobody { tls: false } };
        Ok(OwnBrokers { embedded, kafka, rabbitmq })
    }

    /// What those who send are told. Brokers may be on this machine, but not where its other engines are.
    pub(super) fn config(&self, engines: &[SocketAddr]) -> BrokersConfig {
        BrokersConfig::new(Some(self.kafka.clone()), self.rabbitmq.clone(), guard(engines))
    }

    /// What the registry is told. Every queue here may have a worker.
    pub(super) fn known(&self, engines: &[SocketAddr]) -> Brokers {
        let own = |note: Option<&str>| OwnBroker { received: Received::All, note: note.map(str::to_owned) };
        Brokers {
            kafka: Some(own(self.embedded.as_ref().map(|_| NOTE))),
            rabbitmq: self.rabbitmq.as_ref().map(|_| own(None)),
            guard: guard(engines),
            kafka_tls: cfg!(feature = "kafka-tls"),
        }
    }

    /// The same in the words of a deployed function's environment. Nobody who reads it needs the user.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("KAFKA_BOOTSTRAP", self.kafka.bootstrap.clone()),
            ("KAFKA_TOPICS", "*".to_owned()),
            ("KAFKA_TLS", if cfg!(feature = "kafka-tls") { "built" } else { "not-built" }.to_owned()),
            ("RABBITMQ_QUEUES", "*".to_owned()),
            ("ALLOW_LOOPBACK", "true".to_owned()),
        ];
        variables.extend(self.embedded.as_ref().map(|_| ("KAFKA_NOTE", NOTE.to_owned())));
        variables.extend(self.rabbitmq.as_ref().map(|(broker, _)| ("RABBITMQ_URL", broker.url())));
        variables
    }

    pub(super) fn addresses(&self) -> BrokerAddresses {
        BrokerAddresses {
            kafka: self.kafka.bootstrap.clone(),
            embedded: self.embedded.is_some(),
            rabbitmq: self.rabbitmq.as_ref().map(|(broker, _)| broker.url()),
        }
    }
}

impl BrokerAddresses {
    /// One line for each broker.
    pub(super) fn lines(&self) -> String {
        let BrokerAddresses { kafka, embedded, rabbitmq } = self;
        let mut lines = match embedded {
            true => {
                format!("Kafka is embedded at {kafka}, in memory: what lies there is gone when this stops.\n")
            }
            false => format!("Kafka: queues without a url lie on the cluster at {kafka}.\n"),
        };
        if let Some(url) = rabbitmq {
            lines += &format!("RabbitMQ: queues without a url lie on the broker at {url}.\n");
        }
        lines
    }
}

fn guard(engines: &[SocketAddr]) -> Guard {
    Guard::operator().with_loopback(true).without(engines)
}

/// Lets a change of the registry be at work when its answer comes: the topic made, the poller started.
pub(super) async fn after_changes(
    State(brokers): State<BrokerMappings>,
    request: Request,
    next: Next,
) -> Response {
    let reads = request.method().is_safe();
    let answer = next.run(request).await;
    if !reads && answer.status().is_success() {
        brokers.look_and_say().await;
    }
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    const URL: &str = "amqp://ada:s3cret@rabbit.example/shop";

    #[test]
    fn what_is_shown_of_a_broker_never_has_its_user() {
        let options =
            BrokerOptions { kafka: Some("K.example:9092".to_owned()), amqp: Some(Secret::new(URL)) };
        let own = OwnBrokers::open(&options).unwrap();
        let shown =
            format!("{options:?} {:?} {:?} {}", own.config(&[]), own.environment(), own.addresses().lines());
        assert!(!shown.contains("s3cret") && !shown.contains("ada"), "{shown}");
        assert_eq!(
            own.addresses().lines(),
            "Kafka: queues without a url lie on the cluster at k.example:9092.\n\
             RabbitMQ: queues without a url lie on the broker at amqp://rabbit.example/shop.\n"
        );
        assert!(own.known(&[]).kafka.unwrap().note.is_none() && own.embedded.is_none());
    }

    #[test]
    fn without_a_word_there_is_an_embedded_kafka_that_says_what_it_is() {
        let own = OwnBrokers::open(&BrokerOptions::default()).unwrap();
        let lines = own.addresses().lines();
        assert!(lines.starts_with("Kafka is embedded at 127.0.0.1:"), "{lines}");
        assert!(lines.ends_with(", in memory: what lies there is gone when this stops.\n"), "{lines}");
        let known = own.known(&[]);
        assert!(known.kafka.unwrap().note.unwrap().starts_with("in memory: ") && known.rabbitmq.is_none());
    }

    #[test]
    fn what_cannot_be_a_broker_is_named_by_its_option_and_quoted_nowhere() {
        let refused = |kafka: Option<&str>, amqp: Option<&str>| {
            let options = BrokerOptions { kafka: kafka.map(str::to_owned), amqp: amqp.map(Secret::new) };
            OwnBrokers::open(&options).err().unwrap().to_string()
        };
        let said = refused(Some("nowhere"), None);
        assert!(said.starts_with("--kafka: "), "{said}");
        for url in ["amqp://rabbit.example", "http://ada:s3cret@h", "amqp://ada:s3cret@", "s3cret"] {
            let said = refused(Some("h:1"), Some(url));
            assert!(said.starts_with("--amqp: ") && !said.contains("s3cret"), "{url}: {said}");
        }
    }
}

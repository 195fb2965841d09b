use std::collections::BTreeSet;
use std::convert::Infallible;
use std::str::FromStr;

use bootstrap::Reader;
use domain::{Engine, Guard, QueueName};

/// What is known here of Kafka and RabbitMQ, none of which is ever asked. The default is an installation without either.
#[derive(Debug, Clone)]
pub struct Brokers {
    /// The installation's own Kafka cluster; `None` = it has none.
    pub kafka: Option<OwnBroker>,
    /// The installation's own RabbitMQ; `None` = it has none.
    pub rabbitmq: Option<OwnBroker>,
    /// Which addresses brokers of others may have.
    pub guard: Guard,
    /// Whether those who send were built with TLS and SCRAM for Kafka.
    pub kafka_tls: bool,
}

/// A broker of this installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnBroker {
    /// What of it our worker receives from.
    pub received: Received,
    /// A sentence about it that whoever uses it should know.
    pub note: Option<String>,
}

/// The topics or queues for which there is an event source mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Any.
    All,
    /// Those of these names.
    Only(BTreeSet<String>),
}

impl Default for Brokers {
    fn default() -> Brokers {
        Brokers { kafka: None, rabbitmq: None, guard: Guard::operator(), kafka_tls: true }
    }
}

impl Default for Received {
    fn default() -> Received {
        Received::Only(BTreeSet::new())
    }
}

impl FromStr for Received {
    type Err = Infallible;

    /// Reads names separated by commas, or `*` for all.
    fn from_str(text: &str) -> Result<Received, Infallible> {
        let names: BTreeSet<String> =
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Ok(if names.contains("*") { Received::All } else { Received::Only(names) })
    }
}

impl Brokers {
    /// `KAFKA_BOOTSTRAP`, `RABBITMQ_URL` (here it only matters whether they are set), `KAFKA_TOPICS` and `RABBITMQ_QUEUES`
    /// (those with a mapping), `KAFKA_NOTE`, `KAFKA_TLS` (`built` or `not-built`), `ALLOW_LOOPBACK` on one's own machine.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Brokers {
        let kafka = OwnBroker {
            received: reader.parsed("KAFKA_TOPICS", Received::default()),
            note: reader.optional("KAFKA_NOTE"),
        };
        let rabbitmq =
            OwnBroker { received: reader.parsed("RABBITMQ_QUEUES", Received::default()), note: None };
        Brokers {
            kafka: reader.optional("KAFKA_BOOTSTRAP").map(|_its_place| kafka),
            rabbitmq: reader.optional("RABBITMQ_URL").map(|_its_place| rabbitmq),
            guard: Guard::operator().with_loopback(reader.switch("ALLOW_LOOPBACK", "true", "false")),
            kafka_tls: !reader.switch("KAFKA_TLS", "not-built", "built"),
        }
    }

    /// The installation's own broker of this kind, if it has one. SQS is none.
    pub(crate) fn own(&self, engine: Engine) -> Option<&OwnBroker> {
        match engine {
            Engine::Sqs => None,
            Engine::Kafka => self.kafka.as_ref(),
            Engine::RabbitMq => self.rabbitmq.as_ref(),
        }
    }
}

impl OwnBroker {
    /// Whether our worker receives from what bears this name there.
    pub(crate) fn feeds(&self, name: &QueueName) -> bool {
        match &self.received {
            Received::All => true,
            Received::Only(names) => names.contains(name.as_str()),
        }
    }
}

/// Where it is said which topics or queues have a mapping: the stack's parameter, and what the functions call it.
pub(crate) fn mapped_by(engine: Engine) -> &'static str {
    match engine {
        Engine::RabbitMq => "stack parameter RabbitMqQueues (RABBITMQ_QUEUES)",
        Engine::Kafka | Engine::Sqs => "stack parameter KafkaTopics (KAFKA_TOPICS)",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use bootstrap::Environment;

    use super::*;

    #[test]
    fn what_stands_in_the_environment_is_read_whole() {
        let check = |variables: &[(&str, &str)], expect: Result<(Option<&str>, bool, bool, bool), usize>| {
            let environment = Environment::from_iter(variables.iter().copied());
            let mut reader = environment.reader();
            let brokers = Brokers::read(&mut reader);
            let found = match reader.finish() {
                Err(error) => Err(error.to_string().matches(" must be ").count()),
                Ok(()) => {
                    let orders = QueueName::parse("orders").unwrap();
                    let feeds = |own: &Option<OwnBroker>| own.as_ref().is_some_and(|own| own.feeds(&orders));
                    let note = brokers.kafka.as_ref().and_then(|own| own.note.clone());
                    Ok((note, feeds(&brokers.kafka), feeds(&brokers.rabbitmq), brokers.kafka_tls))
                }
            };
            assert_eq!(
                found,
                expect.map(|(note, a, b, c)| (note.map(str::to_owned), a, b, c)),
                "{variables:?}"
            );
        };
        check(&[], Ok((None, false, false, true)));
        check(&[("KAFKA_TOPICS", "orders")], Ok((None, false, false, true)));
        let kafka = ("KAFKA_BOOTSTRAP", "h:1");
        check(
            &[kafka, ("KAFKA_TOPICS", " a, orders,"), ("KAFKA_NOTE", "in memory")],
            Ok((Some("in memory"), true, false, true)),
        );
        check(&[kafka, ("KAFKA_TOPICS", "a,order"), ("KAFKA_TLS", "built")], Ok((None, false, false, true)));
        let rabbitmq = ("RABBITMQ_URL", "amqps://h");
        check(
            &[kafka, rabbitmq, ("RABBITMQ_QUEUES", "*"), ("KAFKA_TLS", "not-built")],
            Ok((None, false, true, false)),
        );
        check(&[("KAFKA_TLS", "no"), ("ALLOW_LOOPBACK", "yes")], Err(2));
    }
}

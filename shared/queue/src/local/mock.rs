use std::fmt;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, mocking::MockCluster};

use super::{PollError, drop_aside};

/// A Kafka inside this process: librdkafka's own mock cluster, one broker on a free loopback port, for any Kafka client of
/// this machine.
///
/// It keeps what it is sent **in memory**: with this process all of it is gone, and of each partition the oldest records are
/// dropped past 5 MiB or 100,000 of them. It knows no users, no encryption and no administration: topics are made by
/// [`MockKafka::make_topic`] alone. Right for a first try, no proof of anything.
pub struct MockKafka {
    /// The cluster lives in a client of its own; `None` only while it is dropped.
    client: Option<BaseProducer<Quiet>>,
}

impl MockKafka {
    /// Starts it.
    ///
    /// # Errors
    /// [`PollError::Kafka`]: no port is left, or no thread.
    pub fn start() -> Result<MockKafka, PollError> {
        let mut config = ClientConfig::new();
        config.set("client.id", "queuelink-embedded").set("test.mock.num.brokers", "1");
        let client = config.create_with_context(Quiet).map_err(PollError::Kafka)?;
        let mock = MockKafka { client: Some(client) };
        mock.cluster().ok_or(PollError::Ended)?;
        Ok(mock)
    }

    /// Where its clients connect: `127.0.0.1:PORT`.
    pub fn bootstrap(&self) -> String {
        self.cluster().map(|cluster| cluster.bootstrap_servers()).unwrap_or_default()
    }

    /// Makes a topic, where it is not there yet.
    ///
    /// # Errors
    /// [`PollError::Kafka`]: its name is none.
    pub fn make_topic(&self, topic: &str, partitions: i32) -> Result<(), PollError> {
        let cluster = self.cluster().ok_or(PollError::Ended)?;
        match cluster.create_topic(topic, partitions, 1) {
            Ok(()) | Err(KafkaError::MockCluster(RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Err(error) => Err(PollError::Kafka(error)),
        }
    }

    fn cluster(&self) -> Option<MockCluster<'_, Quiet>> {
        self.client.as_ref().and_then(|client| client.client().mock_cluster())
    }
}

impl fmt::Debug for MockKafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockKafka").field("bootstrap", &self.bootstrap()).finish()
    }
}

impl Drop for MockKafka {
    fn drop(&mut self) {
        drop_aside(self.client.take());
    }
}

/// Nobody sends by this client, and what the cluster in it has to say is of no use to anybody.
#[derive(Clone)]
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

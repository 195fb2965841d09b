//! The broker that `tests/engines/with-kafka` started, and what a test does to it.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use aws_credential_types::Credentials as AwsCredentials;
use aws_sdk_sqs::config::SharedCredentialsProvider;
use domain::Guard;
use queue::kafka::{KafkaPlace, KafkaProducers, KafkaSecurity};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use crate::brokers::process::{Process, alone, say_skipped, shared};
use crate::brokers::{own_name, until};

pub(crate) struct Kafka {
    pub(crate) plain: String,
    pub(crate) sasl: String,
    /// Where the broker listens, and where it says that it does.
    pub(crate) behind: (u16, u16),
    pub(crate) process: Process,
}

/// A record as it lies on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<String>,
    pub(crate) body: String,
    pub(crate) headers: HashMap<String, String>,
}

/// The broker, for a test that leaves it as it is. `None`, and a loud word, where there is none.
pub(crate) async fn kafka() -> Option<(Kafka, RwLockReadGuard<'static, ()>)> {
    shared(Kafka::find).await
}

/// The broker, for a test that stops it.
pub(crate) async fn kafka_alone() -> Option<(Kafka, RwLockWriteGuard<'static, ()>)> {
    alone(Kafka::find).await
}

impl Kafka {
    #[allow(clippy::disallowed_methods, reason = "the engine's place is told to the test alone")]
    fn find() -> Option<Kafka> {
        let var = |name: &str| std::env::var(name).ok();
        let Some(plain) = var("QUEUELINK_KAFKA") else {
            say_skipped("Kafka", "with-kafka");
            return None;
        };
        let behind = var("QUEUELINK_KAFKA_BEHIND").unwrap();
        let (at, says) = behind.split_once(' ').unwrap();
        Some(Kafka {
            plain,
            sasl: var("QUEUELINK_KAFKA_SASL").unwrap(),
            behind: (at.parse().unwrap(), says.parse().unwrap()),
            process: Process { folder: var("QUEUELINK_KAFKA_FOLDER").unwrap().into() },
        })
    }

    /// A topic that nobody else has, and whose every partition has its leader.
    pub(crate) async fn topic(&self, partitions: i32, settings: &[(&str, &str)]) -> String {
        let name = own_name();
        let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let made = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
        made.into_iter().next().unwrap().unwrap();
        // It is made before the broker leads it, and until then nothing can be written.
        until("the broker leads the new topic", || {
            let metadata = admin.inner().fetch_metadata(Some(name.as_str()), Duration::from_millis(500));
            metadata.is_ok_and(|all| {
                let leaders: Vec<_> = all.topics()[0].partitions().iter().map(|one| one.leader()).collect();
                leaders.len() == usize::try_from(partitions).unwrap() && leaders.iter().all(|id| *id >= 0)
            })
        })
        .await;
        name
    }

    pub(crate) fn place(&self, topic: &str) -> KafkaPlace {
        KafkaPlace {
            bootstrap: self.plain.clone(),
            topic: topic.to_owned(),
            partition: None,
            security: KafkaSecurity::Plaintext,
        }
    }

    /// Gives and takes rights by the cluster's own tool.
    pub(crate) fn acls(&self, arguments: &[&str]) {
        let done = Command::new(self.process.folder.join("acls")).args(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {done:?}");
    }

    /// All that lies on a topic, as another client sees it.
    pub(crate) async fn records(&self, topic: &str, partitions: i32) -> Vec<Record> {
        let (config, topic) = (self.client(), topic.to_owned());
        tokio::task::spawn_blocking(move || read(&config, &topic, partitions)).await.unwrap()
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.plain).set("group.id", "tests");
        config
    }

    /// Starts it again, and waits until it has a topic's leader.
    pub(crate) async fn start(&self, topic: &str) {
        self.process.start();
        let client: BaseConsumer = self.client().create().unwrap();
        until("the broker leads the topic", || {
            let metadata = client.fetch_metadata(Some(topic), Duration::from_millis(500));
            metadata.is_ok_and(|all| all.topics()[0].partitions().iter().any(|one| one.leader() >= 0))
        })
        .await;
    }
}

/// Producers of our own for one test, so that none meets another's state.
pub(crate) fn producers() -> KafkaProducers {
    producers_by(Guard::operator().with_loopback(true))
}

/// Such producers that connect to what this guard lets pass.
pub(crate) fn producers_by(guard: Guard) -> KafkaProducers {
    KafkaProducers::new(role(), guard)
}

pub(crate) fn role() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(AwsCredentials::new("nobody", "nothing", None, None, "tests"))
}

fn read(config: &ClientConfig, topic: &str, partitions: i32) -> Vec<Record> {
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    let mut ends = HashMap::new();
    for partition in 0..partitions {
        let (_, high) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)).unwrap();
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        ends.insert(partition, high);
    }
    consumer.assign(&list).unwrap();
    let mut left: i64 = ends.values().sum();
    let mut records = Vec::new();
    while left > 0 {
        let record = consumer.poll(Duration::from_secs(10)).expect("the topic ends too early").unwrap();
        left -= 1;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = record.headers().map_or_else(HashMap::new, |headers| {
            headers.iter().map(|one| (one.key.to_owned(), text(one.value.unwrap()))).collect()
        });
        records.push(Record {
            partition: record.partition(),
            offset: record.offset(),
            key: record.key().map(text),
            body: text(record.payload().unwrap()),
            headers,
        });
    }
    records
}

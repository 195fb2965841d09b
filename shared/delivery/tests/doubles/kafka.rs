//! librdkafka's own imitation of a Kafka cluster, in this process: good for whatever needs no proof of Kafka itself.
#![allow(dead_code, unreachable_pub, reason = "each test binary that includes this file uses a part of it")]

use std::time::Duration;

use domain::{
    Destination, Guard, KafkaCluster, KafkaLogin, KafkaTopic, Queue, RabbitMqBroker, RabbitMqQueue,
};
use queue::BrokersConfig;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

pub struct Kafka(MockCluster<'static, DefaultProducerContext>);

/// A record as it lies on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub key: Option<String>,
    pub body: String,
    pub headers: Vec<(String, String)>,
}

impl Kafka {
    /// One broker with these topics, of one partition each.
    pub fn start(topics: &[&str]) -> Kafka {
        let cluster = MockCluster::new(1).unwrap();
        for topic in topics {
            cluster.create_topic(topic, 1, 1).unwrap();
        }
        Kafka(cluster)
    }

    /// How whoever sends knows it for this installation's own.
    pub fn own(&self) -> BrokersConfig {
        own(&self.0.bootstrap_servers())
    }

    /// Nobody can connect to it any more, until it is back.
    pub fn is_away(&self, away: bool) {
        match away {
            true => self.0.broker_down(-1).unwrap(),
            false => self.0.broker_up(-1).unwrap(),
        }
    }

    /// It takes what comes, and answers so much later.
    pub fn answers_after(&self, delay: Duration) {
        self.0.broker_round_trip_time(-1, delay).unwrap();
    }

    /// All that lies on a topic's one partition, as another client sees it.
    pub fn records(&self, topic: &str) -> Vec<Record> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.0.bootstrap_servers()).set("group.id", "tests");
        let consumer: BaseConsumer = config.create().unwrap();
        let (_, end) = consumer.fetch_watermarks(topic, 0, Duration::from_secs(10)).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let record = |_| {
            let record = consumer.poll(Duration::from_secs(10)).expect("the topic ends too early").unwrap();
            let headers = record.headers().unwrap().iter();
            Record {
                key: record.key().map(text),
                body: text(record.payload().unwrap()),
                headers: headers.map(|one| (one.key.to_owned(), text(one.value.unwrap()))).collect(),
            }
        };
        (0..end).map(record).collect()
    }

    pub fn bodies(&self, topic: &str) -> Vec<String> {
        self.records(topic).into_iter().map(|record| record.body).collect()
    }
}

/// A cluster for this installation's own: at `bootstrap`, on this machine, too.
pub fn own(bootstrap: &str) -> BrokersConfig {
    let login = KafkaLogin::Nobody { tls: false };
    let cluster = KafkaCluster { bootstrap: bootstrap.to_owned(), login };
    BrokersConfig::new(Some(cluster), None, Guard::operator().with_loopback(true))
}

/// An address of this machine at which nobody listens.
pub fn deserted() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Makes it a topic of the installation's own cluster.
pub fn on_kafka(queue: &mut Queue) {
    queue.destination = Destination::Kafka(KafkaTopic { cluster: None, partition: None });
}

/// Makes it a queue of a RabbitMQ of others at this port of this machine.
pub fn on_rabbitmq(queue: &mut Queue, port: u16) {
    let broker = RabbitMqBroker { host: "127.0.0.1".to_owned(), port, tls: false, vhost: "/".to_owned() };
    queue.destination = Destination::RabbitMq(RabbitMqQueue { broker: Some(broker) });
}

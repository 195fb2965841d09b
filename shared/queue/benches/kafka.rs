//! `queue::kafka` beside the raw client, on the broker that a script starts:
//!
//!   tests/engines/with-kafka cargo bench -p queue --features kafka --bench kafka
//!
//! Both wait for all replicas in sync and are idempotent. The raw client sends the body alone.

mod pace;

use aws_credential_types::Credentials;
use aws_sdk_sqs::config::SharedCredentialsProvider;
use domain::Guard;
use queue::kafka::{KafkaPlace, KafkaProducers, KafkaSecurity};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};

const TOPIC: &str = "bench";

#[tokio::main]
#[allow(clippy::disallowed_methods, reason = "the script tells where the broker is")]
async fn main() {
    let bootstrap = std::env::var("QUEUELINK_KAFKA").expect("run me by tests/engines/with-kafka");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &bootstrap);
    let admin: AdminClient<DefaultClientContext> = config.create().expect("a client can be made");
    let topic = NewTopic::new(TOPIC, 3, TopicReplication::Fixed(1));
    admin.create_topics([&topic], &AdminOptions::new()).await.expect("the topic can be made");

    let raw: FutureProducer = config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .create()
        .expect("a producer can be made");
    let nobody = Credentials::new("nobody", "nothing", None, None, "bench");
    let ours =
        KafkaProducers::new(SharedCredentialsProvider::new(nobody), Guard::operator().with_loopback(true));
    let place = KafkaPlace {
        bootstrap,
        topic: TOPIC.to_owned(),
        partition: None,
        security: KafkaSecurity::Plaintext,
    };
    ours.warm(&place).await.expect("the broker is there");
    let body = pace::body();
    pace::compare(
        "Kafka, acks=all",
        async |number| {
            ours.send(&place, &pace::message(number, &body)).await.expect("it is accepted");
        },
        async |_| {
            let record: FutureRecord<'_, str, str> = FutureRecord::to(TOPIC).payload(&body);
            raw.send_result(record)
                .map_err(|(error, _)| error)
                .expect("it is taken")
                .await
                .expect("it is reported")
                .map_err(|(error, _)| error)
                .expect("it is accepted");
        },
    )
    .await;
}

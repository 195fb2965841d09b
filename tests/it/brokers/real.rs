//! One suite on SQS, on a real Apache Kafka (`--kafka`) and on a real RabbitMQ (`--amqp`):
//! `tests/engines/with-kafka tests/engines/with-rabbitmq cargo test -p tests --test it -- brokers`.

use std::io::Write;
use std::time::Duration;

use domain::Secret;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use queuelink::BrokerOptions;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};

use super::told;
use crate::support::eventually;
use crate::support::house::TestHouse;
use crate::support::recorder::Recorder;

/// Of a topic.
const PARTITIONS: i32 = 3;

/// Where a broker is, if this run has one. `None`, and a loud word, where there is none.
#[allow(clippy::disallowed_methods, reason = "the engine's place is told to the test alone")]
fn broker(variable: &str, what: &str, with: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        // Past the test harness, which would keep it to itself.
        let _ = writeln!(
            std::io::stderr(),
            "!!! SKIPPED: there is no {what} here; run it by tests/engines/{with}"
        );
    }
    address
}

/// Makes a topic and waits until the broker leads all of it: before that nothing can be written.
async fn make_topic(bootstrap: &str, name: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
    let made = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
    made.into_iter().next().unwrap().unwrap();
    eventually("the broker leads the new topic", 150, async || {
        let metadata = admin.inner().fetch_metadata(Some(name), Duration::from_millis(500)).ok()?;
        let partitions = metadata.topics()[0].partitions();
        let led = partitions.iter().filter(|partition| partition.leader() >= 0).count();
        (led == usize::try_from(PARTITIONS).unwrap()).then_some(())
    })
    .await;
}

async fn make_queue(url: &str, name: &str) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut kind = FieldTable::default();
    kind.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), kind).await.unwrap();
    connection.close(200, "OK".into()).await.unwrap();
}

/// What a user sees of any broker: published is handled, what fails once is handled again, poison is a letter and stops
/// nobody, a write to a linked table is a message.
async fn all_of_it(brokers: BrokerOptions, kind: &str, id: &str, names: [String; 2]) {
    let house = TestHouse::start_with(|options| options.brokers = brokers).await;
    let recorder = Recorder::start(1).await;
    let [orders, students] = &names;
    for name in &names {
        let body = json!({"name": name, "type": kind, "max-failures": 2});
        let answer = house.post("queue", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.body["worker"], "attached", "{}", answer.body);
        assert_eq!(answer.body.get("note").unwrap_or(&Value::Null), &Value::Null, "{}", answer.body);
    }
    let bad = json!({"handler": "fail", "recorder": recorder.url, "name": "ada", "how": "throw"});
    let answer = house.post(&format!("queue/a/{orders}/publish"), &bad).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!answer.text(id).is_empty(), "{}", answer.body);
    let poison = answer.text("message-id").to_owned();
    for (handler, name) in [("done", "bob"), ("once", "eva"), ("done", "cid")] {
        house.publish(orders, &json!({"handler": handler, "recorder": recorder.url, "name": name})).await;
    }
    eventually("the good ones ran, one of them twice", 150, async || {
        let counts = ["done/bob", "once/eva", "done/cid"].map(|what| recorder.count(what));
        (counts == [1, 2, 1]).then_some(())
    })
    .await;
    let letter = eventually("the letter is kept", 150, async || {
        Some(house.get(&format!("dead-letter/{poison}")).await).filter(|answer| answer.status == 200)
    })
    .await;
    assert!(letter.body.to_string().contains("card-declined"), "{}", letter.body);
    assert_eq!(recorder.count("fail/ada"), 2, "{:?}", recorder.told());

    let before = recorder.told().len();
    let table = json!({"apiName": "Student", "fields": [{"apiName": "name", "type": "text"}]});
    let payload = json!({"handler": "echo", "recorder": recorder.url, "name": "${new.name}"});
    let link = json!({"queue": students, "on": ["create"], "payload": payload});
    for (path, body) in [("table", &table), ("table/Student/link", &link)] {
        let answer = house.post(path, body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.body);
    }
    let student = json!({"apiName": "Student", "fields": {"name": "João"}});
    let answer = house.post("record/new?wait=published", &student).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(answer.body["messages"][0][id].is_string(), "{}", answer.body);
    let echoed = told(&recorder, before + 1).await;
    let seen: Value = serde_json::from_str(echoed.last().unwrap()).unwrap();
    assert_eq!(seen["name"], "João", "{seen}");
    house.stop().await;
}

/// Names that no other run takes.
fn own_names() -> [String; 2] {
    ["orders", "students"].map(|name| format!("it-{name}-{}", std::process::id()))
}

/// The measure of the other two; the house makes these queues itself.
#[tokio::test(flavor = "multi_thread")]
async fn on_sqs() {
    all_of_it(BrokerOptions::default(), "sqs", "sqs-id", own_names()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_real_kafka() {
    let Some(bootstrap) = broker("QUEUELINK_KAFKA", "Kafka", "with-kafka") else { return };
    let names = own_names();
    for name in &names {
        make_topic(&bootstrap, name).await;
    }
    let brokers = BrokerOptions { kafka: Some(bootstrap), amqp: None };
    all_of_it(brokers, "kafka", "kafka-id", names).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_real_rabbitmq() {
    let Some(address) = broker("QUEUELINK_RABBITMQ", "RabbitMQ", "with-rabbitmq") else { return };
    let url = format!("amqp://guest:guest@{address}/%2F");
    let names = own_names();
    for name in &names {
        make_queue(&url, name).await;
    }
    let brokers = BrokerOptions { kafka: None, amqp: Some(Secret::new(url)) };
    all_of_it(brokers, "rabbitmq", "amqp-id", names).await;
}

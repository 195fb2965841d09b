#![allow(clippy::unwrap_used, reason = "a test may panic")]

use aws_credential_types::Credentials as AwsCredentials;
use aws_sdk_sqs::config::SharedCredentialsProvider;
use domain::{KafkaLogin, KafkaTopic, ScramHash, Secret, SqsQueue};
use futures::FutureExt;
use jiff::Timestamp;
use rdkafka::mocking::MockCluster;

use super::*;
use crate::SqsConfig;
use registered::queue_at;

#[path = "../../../domain/tests/doubles/queue.rs"]
mod registered;

fn queue(destination: Destination) -> Queue {
    let place =
        SqsQueue { region: "eu-west-1".into(), account: "000000000000".into(), name: "ql-orders".into() };
    Queue { destination, ..queue_at("orders", place, Timestamp::UNIX_EPOCH) }
}

fn engines(own: BrokersConfig) -> Engines {
    let role = SharedCredentialsProvider::new(AwsCredentials::new("OURS", "secret", None, None, "test"));
    let http = aws_smithy_http_client::Builder::new().build_http();
    let nowhere = Some(format!("http://127.0.0.1:{}", deserted()));
    Engines::new(Queues::new(SqsConfig::new("eu-west-1".into(), nowhere, role, http)), own)
}

fn user(name: &str) -> Credentials {
    Credentials { username: Secret::new(name), password: Secret::new("s3cret") }
}

fn broker(host: &str, port: u16) -> RabbitMqBroker {
    RabbitMqBroker { host: host.to_owned(), port, tls: false, vhost: "/".to_owned() }
}

fn cluster(bootstrap: &str, login: KafkaLogin) -> KafkaCluster {
    KafkaCluster { bootstrap: bootstrap.to_owned(), login }
}

fn deserted() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn topic(cluster: Option<KafkaCluster>) -> Destination {
    Destination::Kafka(KafkaTopic { cluster, partition: None })
}

/// Our own brokers, at these ports of this machine.
fn own(kafka: &str, rabbitmq: u16) -> BrokersConfig {
    let kafka = Some(cluster(kafka, KafkaLogin::Nobody { tls: false }));
    let rabbitmq = Some((broker("127.0.0.1", rabbitmq), user("own")));
    BrokersConfig::new(kafka, rabbitmq, Guard::operator().with_loopback(true))
}

fn message(id: &str) -> Outgoing {
    Outgoing {
        message_id: id.to_owned(),
        round: 0,
        body: "1".to_owned(),
        ordering_key: None,
        delay_secs: 0,
        attributes: Vec::new(),
    }
}

#[tokio::test]
async fn a_queue_lies_where_it_says_or_else_on_our_own_broker() {
    let (all, none) = (engines(own("own:1", 5673)), engines(BrokersConfig::none()));
    let place = |engines: &Engines, destination: Destination, credentials: Option<Credentials>| match engines
        .place(&queue(destination), credentials)?
    {
        Place::Sqs(place) => Ok(format!("{} {}", place.queue.name, place.fifo)),
        Place::Kafka(place) => Ok(format!("{} {} {:?}", place.topic, place.bootstrap, place.security)),
        Place::RabbitMq(place) => {
            let user = place.credentials.username.expose();
            Ok(format!("{} {user}@{}:{}{}", place.queue, place.host, place.port, place.vhost))
        }
    };
    let check = |engines, destination, credentials, expect: Result<&str, &str>| {
        let found: Result<String, String> = place(engines, destination, credentials);
        assert_eq!(found, expect.map(str::to_owned).map_err(str::to_owned));
    };
    let no_user = Err("it has neither user name nor password");
    check(&all, topic(None), None, Ok("orders own:1 Plaintext"));
    check(&none, topic(None), None, Err("this installation has no Kafka cluster of its own"));
    let scram = || topic(Some(cluster("b:9096", KafkaLogin::Scram { hash: ScramHash::Sha512, tls: true })));
    check(&all, scram(), Some(user("ada")), Ok("orders b:9096 SaslScram { hash: Sha512, tls: true, .. }"));
    check(&none, scram(), None, no_user);
    let plain = || topic(Some(cluster("b:9096", KafkaLogin::Plain { tls: false })));
    check(&none, plain(), Some(user("ada")), Ok("orders b:9096 SaslPlain { tls: false, .. }"));
    check(&none, plain(), None, no_user);
    let nobody = topic(Some(cluster("b:9096", KafkaLogin::Nobody { tls: true })));
    check(&none, nobody, Some(user("ada")), Ok("orders b:9096 Tls"));
    let rabbit = |broker| Destination::RabbitMq(RabbitMqQueue { broker });
    check(&all, rabbit(None), None, Ok("orders own@127.0.0.1:5673/"));
    check(&none, rabbit(None), None, Err("this installation has no RabbitMQ broker of its own"));
    check(&all, rabbit(Some(broker("b", 5672))), Some(user("ada")), Ok("orders ada@b:5672/"));
    check(&all, rabbit(Some(broker("b", 5672))), None, no_user);
    let sqs = queue_at(
        "x",
        SqsQueue { region: "r".into(), account: "a".into(), name: "n".into() },
        Timestamp::UNIX_EPOCH,
    );
    check(&none, sqs.destination, None, Ok("n false"));
    assert!(!format!("{all:?}").contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_engine_is_asked_where_its_place_is_and_order_is_kept_by_two_of_them() {
    let kafka = MockCluster::new(1).unwrap();
    kafka.create_topic("orders", 1, 1).unwrap();
    let engines = engines(own(&kafka.bootstrap_servers(), deserted()));
    engines.warm().await;
    let to = engines.place(&queue(topic(None)), None).unwrap();
    assert_eq!((to.engine(), to.keeps_order()), (Engine::Kafka, true));
    assert_eq!(engines.send(&to, &message("a")).await.unwrap().engine_id, "orders-0-0");
    assert_eq!(engines.send_once(&to, &message("b")).await.unwrap().engine_id, "orders-0-1");
    let all = engines.send_all(&to, &[message("c"), message("d")]).await;
    assert_eq!(all.iter().filter(|sent| sent.is_ok()).count(), 2, "{all:?}");

    let rabbit = engines.place(&queue(Destination::RabbitMq(RabbitMqQueue { broker: None })), None).unwrap();
    assert_eq!((rabbit.engine(), rabbit.keeps_order()), (Engine::RabbitMq, false));
    let sqs = queue_at(
        "x",
        SqsQueue { region: "eu-west-1".into(), account: "a".into(), name: "n".into() },
        Timestamp::UNIX_EPOCH,
    );
    let fifo = engines.place(&Queue { fifo: true, ..sqs.clone() }, None).unwrap();
    assert_eq!((fifo.engine(), fifo.keeps_order()), (Engine::Sqs, true));
    let sqs = engines.place(&sqs, None).unwrap();
    assert!(!sqs.keeps_order());
    for to in [&rabbit, &sqs] {
        let unreachable =
            |sent: &Result<Accepted, SendError>| matches!(sent, Err(SendError::Unreachable { .. }));
        let sent = [engines.send(to, &message("e")).await, engines.send_once(to, &message("f")).await];
        assert!(sent.iter().all(unreachable), "{sent:?}");
        assert!(engines.send_all(to, &[message("g")]).await.iter().all(unreachable));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_does_not_wait_long_for_brokers_that_are_not_there() {
    // One that takes connections and never says a word.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listener.local_addr().unwrap();
    // Made before: only the warming is to be timed.
    let (there, none) = (engines(own(&silent.to_string(), silent.port())), engines(BrokersConfig::none()));
    let patience = WARM_WITHIN + Duration::from_millis(700);
    timeout(patience, there.warm()).await.expect("a start waits for a broker that says nothing");
    none.warm().now_or_never().expect("a start waits though it has no broker");
}

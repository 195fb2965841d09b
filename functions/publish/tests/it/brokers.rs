//! Publishing to Kafka and RabbitMQ: the same road, other answers.

use std::time::{Duration, Instant};

use domain::{Destination, KafkaCluster, KafkaLogin, KafkaTopic, Queue, ScramHash};
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::house::{ANSWERED_WITHIN, House};
use crate::kafka::{Kafka, deserted, on_kafka, on_rabbitmq, own};

async fn house(kafka: &Kafka) -> House {
    House::beside(Engine::start().await, kafka.own()).await
}

fn keys(answer: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_its_topic_byte_for_byte_and_the_answer_says_where_it_lies() {
    let kafka = Kafka::start(&["orders"]);
    let house = house(&kafka).await;
    let queue = house.queue("orders", on_kafka).await;
    let body = "{ \"handler\":\"signup\", \"n\": 1.0e1, \"é\":\"\\u00e9\" }\n";
    for (at, path) in
        [format!("/queue/{}/publish", queue.id), "/queue/a/orders/publish".to_owned()].iter().enumerate()
    {
        let answer = house.post(path, &[("ordering-key", "ada")], body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let answer = answer.json();
        assert_eq!(keys(&answer), ["kafka-id", "message-id", "queue-id"]);
        assert_eq!(answer["kafka-id"], format!("orders-0-{at}"));
        let record = kafka.records("orders").pop().unwrap();
        assert_eq!((record.body.as_str(), record.key.as_deref()), (body, Some("ada")));
        let headers = json!([["message-id", answer["message-id"]], ["round", "0"]]);
        assert_eq!(json!(record.headers), headers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_gives_the_same_answer_again_and_one_record() {
    let kafka = Kafka::start(&["orders"]);
    let house = house(&kafka).await;
    house.queue("orders", on_kafka).await;
    let key = [("idempotency-key", "k")];
    let first = house.post("/queue/a/orders/publish", &key, "1").await;
    let again = house.post("/queue/a/orders/publish", &key, "1").await;
    assert_eq!((first.status, &first.json()["kafka-id"]), (200, &json!("orders-0-0")));
    assert_eq!(first.text, again.text);
    assert_eq!(house.post("/queue/a/orders/publish", &key, "2").await.problem(), 422);
    assert_eq!(kafka.bodies("orders"), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_tells_of_each_message_where_it_lies_and_keeps_the_order_of_a_key() {
    let kafka = Kafka::start(&["orders"]);
    let house = house(&kafka).await;
    house.queue("orders", on_kafka).await;
    let messages: Vec<_> = (0..20).map(|n| json!({"payload": n, "ordering-key": "ada"})).collect();
    let answer =
        house.post("/queue/a/orders/publish/batch", &[], json!({ "messages": messages }).to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    for (at, result) in answer.json()["results"].as_array().unwrap().iter().enumerate() {
        assert_eq!(keys(result), ["kafka-id", "message-id", "queue-id", "status"]);
        assert_eq!(result["kafka-id"], format!("orders-0-{at}"));
    }
    let expect: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(kafka.bodies("orders"), expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_does_not_have_is_refused_and_the_answer_says_what_to_use() {
    let kafka = Kafka::start(&["topic"]);
    let house = house(&kafka).await;
    house.queue("topic", on_kafka).await;
    house.queue("rabbit", |queue| on_rabbitmq(queue, deserted())).await;
    let check = async |queue: &str, headers: &[(&str, &str)], faults: &[(&str, &str)], says: &str| {
        let answer = house.post(&format!("/queue/a/{queue}/publish"), headers, "1").await;
        assert_eq!(answer.problem(), 422, "{queue} {headers:?}: {}", answer.text);
        let found = answer.faults();
        let found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
        assert_eq!(found, faults, "{queue} {headers:?}: {}", answer.text);
        assert!(answer.text.contains(says), "{}", answer.text);
    };
    check("topic", &[("deliver-after", "5")], &[("deliver-after", "not-on-kafka")], "deliver-at").await;
    check("topic", &[("ordering-key", "a b")], &[("ordering-key", "ordering-key")], "ASCII").await;
    let both = [("ordering-key", "a"), ("deliver-after", "5")];
    let faults = [("ordering-key", "not-on-rabbitmq"), ("deliver-after", "not-on-rabbitmq")];
    check("rabbit", &both, &faults, "Kafka").await;
    let large = vec![b'1'; 1024 * 1024];
    for queue in ["topic", "rabbit"] {
        assert_eq!(house.post(&format!("/queue/a/{queue}/publish"), &[], &large).await.problem(), 413);
        let dated = [("deliver-at", "2999-01-01T00:00:00Z")];
        let kept = house.post(&format!("/queue/a/{queue}/publish"), &dated, "1").await;
        assert_eq!((kept.status, keys(&kept.json())), (202, vec!["deliver-at", "message-id", "queue-id"]));
    }
    assert_eq!(kafka.bodies("topic").len(), 0);
}

/// The largest body that passes the door, with all that may travel beside it, is not too much for a topic of Kafka's defaults.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_body_fits() {
    let kafka = Kafka::start(&["orders"]);
    let house = house(&kafka).await;
    house.queue("orders", on_kafka).await;
    let large = format!("\"{}\"", "a".repeat(domain::MAX_BODY_BYTES - 2));
    let key = "k".repeat(128);
    let answer = house.post("/queue/a/orders/publish", &[("ordering-key", &key)], &large).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(kafka.bodies("orders"), [large]);
}

/// What becomes of messages that nobody took: 503 in time, and a letter of this reason.
async fn undelivered(house: &House, queue: &str, code: &str) {
    let start = Instant::now();
    let answer = house.post(&format!("/queue/a/{queue}/publish"), &[], "1").await;
    let answered = start.elapsed();
    assert_eq!(answer.problem(), 503, "{queue}: {}", answer.text);
    assert!(answered < ANSWERED_WITHIN, "{queue}: {answered:?}");
    let document = answer.json();
    assert_eq!(document.get("outcome").is_some(), code == "unanswered", "{queue}: {document}");
    for secret in ["127.0.0.1", "foreign-secret", "AKIAFOREIGN"] {
        assert!(!answer.text.contains(secret), "{queue}: {document}");
    }
    let letters = house.store.messages.letters(document["letter"].as_str().unwrap()).await.unwrap();
    assert_eq!(letters[0].reason.code, code, "{queue}: {}", letters[0].reason.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_is_certain_and_known_in_time() {
    let house = House::beside(Engine::start().await, own(&format!("127.0.0.1:{}", deserted()))).await;
    house.queue("topic", on_kafka).await;
    undelivered(&house, "topic", "unreachable").await;
    let register = async |name: &str, change: &dyn Fn(&mut Queue)| {
        let queue = house.queue(name, change).await;
        let sealed = house.seal(queue.id).await;
        let with = Queue { credentials: Some(sealed), ..queue.clone() };
        house.store.catalog.update_queue(&queue, &with).await.unwrap();
    };
    register("rabbit", &|queue| on_rabbitmq(queue, deserted())).await;
    undelivered(&house, "rabbit", "unreachable").await;
    // This build has no TLS for Kafka, and nothing goes out without it.
    if !cfg!(feature = "kafka-tls") {
        let login = KafkaLogin::Scram { hash: ScramHash::Sha512, tls: true };
        let cluster = Some(KafkaCluster { bootstrap: "127.0.0.1:9".to_owned(), login });
        let topic = KafkaTopic { cluster, partition: None };
        register("scram", &|queue| queue.destination = Destination::Kafka(topic.clone())).await;
        undelivered(&house, "scram", "refused").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_where_none_may_be_is_never_asked() {
    let kafka = Kafka::start(&["topic"]);
    let mut brokers = kafka.own();
    brokers.guard = domain::Guard::operator();
    let house = House::beside(Engine::start().await, brokers).await;
    house.queue("topic", on_kafka).await;
    undelivered(&house, "topic", "refused").await;
    assert_eq!(kafka.bodies("topic").len(), 0);
    // Nor is there one of its own, or one that knows us.
    let house = House::start().await;
    house.queue("topic", on_kafka).await;
    undelivered(&house, "topic", "unreachable").await;
    house.queue("rabbit", |queue| on_rabbitmq(queue, 9)).await;
    undelivered(&house, "rabbit", "unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_goes_away_and_comes_back_is_told_as_it_is() {
    let kafka = Kafka::start(&["orders"]);
    let house = house(&kafka).await;
    house.queue("orders", on_kafka).await;
    assert_eq!(house.post("/queue/a/orders/publish", &[], "0").await.status, 200);
    kafka.is_away(true);
    // So soon after another record librdkafka's counters do not tell the two apart; of the next one they do.
    assert_eq!(house.post("/queue/a/orders/publish", &[], "1").await.problem(), 503);
    undelivered(&house, "orders", "unreachable").await;
    kafka.is_away(false);
    assert_eq!(house.post("/queue/a/orders/publish", &[], "2").await.status, 200);
    assert_eq!(kafka.bodies("orders"), ["0", "2"]);
    kafka.answers_after(Duration::from_secs(6));
    undelivered(&house, "orders", "unanswered").await;
}

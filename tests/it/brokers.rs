//! Kafka as `cargo run` has it: from the registration of a queue to its handler, its retries, its dead letters and its links.

mod real;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::house::{Answer, TestHouse};
use crate::support::recorder::Recorder;

/// Registers a queue on the house's own Kafka.
async fn topic(house: &TestHouse, mut body: Value) -> Answer {
    body["type"] = json!("kafka");
    let answer = house.post("queue", &body).await;
    assert_eq!(answer.status, 201, "{body}: {}", answer.body);
    answer
}

/// Publishes with an ordering key.
async fn publish(house: &TestHouse, queue: &str, key: &str, payload: &Value) -> Answer {
    let path = format!("queue/a/{queue}/publish");
    let answer = house.post_text(&path, &payload.to_string(), &[("ordering-key", key)]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

async fn told(recorder: &Recorder, count: usize) -> Vec<String> {
    eventually("handlers told", 150, async || Some(recorder.told()).filter(|told| told.len() >= count)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_without_a_url_lies_in_the_embedded_kafka_and_its_messages_run_their_handlers() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    let queue = topic(&house, json!({"name": "orders"})).await;
    assert_eq!(queue.body["worker"], "attached", "{}", queue.body);
    assert_eq!(
        (&queue.body["url"], &queue.body["own-broker"]),
        (&Value::Null, &json!(true)),
        "{}",
        queue.body
    );
    assert!(queue.text("note").starts_with("in memory"), "{}", queue.body);
    let payload = json!({"handler": "echo", "recorder": recorder.url, "name": "João", "n": 1});
    let answer = house.post("queue/a/orders/publish", &payload).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let keys: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["kafka-id", "message-id", "queue-id"]);
    assert_eq!(answer.text("queue-id"), queue.text("id"));
    let place: Vec<&str> = answer.text("kafka-id").rsplitn(3, '-').collect();
    assert_eq!((place[2], place[0]), ("orders", "0"), "topic and offset of {}", answer.text("kafka-id"));
    let seen: Value = serde_json::from_str(&told(&recorder, 1).await[0]).unwrap();
    assert_eq!(seen, payload);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_with_one_key_run_in_the_order_they_were_published() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    topic(&house, json!({"name": "ordered", "default-handler": "done"})).await;
    for n in 0..25 {
        for key in ["a", "b"] {
            let payload = json!({"recorder": recorder.url, "name": format!("{key}{n}")});
            publish(&house, "ordered", key, &payload).await;
        }
    }
    let all = told(&recorder, 50).await;
    for key in ["a", "b"] {
        let start = format!("done/{key}");
        let of_key: Vec<&String> = all.iter().filter(|told| told.starts_with(&start)).collect();
        let sent: Vec<String> = (0..25).map(|n| format!("{start}{n}")).collect();
        assert!(of_key.into_iter().eq(&sent), "{all:?}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_record_is_a_dead_letter_by_way_of_the_retry_queue_and_those_behind_it_go_on() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    topic(&house, json!({"name": "poison", "max-failures": 2})).await;
    let bad = json!({"handler": "fail", "recorder": recorder.url, "name": "ada", "how": "throw"});
    let id = publish(&house, "poison", "one", &bad).await.text("message-id").to_owned();
    let good = json!({"handler": "done", "recorder": recorder.url, "name": "bob"});
    publish(&house, "poison", "one", &good).await;
    eventually("the one behind it ran", 150, async || (recorder.count("done/bob") == 1).then_some(())).await;
    let letter = eventually("the letter is kept", 150, async || {
        Some(house.get(&format!("dead-letter/{id}")).await).filter(|answer| answer.status == 200)
    })
    .await;
    let text = letter.body.to_string();
    for part in ["the card of ada was declined", "card-declined", "poison"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(recorder.count("fail/ada"), 2, "{:?}", recorder.told());
    let url = format!("{}/000000000000/local-retry-dead", house.sqs_endpoint());
    let body = eventually("its body is on the stack's dead-letter queue", 150, async || {
        let request = house.sqs.receive_message().queue_url(&url).message_attribute_names("All");
        let received = request.send().await.unwrap().messages.unwrap_or_default().pop()?;
        let attributes = received.message_attributes.unwrap_or_default();
        assert_eq!(attributes["message-id"].string_value.as_deref(), Some(id.as_str()));
        received.body
    })
    .await;
    assert_eq!(body, bad.to_string(), "unchanged");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_once_succeeds_from_the_retry_queue() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    topic(&house, json!({"name": "twice", "default-handler": "once"})).await;
    house.publish("twice", &json!({"recorder": recorder.url, "name": "x"})).await;
    eventually("it ran twice", 150, async || (recorder.count("once/x") == 2).then_some(())).await;
    let url = format!("{}/000000000000/local-retry", house.sqs_endpoint());
    eventually("nothing waits any more", 150, async || {
        (crate::support::house::depth(&house.sqs, &url).await == 0).then_some(())
    })
    .await;
    assert_eq!(recorder.count("once/x"), 2, "{:?}", recorder.told());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_to_a_linked_table_is_a_record_of_its_topic() {
    let house = TestHouse::start_with(|options| options.sweep_every = Duration::from_millis(300)).await;
    let recorder = Recorder::start(1).await;
    topic(&house, json!({"name": "students"})).await;
    let table = json!({"apiName": "Student", "fields": [{"apiName": "name", "type": "text"}]});
    let payload = json!({"handler": "echo", "recorder": recorder.url, "name": "${new.name}"});
    for (path, body) in [
        ("table", &table),
        ("table/Student/link", &json!({"queue": "students", "on": ["create", "update"], "payload": payload})),
    ] {
        let answer = house.post(path, body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.body);
    }
    let student = json!({"apiName": "Student", "fields": {"name": "Ana"}});
    let answer = house.post("record/new?wait=published", &student).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let message = &answer.body["messages"][0];
    let kafka_id = message["kafka-id"].as_str().unwrap_or_else(|| panic!("kafka-id in {}", answer.body));
    assert!(kafka_id.starts_with("students-"), "{kafka_id}");
    let id = answer.text("id").to_owned();
    for name in ["Bea", "Cid", "Dor"] {
        let answer = house.put(&format!("record/{id}"), &json!({"fields": {"name": name}})).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let names: Vec<Value> = told(&recorder, 4)
        .await
        .iter()
        .map(|told| serde_json::from_str::<Value>(told).unwrap()["name"].clone())
        .collect();
    assert_eq!(names, ["Ana", "Bea", "Cid", "Dor"], "in the order of the writes: the record is the key");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_comes_later_begins_at_the_oldest_record() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    let queue = topic(&house, json!({"name": "later", "worker": "none", "default-handler": "done"})).await;
    for n in 0..3 {
        house.publish("later", &json!({"recorder": recorder.url, "name": n.to_string()})).await;
    }
    let answer = house.put(&format!("queue/{}", queue.text("id")), &json!({"worker": "attached"})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    told(&recorder, 3).await;
    let answer = house.put(&format!("queue/{}", queue.text("id")), &json!({"worker": "none"})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    house.publish("later", &json!({"recorder": recorder.url, "name": "unheard"})).await;
    let answer = house.put(&format!("queue/{}", queue.text("id")), &json!({"worker": "attached"})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let all = told(&recorder, 4).await;
    assert_eq!((all.len(), all[3].as_str()), (4, "done/unheard"), "none came twice: {all:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_house_cannot_give_is_refused_at_registration() {
    let house = TestHouse::start().await;
    for (body, word) in [
        (json!({"name": "r", "type": "rabbitmq"}), "url"),
        (json!({"name": "k", "type": "kafka", "url": "broker.example:9094", "tls": true}), "kafka-tls"),
        (json!({"name": "k", "type": "kafka", "url": "169.254.169.254:9092"}), "url"),
        (json!({"name": "k", "type": "kafka", "url": house.sqs_endpoint().replace("http://", "")}), "url"),
    ] {
        let answer = house.post("queue", &body).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.body);
        assert!(answer.body.to_string().contains(word), "{word} in {}", answer.body);
    }
    house.stop().await;
}

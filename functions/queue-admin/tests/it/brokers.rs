use domain::{Queue, QueueState};
use queue_admin::{OwnBroker, Received, Settings};

use crate::engine::Mood;
use crate::house::House;

/// A house with both brokers, whose workers receive from `orders`.
async fn house() -> House {
    House::with(|settings: &mut Settings| {
        let received = Received::Only(["orders".to_owned()].into());
        let note = Some("in memory: it is gone when the program ends".to_owned());
        settings.brokers.kafka = Some(OwnBroker { received: received.clone(), note });
        settings.brokers.rabbitmq = Some(OwnBroker { received, note: None });
    })
    .await
}

const USER: &str = r#""username":"canary-user","password":"canary-word""#;

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_a_broker_is_registered_shown_and_deleted_and_nothing_else_is_touched() {
    for (engine, own) in [("kafka", true), ("rabbitmq", false)] {
        let house = house().await;
        house.engine.make("ql-retry-dead", &[]);
        house.engine.mood(Mood::Broken);
        let body = format!(r#"{{"name":"orders","type":"{engine}"}}"#);
        let answer = house.want(201, "POST /queue", &body).await;
        let queue = answer.json();
        for (member, expect) in
            [("name", "orders"), ("type", engine), ("worker", "attached"), ("state", "ready")]
        {
            assert_eq!(queue[member], expect, "{queue}");
        }
        assert_eq!((&queue["url"], &queue["own-broker"]), (&serde_json::Value::Null, &true.into()));
        assert_eq!(queue["note"].as_str().is_some_and(|note| note.starts_with("in memory")), own, "{queue}");
        assert_eq!(queue["dead-letter-queue"], house.url("ql-retry-dead"));
        assert_eq!((queue["owned"].as_bool(), queue.get("fifo")), (Some(false), None));
        let id = queue["id"].as_str().unwrap();
        for line in [format!("GET /queue/{id}"), "GET /queue/a/orders".to_owned()] {
            let health = house.want(200, &line, "").await.json()["health"].clone();
            assert_eq!(health, serde_json::json!({ "mapping": "enabled" }));
        }
        for verb in ["pause", "resume"] {
            let refused = house.want(409, &format!("POST /queue/{id}/{verb}"), "").await;
            let parameter = if engine == "kafka" { "KafkaTopics" } else { "RabbitMqQueues" };
            assert!(refused.text.contains(parameter), "{}", refused.text);
        }
        house.want(409, "POST /queue", &body).await;
        house.want(204, &format!("DELETE /queue/{id}"), "").await;
        house.want(404, &format!("GET /queue/{id}"), "").await;
        house.engine.mood(Mood::Fine);
        assert_eq!(house.engine.queues(), ["ql-retry-dead"]);
        assert!(house.engine.mappings().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_a_broker_that_was_begun_is_gone_on_with_by_the_same_request() {
    let house = house().await;
    let body = r#"{"name":"orders","type":"kafka","partition":3}"#;
    let id = house.made(body).await;
    let catalog = &house.store.catalog;
    let made = catalog.fresh_queue(id.parse().unwrap()).await.unwrap().unwrap();
    let begun = Queue { state: QueueState::Creating, ..made.as_ref().clone() };
    catalog.update_queue(&made, &begun).await.unwrap();
    house.want(409, "POST /queue", r#"{"name":"orders","type":"kafka","partition":4}"#).await;
    house.want(409, &format!("PUT /queue/{id}"), r#"{"max-failures":1}"#).await;
    let queue = house.want(201, "POST /queue", body).await.json();
    assert_eq!((queue["id"].as_str(), &queue["state"]), (Some(id.as_str()), &"ready".into()));
    assert_eq!(queue["dead-letter-queue"], house.url("ql-retry-dead"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_a_broker_keeps_its_place_and_changes_the_rest() {
    let house = house().await;
    let made = async |name: &str, engine: &str, more: &str| {
        house.made(&format!(r#"{{"name":"{name}","type":"{engine}"{more}}}"#)).await
    };
    let own = made("orders", "kafka", "").await;
    let other = made("own-rabbit", "rabbitmq", "").await;
    let scram = made("scram", "kafka", &format!(r#","url":"b.example.com:9092",{USER}"#)).await;
    let open = made("open", "kafka", r#","url":"b.example.com:9092""#).await;
    let rabbit = made("rabbit", "rabbitmq", &format!(r#","url":"amqps://b.example.com",{USER}"#)).await;

    let change =
        r#"{"default-handler":"shop/paid","schema":{"type":"object"},"max-failures":5,"worker":"none"}"#;
    for id in [&own, &other, &scram, &open, &rabbit] {
        let queue = house.want(200, &format!("PUT /queue/{id}"), change).await.json();
        assert_eq!((&queue["max-failures"], &queue["worker"]), (&5.into(), &"none".into()));
        assert_eq!(queue["default-handler"], "shop/paid");
        assert_eq!(queue["dead-letter-queue"], house.url("ql-retry-dead"));
        let same_name = format!(r#"{{"name":{}}}"#, queue["name"]);
        house.want(200, &format!("PUT /queue/{id}"), &same_name).await;
        let health = house.want(200, &format!("GET /queue/{id}"), "").await.json()["health"].clone();
        assert_eq!(health, serde_json::json!({ "mapping": null }));
        house.want(409, &format!("POST /queue/{id}/pause"), "").await;
    }
    let attached = house.want(200, &format!("PUT /queue/{own}"), r#"{"worker":"attached"}"#).await.json();
    assert_eq!(attached["dead-letter-queue"], house.url("ql-retry-dead"));
    let another = r#"{"username":"canary-2","password":"canary-3"}"#;
    for id in [&scram, &rabbit] {
        let queue = house.want(200, &format!("PUT /queue/{id}"), another).await;
        assert_eq!(queue.json()["credentials"]["set"], true);
    }

    let check = async |id: &str, body: &str, expect: &[(&str, &str)]| {
        let answer = house.want(422, &format!("PUT /queue/{id}"), body).await;
        let found = answer.faults();
        let found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
        assert_eq!(found, expect, "{body}: {}", answer.text);
    };
    for id in [&own, &other, &scram, &open, &rabbit] {
        check(id, r#"{"name":"sales"}"#, &[("name", "fixed")]).await;
    }
    let place = r#"{"type":"sqs","url":"x","sasl":null,"tls":false,"region":"x","partition":1,"fifo":true}"#;
    let fixed = ["type", "url", "sasl", "tls", "region", "partition"].map(|path| (path, "fixed"));
    check(&scram, place, &[&fixed[..], &[("fifo", "unknown-field")]].concat()).await;
    check(
        &rabbit,
        r#"{"url":"x","tls":false,"sasl":1}"#,
        &[("url", "fixed"), ("tls", "fixed"), ("sasl", "unknown-field")],
    )
    .await;
    for id in [&scram, &rabbit] {
        check(id, r#"{"username":null,"password":null}"#, &[("username", "required")]).await;
        check(id, r#"{"worker":"attached"}"#, &[("worker", "publish-only")]).await;
    }
    for id in [&own, &other, &open] {
        check(id, another, &[("username", "fixed")]).await;
        house.want(200, &format!("PUT /queue/{id}"), r#"{"username":null,"password":null}"#).await;
    }
    check(&other, r#"{"worker":"attached"}"#, &[("worker", "not-mapped")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_is_told_of_us_is_never_shown() {
    let house = house().await;
    for (name, body) in [
        ("a", r#""type":"kafka","url":"b.example.com:9092""#),
        ("b", r#""type":"kafka","url":"b.example.com:9092","sasl":"plain","tls":false"#),
        ("c", r#""type":"rabbitmq","url":"amqps://b.example.com/shop""#),
    ] {
        let answer = house.want(201, "POST /queue", &format!(r#"{{"name":"{name}",{body},{USER}}}"#)).await;
        assert_eq!(answer.json()["credentials"]["set"], true);
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let told = [
            answer.text,
            house.want(200, &format!("PUT /queue/{id}"), &format!("{{{USER}}}")).await.text,
            house.want(200, &format!("GET /queue/{id}"), "").await.text,
            house.want(200, "GET /queue", "").await.text,
            house
                .want(422, &format!("PUT /queue/{id}"), &format!(r#"{{{USER},"sasl":"canary"}}"#))
                .await
                .text,
            format!("{:?}", house.store.catalog.fresh_queue(id.parse().unwrap()).await.unwrap()),
        ];
        for text in told {
            assert!(!text.contains("canary"), "{text}");
        }
    }
    for url in ["canary-user:canary-word@b:9092", "amqps://canary-user:canary-word@b", "amqp://canary word"] {
        for engine in ["kafka", "rabbitmq", "sqs"] {
            let body = format!(r#"{{"name":"d","type":"{engine}","url":"{url}",{USER}}}"#);
            let answer = house.want(422, "POST /queue", &body).await;
            assert!(!answer.text.contains("canary"), "{}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_mapping_is_gone_is_told_in_the_queues_health() {
    let house = House::start().await;
    let other = self::house().await;
    let id = other.made(r#"{"name":"orders","type":"kafka"}"#).await;
    let queue = other.store.catalog.fresh_queue(id.parse().unwrap()).await.unwrap().unwrap();
    house.store.catalog.create_queue(&queue).await.unwrap();
    let health = house.want(200, &format!("GET /queue/{id}"), "").await.json()["health"].clone();
    assert!(
        health["mapping"].is_null() && health["error"].as_str().unwrap().contains("KafkaTopics"),
        "{health}"
    );
    // What was attached is not refused for it.
    house.want(200, &format!("PUT /queue/{id}"), r#"{"max-failures":2,"worker":"attached"}"#).await;
}

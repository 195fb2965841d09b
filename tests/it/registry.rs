//! The queue registry, as a client sees it.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::house::TestHouse;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_simultaneous_creates_with_one_name_exactly_one_wins() {
    let house = TestHouse::start().await;
    let answers = futures::future::join_all((0..8).map(|n| {
        // Different settings: a repeat of the very same request would be answered as the same registration.
        let body = json!({"name": "wanted", "type": "sqs", "worker": "none", "max-failures": n + 1});
        let house = &house;
        async move { house.post("queue", &body).await }
    }))
    .await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409], "{answers:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_lives_from_register_to_delete() {
    let house = TestHouse::start().await;
    let created =
        house.post("queue", &json!({"name": "life", "type": "sqs", "default-handler": "done"})).await;
    assert_eq!(created.status, 201, "{}", created.body);
    for key in ["id", "name", "type", "url", "region", "credentials", "created-at", "updated-at"] {
        assert!(!created.body[key].is_null(), "{key} in {}", created.body);
    }
    assert_eq!(created.body["credentials"], json!({"set": false}));
    assert_eq!(created.body["worker"], "attached");
    let id = created.text("id").to_owned();

    let read = house.get(&format!("queue/{id}")).await;
    assert_eq!((read.status, &read.body["name"]), (200, &json!("life")));
    let by_name = house.get("queue/a/life").await;
    assert_eq!((by_name.status, by_name.text("id")), (200, id.as_str()));

    let changed =
        house.put(&format!("queue/{id}"), &json!({"max-failures": 5, "default-handler": "fail"})).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(
        (&changed.body["max-failures"], &changed.body["default-handler"]),
        (&json!(5), &json!("fail"))
    );

    for (verb, state) in [("pause", "disabled"), ("resume", "enabled")] {
        let answer = house.post(&format!("queue/{id}/{verb}"), &json!({})).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        eventually("the mapping follows", 150, async || {
            let text = house.get(&format!("queue/{id}")).await.body.to_string().to_lowercase();
            text.contains(state).then_some(())
        })
        .await;
    }

    let deleted = house.delete(&format!("queue/{id}")).await;
    assert!([200, 202, 204].contains(&deleted.status), "{}", deleted.body);
    assert_eq!(house.get(&format!("queue/{id}")).await.status, 404);
    let left = house.sqs.list_queues().send().await.unwrap();
    let mut own =
        left.queue_urls().iter().filter(|url| !url.contains("local-jobs") && !url.contains("local-retry"));
    assert_eq!(own.next(), None, "its queues went with it");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_health_and_its_pages_hold_every_queue_once() {
    let house = TestHouse::start().await;
    for n in 0..7 {
        house.queue(json!({"name": format!("page-{n}"), "worker": "none"})).await;
    }
    house.publish("page-3", &json!({"n": 1})).await;
    let mut names: Vec<String> = Vec::new();
    let mut path = "queue?limit=3".to_owned();
    loop {
        let page = house.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.body);
        for queue in page.body["queues"].as_array().unwrap() {
            names.push(queue["name"].as_str().unwrap().to_owned());
            let visible = u64::from(queue["name"] == "page-3");
            assert_eq!(queue["health"]["visible"], visible, "{queue}");
            for key in ["in-flight", "dead-letters"] {
                assert_eq!(queue["health"][key], 0, "{queue}");
            }
        }
        let Some(cursor) = page.body["cursor"].as_str() else { break };
        path = format!("queue?limit=3&cursor={cursor}");
    }
    names.sort();
    assert_eq!(names, (0..7).map(|n| format!("page-{n}")).collect::<Vec<_>>());
    let found = house.get("queue?search=GE-5").await;
    assert_eq!(found.body["queues"].as_array().unwrap().len(), 1, "{}", found.body);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_registered_is_refused_with_every_fault() {
    let house = TestHouse::start().await;
    let check = async |body: Value, paths: &[&str]| {
        let answer = house.post("queue", &body).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.body);
        let mut found: Vec<&str> = answer.errors().iter().map(|e| e["path"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, paths, "{body}: {}", answer.body);
    };
    check(json!({}), &["name", "type"]).await;
    check(
        json!({"name": "a b", "type": "carrier-pigeon", "default-handler": "../x"}),
        &["default-handler", "name", "type"],
    )
    .await;
    check(json!({"name": "k", "type": "kafka", "url": "nowhere"}), &["url"]).await;
    check(json!({"type": "sqs", "name": "x", "colour": "red"}), &["colour"]).await;
    check(json!({"type": "sqs", "name": "x", "max-failures": 11}), &["max-failures"]).await;
    check(json!({"type": "sqs", "name": "x", "schema": {"type": "nonsense"}}), &["schema/type"]).await;
    check(json!({"type": "sqs", "name": "x", "url": "http://169.254.169.254/000000000000/x"}), &["url"])
        .await;
    check(json!({"type": "sqs", "name": "x", "username": "AKIA"}), &["password", "url"]).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_write_only() {
    let house = TestHouse::start().await;
    let canary = "canary-7f3a9c1e5b2d";
    let other = house.queue(json!({"name": "place", "worker": "none"})).await;
    let body = json!({"name": "foreign", "type": "sqs", "url": other.url, "username": format!("{canary}-user"), "password": format!("{canary}-pass"), "region": "us-east-1", "worker": "none"});
    let created = house.post("queue", &body).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(created.body["credentials"], json!({"set": true}));
    let sent = house.post("queue/a/foreign/publish", &json!({"n": 1})).await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    let mut seen = created.body.to_string();
    seen += &house.get("queue").await.body.to_string();
    seen += &house.get("queue/a/foreign").await.body.to_string();
    seen += &house.post("queue", &body).await.body.to_string();
    assert!(!seen.contains(canary), "{seen}");
    house.stop_and_search(canary).await;
}

use domain::{DeadReason, Letter, LetterOrigin, LetterState, QueueId, QueueName};

use crate::engine::Mood;
use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn health_is_open_and_says_nothing() {
    let house = House::start().await;
    assert_eq!(house.ask_as("", "GET /health", "").await.text, r#"{"status":"ok"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_paged_searched_and_limited_to_what_the_key_may_read() {
    let house = House::start().await;
    for name in ["orders", "Orders-eu", "mails", "sales"] {
        house.made(&format!(r#"{{"name":"{name}","type":"sqs","worker":"none"}}"#)).await;
    }
    let names = |listed: &serde_json::Value| -> Vec<String> {
        listed["queues"]
            .as_array()
            .unwrap()
            .iter()
            .map(|queue| queue["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _ in 0..4 {
        let listed = house.want(200, &format!("GET /queue?limit=1&cursor={cursor}"), "").await.json();
        all.extend(names(&listed));
        match listed["cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    all.sort();
    assert_eq!(all, ["Orders-eu", "mails", "orders", "sales"]);
    let mut found = names(&house.want(200, "GET /queue?search=ORD", "").await.json());
    found.sort();
    assert_eq!(found, ["Orders-eu", "orders"]);
    let some = house.store.key(&["queue:read:mails"]).await;
    assert_eq!(names(&house.ask_as(&some, "GET /queue", "").await.json()), ["mails"]);
    let none = house.store.key(&["queue:publish:*", "queue:write:*"]).await;
    assert_eq!(house.ask_as(&none, "GET /queue", "").await.problem(), 403);
    let wrong = house.want(422, "GET /queue?limit=0&cursor=x&sort=name", "").await;
    let wrong: Vec<_> = wrong.faults().into_iter().map(|(path, _)| path).collect();
    assert_eq!(wrong, ["limit", "cursor", "sort"]);
    // A cursor of another list, or one that no list gave out.
    for cursor in
        ["0AK01ARZ3NDEKTSV4RRFFQ69G5FAV", "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ", "0av01arz3ndektsv4rrffq69g5fav"]
    {
        let wrong = house.want(422, &format!("GET /queue?cursor={cursor}"), "").await;
        assert_eq!(wrong.faults(), [("cursor".to_owned(), "cursor".to_owned())]);
    }
    house.want(422, "GET /key?cursor=0AV01ARZ3NDEKTSV4RRFFQ69G5FAV", "").await;
    house.want(422, "GET /queue?limit=1&limit=2", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_out_of_reach_does_not_hide_the_others() {
    let house = House::start().await;
    house.made(r#"{"name":"orders","type":"sqs"}"#).await;
    house.made(r#"{"name":"gone","type":"sqs","worker":"none"}"#).await;
    house.engine.remove("ql-gone");
    let listed = house.want(200, "GET /queue", "").await.json();
    let health = |name: &str| {
        let queues = listed["queues"].as_array().unwrap();
        queues.iter().find(|queue| queue["name"] == name).unwrap()["health"].clone()
    };
    let good = health("orders");
    assert_eq!(
        (&good["visible"], &good["in-flight"], &good["dead-letters"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert_eq!(good["mapping"], "enabled");
    assert_eq!(good.get("error"), None);
    assert!(health("gone")["error"].is_string());
    house.engine.mood(Mood::Broken);
    house.want(200, "GET /queue", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_learns_only_of_what_it_could_reach() {
    let house = House::start().await;
    let id = house.made(r#"{"name":"orders","type":"sqs","worker":"none"}"#).await;
    let unknown = "0AV01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let check = async |scope: &str, line: &str, body: &str, status: u16| {
        let key = house.store.key(&[scope]).await;
        let answer = house.ask_as(&key, line, body).await;
        assert_eq!(answer.status, status, "{scope} {line}: {}", answer.text);
    };
    let (known, ghost) = (format!("/queue/{id}"), format!("/queue/{unknown}"));
    check("queue:read:orders", &format!("GET {known}"), "", 200).await;
    check("queue:read:other", &format!("GET {known}"), "", 403).await;
    check("queue:read:other", &format!("GET {ghost}"), "", 403).await;
    check("queue:read:*", &format!("GET {ghost}"), "", 404).await;
    check("queue:read:*", "GET /queue/a/ghost", "", 404).await;
    check("queue:read:ghost", "GET /queue/a/ghost", "", 404).await;
    check("queue:read:other", "GET /queue/a/orders", "", 403).await;
    check("queue:read:*", &format!("PUT {known}"), "{}", 403).await;
    check("queue:write:other", &format!("PUT {known}"), "{}", 403).await;
    check("queue:write:orders", &format!("PUT {known}"), r#"{"name":"other"}"#, 403).await;
    check("queue:write:other", &format!("DELETE {ghost}"), "", 403).await;
    check("queue:write:*", &format!("DELETE {ghost}"), "", 404).await;
    check("queue:write:other", "POST /queue", r#"{"name":"third","type":"sqs"}"#, 403).await;
    check("queue:publish:*", "POST /queue", "{}", 403).await;
    check("queue:write:other", "POST /queue", "{}", 422).await;
    check("queue:write:*", "GET /key", "", 403).await;
    check("key:read", "POST /key", "{}", 403).await;
    check("key:read", "GET /dead-letter/x", "", 403).await;
    check("dead-letter:read", "GET /dead-letter/x", "", 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_shows_all_its_rounds() {
    let house = House::start().await;
    for round in [0, 1] {
        let letter = Letter {
            message_id: "0BFsome".into(),
            round,
            queue_id: QueueId::new(house.store.clock.now(), &mut rand::rng()),
            queue_name: QueueName::parse("orders").unwrap(),
            origin: LetterOrigin::Worker,
            reason: DeadReason::new("failed", "it failed 3 times"),
            body: (round == 0).then(|| r#"{"n": 1.0}"#.to_owned().into()),
            ordering_key: None,
            attempts: 3,
            handler: None,
            log: "line\n".into(),
            died_at: house.store.clock.now(),
            state: LetterState::Open,
        };
        house.store.messages.keep_letter(&letter).await.unwrap();
    }
    let answer = house.want(200, "GET /dead-letter/0BFsome", "").await;
    assert!(answer.text.contains(r#""payload":{"n": 1.0}"#), "{}", answer.text);
    let rounds = answer.json()["rounds"].as_array().unwrap().clone();
    assert_eq!(rounds.len(), 2);
    assert_eq!(rounds[1]["reason"]["code"], "failed");
    assert_eq!(rounds[0]["log"], "line\n");
    house.want(404, "GET /dead-letter/0BFother", "").await;
    house.want(404, &format!("GET /dead-letter/{}", "x".repeat(3000)), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_queues_with_large_schemas_is_cut_to_what_one_answer_carries() {
    let house = House::start().await;
    let schema = "x".repeat(60_000);
    let mut made = Vec::new();
    for n in 0..90 {
        let body = format!(
            r#"{{"name":"q{n}","type":"sqs","worker":"none","schema":{{"description":"{schema}"}}}}"#
        );
        made.push(house.made(&body).await);
    }
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    for _ in 0..4 {
        let page = house.want(200, &format!("GET /queue?limit=100&cursor={cursor}"), "").await;
        assert!(page.text.len() < 5_000_000, "{} bytes", page.text.len());
        let page = page.json();
        let ids =
            page["queues"].as_array().unwrap().iter().map(|queue| queue["id"].as_str().unwrap().to_owned());
        listed.extend(ids);
        match page["cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(listed, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_of_queues_whose_engine_is_mute_is_still_answered() {
    let house = House::start().await;
    for n in 0..100 {
        house.made(&format!(r#"{{"name":"q{n}","type":"sqs","worker":"none"}}"#)).await;
    }
    house.engine.mood(Mood::Mute);
    let listing = house.want(200, "GET /queue?limit=100", "");
    // Each queue is given up after 3 s, 16 at a time: without a limit for all of them together that would be 21 s.
    let page = tokio::time::timeout(std::time::Duration::from_secs(18), listing).await.unwrap().json();
    let queues = page["queues"].as_array().unwrap();
    assert_eq!(queues.len(), 100);
    assert!(queues.iter().all(|queue| queue["health"]["error"].is_string()), "{page}");
}

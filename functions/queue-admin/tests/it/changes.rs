use crate::engine::Mood;
use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_keeps_what_it_does_not_name_and_null_clears() {
    let house = House::start().await;
    let id = house
        .made(r#"{"name":"orders","type":"sqs","default-handler":"a/b","schema":{"type":"object"}}"#)
        .await;
    let put = async |body: &str| house.want(200, &format!("PUT /queue/{id}"), body).await.json();
    let queue = put(r#"{"max-failures":5}"#).await;
    assert_eq!((&queue["max-failures"], &queue["default-handler"]), (&5.into(), &"a/b".into()));
    let queue = put(r#"{"default-handler":null,"schema":null,"name":"sales"}"#).await;
    assert!(queue["default-handler"].is_null() && queue["schema"].is_null());
    assert_eq!((&queue["name"], &queue["url"]), (&"sales".into(), &house.url("ql-orders").into()));
    house.want(404, "GET /queue/a/orders", "").await;
    house.want(200, "GET /queue/a/sales", "").await;
    put("{}").await;

    let check = async |body: &str, status: u16, expect: &[(&str, &str)]| {
        let answer = house.want(status, &format!("PUT /queue/{id}"), body).await;
        let found = answer.faults();
        let found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
        assert_eq!(found, expect, "{body}: {}", answer.text);
    };
    check("", 400, &[("", "not-json")]).await;
    check(
        r#"{"name":null,"max-failures":0,"schema":7,"worker":"x","type":"sqs","url":"x","fifo":true,"id":1}"#,
        422,
        &[
            ("name", "required"),
            ("schema", "schema"),
            ("worker", "value"),
            ("max-failures", "range"),
            ("type", "fixed"),
            ("url", "fixed"),
            ("fifo", "fixed"),
            ("id", "unknown-field"),
        ],
    )
    .await;
    check(
        r#"{"username":"a"}"#,
        422,
        &[("password", "required"), ("worker", "publish-only"), ("username", "owned")],
    )
    .await;
    house.made(r#"{"name":"other","type":"sqs","worker":"none"}"#).await;
    check(r#"{"name":"other"}"#, 409, &[("name", "taken")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_is_attached_detached_paused_and_resumed() {
    let house = House::start().await;
    let id = house.made(r#"{"name":"orders","type":"sqs"}"#).await;
    let enabled = || house.engine.mappings().iter().map(|(_, enabled)| *enabled).collect::<Vec<_>>();
    let paused = house.want(202, &format!("POST /queue/{id}/pause"), "").await.json();
    assert_eq!(paused["wanted"], "disabled");
    assert_eq!(enabled(), [false]);
    let health = house.want(200, &format!("GET /queue/{id}"), "").await.json()["health"].clone();
    assert_eq!(health["mapping"], "disabled");
    house.want(202, &format!("POST /queue/{id}/resume"), "").await;
    assert_eq!(enabled(), [true]);
    assert_eq!(
        house.want(200, &format!("PUT /queue/{id}"), r#"{"worker":"none"}"#).await.json()["worker"],
        "none"
    );
    assert!(enabled().is_empty());
    house.want(409, &format!("POST /queue/{id}/pause"), "").await;
    house.engine.mood(Mood::Broken);
    house.want(503, &format!("PUT /queue/{id}"), r#"{"worker":"attached"}"#).await;
    house.engine.mood(Mood::Fine);
    house.want(200, &format!("PUT /queue/{id}"), r#"{"worker":"attached"}"#).await;
    assert_eq!(enabled(), [true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_set_kept_and_cleared_and_never_shown() {
    let house = House::start().await;
    house.engine.make("ql-there", &[]);
    let there = house.url("ql-there");
    let id = house.made(&format!(r#"{{"name":"there","type":"sqs","url":"{there}"}}"#)).await;
    let put = async |body: &str| {
        let answer = house.want(200, &format!("PUT /queue/{id}"), body).await;
        assert!(!answer.text.contains("hush"), "{}", answer.text);
        answer.json()["credentials"]["set"].as_bool().unwrap()
    };
    assert!(put(r#"{"username":"AKIAX","password":"hush-hush"}"#).await);
    assert!(put(r#"{"max-failures":4}"#).await);
    assert!(!put(r#"{"username":null,"password":null}"#).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attaching_that_broke_off_is_gone_on_with_or_undone() {
    let house = House::start().await;
    house.engine.make("ql-there", &[]);
    let there = house.url("ql-there");
    let id = house.made(&format!(r#"{{"name":"there","type":"sqs","url":"{there}"}}"#)).await;
    let (put, attached, none) =
        (format!("PUT /queue/{id}"), r#"{"worker":"attached"}"#, r#"{"worker":"none"}"#);
    house.engine.mood(Mood::Unmapped);
    house.want(503, &put, attached).await;
    house.engine.mood(Mood::Fine);
    house.want(200, &put, attached).await;
    assert_eq!(house.engine.mappings().len(), 1);
    house.want(200, &put, none).await;
    assert!(house.engine.mappings().is_empty());
    // The mapping was made, the answer got lost.
    house.engine.mood(Mood::Unmapped);
    house.want(503, &put, attached).await;
    house.engine.mood(Mood::Fine);
    house.engine.map("arn:aws:sqs:eu-west-1:000000000000:ql-there");
    house.want(200, &put, none).await;
    assert!(house.engine.mappings().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_in_the_midst_of_an_attaching_leaves_no_mapping_behind() {
    let house = House::start().await;
    house.engine.make("ql-there", &[]);
    let there = house.url("ql-there");
    let id = house.made(&format!(r#"{{"name":"there","type":"sqs","url":"{there}"}}"#)).await;
    let gate = house.engine.hold_next("POST /");
    let deletion = async {
        house.engine.held().await;
        house.want(204, &format!("DELETE /queue/{id}"), "").await;
        gate.notify_one();
    };
    let change = format!("PUT /queue/{id}");
    let (change, ()) = tokio::join!(house.ask(&change, r#"{"worker":"attached"}"#), deletion);
    assert_eq!(change.problem(), 404);
    assert!(house.engine.mappings().is_empty());
    assert_eq!(house.engine.queues(), ["ql-there"]);
}

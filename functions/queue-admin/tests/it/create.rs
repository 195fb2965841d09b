use crate::engine::Mood;
use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_made_with_its_dead_letter_queue_and_attached() {
    let house = House::start().await;
    let answer = house.want(201, "POST /queue", r#"{"name":"orders","type":"sqs"}"#).await;
    let queue = answer.json();
    assert!(queue["id"].as_str().unwrap().starts_with("0AV"));
    assert_eq!(
        answer.headers["location"],
        format!("/api/v1/zstorage/queue/{}", queue["id"].as_str().unwrap())
    );
    for (member, expect) in [
        ("name", "orders"),
        ("type", "sqs"),
        ("region", "eu-west-1"),
        ("worker", "attached"),
        ("state", "ready"),
    ] {
        assert_eq!(queue[member], expect, "{queue}");
    }
    assert_eq!(queue["url"], house.url("ql-orders"));
    assert_eq!(queue["credentials"], serde_json::json!({"set": false}));
    assert!(queue["created-at"].is_string() && queue["updated-at"].is_string());
    assert_eq!(house.engine.queues(), ["ql-orders", "ql-orders-dead"]);
    assert_eq!(house.engine.mappings(), [("arn:aws:sqs:eu-west-1:000000000000:ql-orders".to_owned(), true)]);
    house.want(201, "POST /queue", r#"{"name":"line","type":"sqs","fifo":true,"worker":"none"}"#).await;
    assert!(house.engine.queues().contains(&"ql-line-dead.fifo".to_owned()));
    assert_eq!(house.engine.mappings().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_simultaneous_creates_exactly_one_wins() {
    let house = House::start().await;
    let body = r#"{"name":"orders","type":"sqs"}"#;
    let (one, two, three) = tokio::join!(
        house.ask("POST /queue", body),
        house.ask("POST /queue", body),
        house.ask("POST /queue", body)
    );
    let mut statuses = [one.status, two.status, three.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    house.want(409, "POST /queue", body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_broke_off_is_gone_on_with_by_the_same_request() {
    let house = House::start().await;
    let body = r#"{"name":"orders","type":"sqs","max-failures":2}"#;
    house.engine.mood(Mood::Broken);
    house.want(503, "POST /queue", body).await;
    let listed = house.want(200, "GET /queue", "").await.json();
    assert_eq!(listed["queues"][0]["state"], "creating");
    house.engine.mood(Mood::Fine);
    house.want(409, "POST /queue", r#"{"name":"orders","type":"sqs","max-failures":3}"#).await;
    let queue = house.want(201, "POST /queue", body).await.json();
    assert_eq!(queue["id"], listed["queues"][0]["id"]);
    assert_eq!((&queue["state"], &queue["max-failures"]), (&"ready".into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_queue_is_registered_by_its_url() {
    let house = House::start().await;
    house.engine.make(
        "ql-there",
        &[(
            "RedrivePolicy",
            r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:ql-dead","maxReceiveCount":5}"#,
        )],
    );
    house.engine.make("ql-hasty", &[("VisibilityTimeout", "5")]);
    let post = async |name: &str, url: &str, more: &str, status: u16| {
        let body = format!(r#"{{"name":"{name}","type":"sqs","url":"{url}"{more}}}"#);
        house.want(status, "POST /queue", &body).await
    };
    let there = house.url("ql-there");
    let queue = post("a", &there, "", 201).await.json();
    assert_eq!((&queue["worker"], &queue["owned"]), (&"none".into(), &false.into()));
    assert_eq!(queue["dead-letter-queue"], house.url("ql-dead"));
    // A second name for it would be a way around the scopes and the schema of the first.
    for more in ["", r#","worker":"attached""#] {
        let taken = post("b", &there, more, 409).await;
        assert_eq!(taken.faults(), [("url".to_owned(), "taken".to_owned())]);
    }
    house.engine.make("ql-work", &[]);
    post("c", &house.url("ql-work"), r#","worker":"attached""#, 201).await;
    assert_eq!(post("d", &house.url("ql-gone"), "", 422).await.faults()[0].1, "unknown");
    assert_eq!(
        post("e", &house.url("ql-hasty"), r#","worker":"attached""#, 422).await.faults()[0].1,
        "visibility"
    );
    post("f", &house.url("foreign"), "", 422).await;
    let secret = r#","username":"AKIAX","password":"hush-hush""#;
    let queue = post("g", &house.url("foreign"), secret, 201).await;
    assert_eq!(queue.json()["credentials"]["set"], true);
    assert!(!queue.text.contains("hush") && !queue.text.contains("AKIAX"), "{}", queue.text);
    assert_eq!(house.engine.mappings().len(), 1);
    // What is there already is not taken for ours.
    house.engine.make("ql-old", &[]);
    house.want(409, "POST /queue", r#"{"name":"old","type":"sqs"}"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_takes_what_we_made_and_nothing_else() {
    let house = House::start().await;
    house.engine.make("ql-there", &[]);
    let own = house.made(r#"{"name":"orders","type":"sqs"}"#).await;
    let there = house.url("ql-there");
    let others =
        house.made(&format!(r#"{{"name":"there","type":"sqs","url":"{there}","worker":"attached"}}"#)).await;
    house.engine.mood(Mood::Broken);
    house.want(503, &format!("DELETE /queue/{own}"), "").await;
    house.engine.mood(Mood::Fine);
    assert_eq!(house.want(200, &format!("GET /queue/{own}"), "").await.json()["state"], "deleting");
    house.want(409, &format!("PUT /queue/{own}"), r#"{"max-failures":1}"#).await;
    house.want(204, &format!("DELETE /queue/{own}"), "").await;
    house.want(204, &format!("DELETE /queue/{others}"), "").await;
    house.want(404, &format!("DELETE /queue/{own}"), "").await;
    assert_eq!(house.engine.queues(), ["ql-there"]);
    assert!(house.engine.mappings().is_empty());
    house.want(201, "POST /queue", r#"{"name":"orders","type":"sqs"}"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_broke_off_can_be_deleted() {
    let house = House::start().await;
    house.engine.mood(Mood::Broken);
    house.want(503, "POST /queue", r#"{"name":"orders","type":"sqs"}"#).await;
    house.engine.mood(Mood::Fine);
    let id = house.want(200, "GET /queue/a/orders", "").await.json()["id"].as_str().unwrap().to_owned();
    house.want(204, &format!("DELETE /queue/{id}"), "").await;
    house.want(404, "GET /queue/a/orders", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_in_the_midst_of_a_creation_leaves_nothing_behind() {
    let house = House::start().await;
    for operation in ["CreateQueue", "POST /"] {
        let gate = house.engine.hold_next(operation);
        let deletion = async {
            house.engine.held().await;
            let id = house.want(200, "GET /queue/a/orders", "").await.json()["id"].clone();
            house.want(204, &format!("DELETE /queue/{}", id.as_str().unwrap()), "").await;
            gate.notify_one();
        };
        let (creation, ()) =
            tokio::join!(house.ask("POST /queue", r#"{"name":"orders","type":"sqs"}"#), deletion);
        assert!(creation.status >= 400, "{}", creation.text);
        assert_eq!(house.engine.queues(), [] as [&str; 0], "{operation}");
        assert!(house.engine.mappings().is_empty(), "{operation}");
    }
    house.made(r#"{"name":"orders","type":"sqs"}"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_queue_becomes_the_dead_letter_queue_of_another_by_its_name() {
    let house = House::start().await;
    house.made(r#"{"name":"orders-dead","type":"sqs"}"#).await;
    house.want(409, "POST /queue", r#"{"name":"orders","type":"sqs"}"#).await;
    house.made(r#"{"name":"sales","type":"sqs"}"#).await;
    house.want(409, "POST /queue", r#"{"name":"sales-dead","type":"sqs"}"#).await;
    let there = ["ql-orders-dead", "ql-orders-dead-dead", "ql-sales", "ql-sales-dead"];
    assert_eq!(house.engine.queues(), there);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_the_system_itself_is_refused_as_what_it_is() {
    let house = House::start().await;
    for name in ["jobs", "jobs-dead", "outbox-failed", "retry", "retry-dead"] {
        house.engine.make(&format!("ql-{name}"), &[]);
        let by_name = format!(r#"{{"name":"{name}","type":"sqs"}}"#);
        let answer = house.want(422, "POST /queue", &by_name).await;
        assert_eq!(answer.faults(), [("name".to_owned(), "reserved".to_owned())], "{}", answer.text);
        let url = house.url(&format!("ql-{name}"));
        for secret in ["", r#","username":"AKIAX","password":"hush-hush""#] {
            let by_url = format!(r#"{{"name":"mine","type":"sqs","url":"{url}"{secret}}}"#);
            let answer = house.want(422, "POST /queue", &by_url).await;
            assert_eq!(answer.faults(), [("url".to_owned(), "reserved".to_owned())], "{}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_secret_is_said_without_quoting_it() {
    let house = House::start().await;
    let url = house.url("foreign");
    for secret in [
        "12345678901234567890123",
        "1.2345678901234567890123",
        "\"12345678901234567890123 \"",
        "[12345678901234567890123]",
    ] {
        let body =
            format!(r#"{{"name":"a","type":"sqs","url":"{url}","username":{secret},"password":{secret}}}"#);
        let answer = house.want(422, "POST /queue", &body).await;
        assert!(!answer.text.contains("5678901"), "{}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_creation_is_refused_a_url_is_asked_for() {
    let house = House::with(|settings| settings.creation_allowed = false).await;
    let answer = house.want(422, "POST /queue", r#"{"name":"orders","type":"redis","worker":7}"#).await;
    assert_eq!(answer.faults().len(), 2, "{}", answer.text);
    let answer = house.want(422, "POST /queue", r#"{"name":"orders","type":"sqs"}"#).await;
    assert_eq!(answer.faults(), [("url".to_owned(), "required".to_owned())]);
}

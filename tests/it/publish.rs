//! The front door, as a client sees it: a message is on its queue byte for byte, or the caller is told why not.

use serde_json::{Value, json};

use crate::support::house::TestHouse;

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_arrives_byte_for_byte_and_the_answer_has_the_three_keys() {
    let house = TestHouse::start().await;
    let queue = house.queue(json!({"name": "bytes", "worker": "none"})).await;
    let body = "{\"to\" : \"a@example.com\",\n  \"subject\":\"First Message\", \"n\": 12345678901234567890.10, \"é\":\"\\u00e9\"}";
    for path in [format!("queue/{}/publish", queue.id), "queue/a/bytes/publish".to_owned()] {
        let answer = house.post_text(&path, body, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let keys: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["message-id", "queue-id", "sqs-id"]);
        assert!(answer.text("message-id").starts_with("0BF"));
        assert_eq!(answer.text("queue-id"), queue.id);
        let message = house.receive_one(&queue).await;
        assert_eq!(message.body.as_deref(), Some(body));
        assert_eq!(message.message_id.as_deref(), Some(answer.text("sqs-id")));
        let attributes = message.message_attributes.unwrap();
        assert_eq!(attributes["message-id"].string_value.as_deref(), Some(answer.text("message-id")));
        assert_eq!(attributes["round"].string_value.as_deref(), Some("0"));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_own_status_and_names_what_is_wrong() {
    let house = TestHouse::start().await;
    house.queue(json!({"name": "plain", "worker": "none"})).await;
    let schema = json!({"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}, "n": {"type": "integer"}}});
    house.queue(json!({"name": "strict", "worker": "none", "schema": schema})).await;
    house.queue(json!({"name": "ordered", "worker": "none", "fifo": true})).await;
    let narrow = house.key(&["queue:publish:plain"]).await;

    let check = async |path: &str, body: &str, headers: &[(&str, &str)], status: u16, codes: &[&str]| {
        let answer = house.post_text(path, body, headers).await;
        assert_eq!(answer.status, status, "{path} {}: {}", &body[..body.len().min(60)], answer.body);
        let found: Vec<&str> = answer.errors().iter().map(|e| e["code"].as_str().unwrap()).collect();
        assert_eq!(found, codes, "{path}: {}", answer.body);
        assert_eq!(answer.content_type, "application/problem+json");
    };
    check("queue/a/plain/publish", "{", &[], 400, &["not-json"]).await;
    check("queue/a/plain/publish", "", &[], 400, &["not-json"]).await;
    check(
        "queue/a/plain/publish",
        r#"{"a":1,"a":2,"b":1e999}"#,
        &[],
        422,
        &["duplicate-key", "number-not-kept"],
    )
    .await;
    check("queue/a/plain/publish", r#"{"handler":7}"#, &[], 422, &["type"]).await;
    check("queue/a/strict/publish", r#"{"n":"x"}"#, &[], 422, &["schema", "schema"]).await;
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    check("queue/a/plain/publish", &large, &[], 413, &["too-large"]).await;
    check("queue/a/nowhere/publish", "{}", &[], 404, &[]).await;
    check("queue/0AV01ARZ3NDEKTSV4RRFFQ69G5FAV/publish", "{}", &[], 404, &[]).await;
    check("queue/not-an-id/publish", "{}", &[], 404, &[]).await;
    let other = [("authorization", narrow.as_str())];
    check("queue/a/ordered/publish", "{}", &other, 403, &[]).await;
    check("queue/a/nowhere/publish", "{}", &other, 403, &[]).await;
    for wrong in ["Bearer nonsense", "Bearer ql_0AK01ARZ3NDEKTSV4RRFFQ69G5FAV_00_00", ""] {
        check("queue/a/plain/publish", "{}", &[("authorization", wrong)], 401, &[]).await;
    }
    check("queue/a/plain/publish", "{}", &[("ordering-key", "a")], 422, &["not-on-standard"]).await;
    check("queue/a/ordered/publish", "{}", &[("deliver-after", "5")], 422, &["not-on-fifo"]).await;
    check("queue/a/plain/publish", "{}", &[("deliver-after", "901")], 422, &["range"]).await;
    check("queue/a/plain/publish", "{}", &[("deliver-after", "soon")], 422, &["type"]).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_gives_the_same_answer_and_one_message() {
    let house = TestHouse::start().await;
    let queue = house.queue(json!({"name": "once", "worker": "none"})).await;
    let send = async |body: &'static str| {
        house.post_text("queue/a/once/publish", body, &[("idempotency-key", "order-1")]).await
    };
    let (first, second, third) = (send("{\"n\":1}").await, send("{\"n\":1}").await, send("{\"n\":1}").await);
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!((&first.body, &first.body), (&second.body, &third.body));
    let other = send("{\"n\":2}").await;
    assert_eq!(other.status, 422, "{}", other.body);
    assert_eq!(house.depth(&queue).await, 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_one_result_per_entry_in_order() {
    let house = TestHouse::start().await;
    let queue = house.queue(json!({"name": "batch", "worker": "none"})).await;
    let mut messages: Vec<Value> = (0..100).map(|n| json!({"payload": {"n": n}})).collect();
    let answer = house.post("queue/a/batch/publish/batch", &json!({"messages": messages})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["results"].as_array().unwrap().len(), 100);
    assert_eq!(house.depth(&queue).await, 100);

    messages.truncate(3);
    messages[1] = json!({"payload": {"n": 1}, "ordering-key": "not for a standard queue"});
    let answer = house.post("queue/a/batch/publish/batch", &json!({"messages": messages})).await;
    assert_eq!(answer.status, 207, "{}", answer.body);
    let statuses: Vec<u64> =
        answer.body["results"].as_array().unwrap().iter().map(|r| r["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 422, 200]);
    assert_eq!(house.depth(&queue).await, 102);

    let too_many: Vec<Value> = (0..101).map(|n| json!({"payload": n})).collect();
    let answer = house.post("queue/a/batch/publish/batch", &json!({"messages": too_many})).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_engine_refuses_is_kept_as_a_letter() {
    let house = TestHouse::start().await;
    let queue = house.queue(json!({"name": "vanishing", "worker": "none"})).await;
    house.sqs.delete_queue().queue_url(&queue.url).send().await.unwrap();
    let answer = house.post("queue/a/vanishing/publish", &json!({"order": 7})).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    let letter = house.get(&format!("dead-letter/{}", answer.text("letter"))).await;
    assert_eq!(letter.status, 200, "{}", letter.body);
    let text = letter.body.to_string();
    assert!(text.contains("may-have-been-retried") || text.contains("may have been retried"), "{text}");
    assert!(text.contains("order"), "the payload is kept: {text}");
    house.stop().await;
}

use futures::future::join_all;
use serde_json::{Value, json};

use crate::house::House;
use crate::tables::Design;

const KEY: [(&str, &str); 1] = [("idempotency-key", "k")];

async fn house() -> House {
    let house = House::start().await;
    house.tables.table("Thing", Design::new().text("code").unique().integer("age")).await;
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_and_request_is_one_write_and_one_answer() {
    let house = house().await;
    let body = r#"{"apiName":"Thing","fields":{"code":"a"}}"#;
    let first = house.ask("POST /record/new", &KEY, body).await;
    let again = house.ask("POST /record/new", &KEY, body).await;
    assert_eq!((first.status, again.status), (201, 201), "{}", again.text);
    assert_eq!((&first.text, &first.headers["etag"]), (&again.text, &again.headers["etag"]));
    assert!(!first.headers.contains_key("idempotent-replayed"));
    assert_eq!(again.headers["idempotent-replayed"], "true");

    let id = first.json()["id"].as_str().unwrap().to_owned();
    let line = format!("PUT /record/{id}");
    let change = r#"{"fields":{"age":1}}"#;
    assert_eq!(house.ask(&line, &KEY, change).await.problem(), 422, "another request under the same key");
    let key = [("idempotency-key", "change"), ("if-match", "1")];
    let first = house.ask(&line, &key, change).await;
    let again = house.ask(&line, &key, change).await;
    assert_eq!((first.status, &first.text), (200, &again.text), "not stale: it is the same change");
    let other_version = [("idempotency-key", "change"), ("if-match", "2")];
    assert_eq!(house.ask(&line, &other_version, change).await.problem(), 422);

    let other = house.ask("POST /record/new", &[], r#"{"apiName":"Thing","fields":{"code":"b"}}"#).await;
    let other = format!("PUT /record/{}", other.json()["id"].as_str().unwrap());
    assert_eq!(house.ask(&other, &key, change).await.problem(), 422, "the same change of another record");

    let (line, key) = (format!("DELETE /record/{id}"), [("idempotency-key", "end")]);
    let (first, again) = (house.ask(&line, &key, "").await, house.ask(&line, &key, "").await);
    assert_eq!((first.status, again.status), (204, 204), "not missing: it is the same end");
    assert_eq!(house.ask(&line, &[], "").await.problem(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_simultaneous_requests_with_one_key_one_writes() {
    let house = house().await;
    let body = r#"{"apiName":"Thing","fields":{"age":7}}"#;
    let answers = join_all((0..8).map(|_| house.ask("POST /record/new", &KEY, body))).await;
    let ids: Vec<Value> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 201, "{}", answer.text);
            answer.json()["id"].clone()
        })
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_repeated_is_answered_as_before() {
    let house = house().await;
    for atomic in [true, false] {
        let create = |code: &str| json!({"create": {"apiName": "Thing", "fields": {"code": format!("{code} {atomic}")}}});
        let body = json!({"atomic": atomic, "operations": [create("a"), create("b")]}).to_string();
        let key = [("idempotency-key", if atomic { "whole" } else { "parts" })];
        let first = house.ask("POST /record/batch", &key, &body).await;
        let again = house.ask("POST /record/batch", &key, &body).await;
        assert_eq!((first.status, &first.text), (200, &again.text));
        let other = json!({"atomic": atomic, "operations": [create("c"), create("d")]}).to_string();
        let other = house.ask("POST /record/batch", &key, &other).await;
        assert_eq!(other.problem(), 422, "{}", other.text);
        assert_eq!(other.json()["type"], "urn:queuelink:problem:idempotency-key-reused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_sent_again_is_the_same_one_though_more_of_it_can_be_tried_by_then() {
    let house = house().await;
    let create = |table: &str| json!({"create": {"apiName": table, "fields": {"age": 1}}});
    let body = json!({"atomic": false, "operations": [create("Late"), create("Thing")]}).to_string();
    let first = house.ask("POST /record/batch", &KEY, &body).await;
    let statuses = |answer: &Value| -> Vec<Value> {
        answer["results"].as_array().unwrap().iter().map(|result| result["status"].clone()).collect()
    };
    assert_eq!(
        (first.status, statuses(&first.json())),
        (207, vec![json!(404), json!(201)]),
        "{}",
        first.text
    );
    house.tables.table("Late", Design::new().integer("age")).await;
    let again = house.ask("POST /record/batch", &KEY, &body).await;
    assert_eq!((again.status, statuses(&again.json())), (200, vec![json!(201); 2]), "{}", again.text);
    assert_eq!(first.json()["results"][1]["id"], again.json()["results"][1]["id"], "it was made once");
}

//! What a table's design promises holds at every write.

use serde_json::{Value, json};

use super::{faults, made, school, student};
use crate::support::house::{Answer, TestHouse};

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_value_is_free_again_once_it_is_given_up() {
    let house = school().await;
    let table = json!({
        "apiName": "Seat",
        "fields": [{"apiName": "room", "type": "text"}, {"apiName": "number", "type": "integer"}, {"apiName": "note", "type": "text"}],
        "indexes": [{"fields": ["room", "number"], "unique": true}],
    });
    made(&house, "table", &table).await;
    let seat = async |room: Value, number: Value| {
        house
            .post("record/new", &json!({"apiName": "Seat", "fields": {"room": room, "number": number}}))
            .await
    };
    let first = seat(json!("a"), json!(1)).await;
    let second = seat(json!("a"), json!(2)).await;
    assert_eq!((first.status, second.status), (201, 201), "{}", second.body);
    let taken = seat(json!("a"), json!(1)).await;
    let expect = ["fields/number", "fields/room"].map(|path| (path.to_owned(), "taken".to_owned()));
    assert_eq!((taken.status, faults(&taken)), (409, expect.into()), "{}", taken.body);
    for _ in 0..2 {
        let open = seat(json!("a"), Value::Null).await;
        assert_eq!(open.status, 201, "who lacks one of the values is free: {}", open.body);
    }
    let (first, second) = (format!("record/{}", first.text("id")), format!("record/{}", second.text("id")));
    assert_eq!(house.put(&first, &json!({"fields": {"number": 2}})).await.status, 409);
    assert_eq!(
        house.put(&first, &json!({"fields": {"note": "by the window"}})).await.status,
        200,
        "it keeps its own"
    );
    let swap = |a: &str, b: &str| {
        let change = |path: &str, number: u32| json!({"update": {"id": path.trim_start_matches("record/"), "fields": {"number": number}}});
        json!({"atomic": true, "operations": [change(a, 2), change(b, 1)]})
    };
    let swapped = house.post("record/batch", &swap(&first, &second)).await;
    assert_eq!(swapped.status, 200, "two may change places in one transaction: {}", swapped.body);
    assert_eq!(house.delete(&first).await.status, 204);
    assert_eq!(seat(json!("a"), json!(2)).await.status, 201);
    assert_eq!(seat(json!("a"), json!(1)).await.status, 409, "the other one has it");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_formulas_and_rules_hold_at_every_write() {
    let house = school().await;
    let table = json!({
        "apiName": "Order",
        "fields": [
            {"apiName": "student", "type": "lookup", "table": "Student", "required": true},
            {"apiName": "price", "type": "decimal"}, {"apiName": "count", "type": "integer"},
            {"apiName": "total", "type": "formula", "expression": "price * count", "result": "decimal"},
            {"apiName": "paid", "type": "boolean", "default": false},
        ],
        "rules": [
            {"name": "kept", "on": ["delete"], "expression": "old.paid != true", "message": "what is paid is kept"},
            {"name": "fixed", "on": ["update"], "expression": "old.paid != true || new.price == old.price", "message": "too late"},
        ],
    });
    made(&house, "table", &table).await;
    let who = student(&house, json!({"email": "a@example.com"})).await;
    let order =
        async |fields: Value| house.post("record/new", &json!({"apiName": "Order", "fields": fields})).await;
    let new = order(json!({"student": who, "price": "0.1", "count": 3})).await;
    assert_eq!((new.status, &new.body["fields"]["total"]), (201, &json!("0.3")), "{}", new.body);
    let path = format!("record/{}", new.text("id"));
    let changed = house.put(&path, &json!({"fields": {"count": 7, "paid": true}})).await;
    assert_eq!(&changed.body["fields"]["total"], &json!("0.7"), "{}", changed.body);

    let check = async |answer: Answer, path: &str| {
        assert_eq!(answer.status, 422, "{}", answer.body);
        let paths: Vec<String> = faults(&answer).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, [path], "{}", answer.body);
    };
    check(order(json!({"student": who, "total": "5"})).await, "fields/total").await;
    check(order(json!({})).await, "fields/student").await;
    check(order(json!({"student": "nonsense"})).await, "fields/student").await;
    check(order(json!({"student": new.text("id")})).await, "fields/student").await;
    let gone = student(&house, json!({"email": "gone@example.com"})).await;
    house.delete(&format!("record/{gone}")).await;
    check(order(json!({"student": gone})).await, "fields/student").await;
    check(house.put(&path, &json!({"fields": {"price": "5"}})).await, "rules/fixed").await;
    check(house.delete(&path).await, "rules/kept").await;
    let quotient = json!({"apiName": "Third", "fields": [
        {"apiName": "n", "type": "decimal"}, {"apiName": "third", "type": "formula", "expression": "n / 3", "result": "decimal"},
    ]});
    made(&house, "table", &quotient).await;
    let third =
        async |n: &str| house.post("record/new", &json!({"apiName": "Third", "fields": {"n": n}})).await;
    assert_eq!(third("9").await.body["fields"]["third"], "3");
    check(third("1").await, "fields/third").await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_keeps_what_it_was_given_or_refuses_it() {
    let house = TestHouse::start().await;
    made(&house, "table", &json!({"apiName": "Thing", "fields": [{"apiName": "j", "type": "json"}]})).await;
    for text in [
        r#"{"b":1,"a":[null,true,"\u00e9\ud83d\ude00"],"n":-0.5}"#,
        "9223372036854775807",
        "18446744073709551615",
        "0.1",
        "\"\"",
        "[]",
        "12345678901234567890123",
        "0.1234567890123456789",
        "1e300",
    ] {
        let body = format!(r#"{{"apiName":"Thing","fields":{{"j":{text}}}}}"#);
        let answer = house.post_text("record/new", &body, &[]).await;
        match answer.status {
            201 => {
                assert_eq!(answer.body["fields"]["j"], serde_json::from_str::<Value>(text).unwrap(), "{text}")
            }
            _ => {
                assert_eq!(answer.status, 422, "{text}: {}", answer.body);
                assert!(
                    faults(&answer).iter().all(|(path, _)| path.starts_with("fields/j")),
                    "{text}: {}",
                    answer.body
                );
                let digits = text.bytes().filter(u8::is_ascii_digit).count();
                assert!(digits > 15 || text.contains('e'), "{text} could be kept: {}", answer.body);
            }
        }
    }
    for text in ["12345678901234567890123", "0.1234567890123456789"] {
        let body = format!(r#"{{"apiName":"Thing","fields":{{"j":{text}}}}}"#);
        let answer = house.post_text("record/new", &body, &[]).await;
        let kept = answer.status == 201 && answer.body.to_string().contains(text);
        assert!(kept || answer.status == 422, "{text} was bent: {}", answer.body);
    }
    house.stop().await;
}

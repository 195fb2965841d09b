//! Tables and records, as a client sees them: what is refused changes nothing, and what was answered is there.

mod designs;
mod together;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::house::{Answer, TestHouse};

/// A house with a table of students.
async fn school() -> TestHouse {
    let house = TestHouse::start().await;
    let table = json!({
        "apiName": "Student",
        "label": "Students",
        "fields": [
            {"apiName": "email", "type": "email", "required": true, "unique": true},
            {"apiName": "name", "type": "text"},
            {"apiName": "age", "type": "integer", "min": 0},
            {"apiName": "status", "type": "picklist", "values": ["new", "paid"], "default": "new"},
            {"apiName": "balance", "type": "decimal"},
            {"apiName": "fee", "type": "currency", "scale": 2},
            {"apiName": "note", "type": "encrypted-text"},
        ],
        "rules": [{
            "name": "adult", "on": ["create", "update"], "expression": "new.age == null || new.age >= 18",
            "message": "must be 18",
        }],
        "indexes": [{"fields": ["age"]}],
    });
    made(&house, "table", &table).await;
    house
}

/// Posts, and wants a 201.
async fn made(house: &TestHouse, path: &str, body: &Value) -> Answer {
    let answer = house.post(path, body).await;
    assert_eq!(answer.status, 201, "{path} {body}: {}", answer.body);
    answer
}

/// A new student; tells its id.
async fn student(house: &TestHouse, fields: Value) -> String {
    let answer = made(house, "record/new", &json!({"apiName": "Student", "fields": fields})).await;
    answer.text("id").to_owned()
}

fn faults(answer: &Answer) -> BTreeSet<(String, String)> {
    let text = |fault: &Value, key: &str| fault[key].as_str().unwrap().to_owned();
    answer.errors().iter().map(|fault| (text(fault, "path"), text(fault, "code"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_lives_from_its_creation_to_its_end() {
    let house = school().await;
    let fields = json!({"email": "ada@example.com", "name": "Ada", "age": 36});
    let new = made(&house, "record/new", &json!({"apiName": "Student", "fields": fields})).await;
    let id = new.text("id");
    assert_eq!((new.header("etag"), &new.body["version"]), ("\"1\"", &json!(1)));
    assert_eq!(new.header("location"), format!("/api/v1/zstorage/record/{id}"));
    assert_eq!(new.body["apiName"], "Student");
    assert_eq!(new.body["fields"]["status"], "new", "the default");
    let path = format!("record/{id}");
    let read = house.get(&path).await;
    assert_eq!((read.status, read.header("etag"), &read.body), (200, "\"1\"", &new.body));

    let same = house.send("GET", &path, "", &[("if-none-match", "\"1\"")]).await;
    assert_eq!((same.status, same.header("etag")), (304, "\"1\""));
    let changed = house.put(&path, &json!({"fields": {"age": 37, "name": null}})).await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""), "{}", changed.body);
    let expect = (&json!("ada@example.com"), &json!(37), &Value::Null);
    let fields = &changed.body["fields"];
    assert_eq!((&fields["email"], &fields["age"], &fields["name"]), expect);
    assert_eq!(changed.body["created-at"], new.body["created-at"]);

    let stale = house.send("PUT", &path, r#"{"fields":{"age":40}}"#, &[("if-match", "\"1\"")]).await;
    assert_eq!((stale.status, &stale.body["version"]), (412, &json!(2)), "{}", stale.body);
    let stale = house.send("DELETE", &path, "", &[("if-match", "1")]).await;
    assert_eq!(stale.status, 412, "{}", stale.body);
    let gone = house.send("DELETE", &path, "", &[("if-match", "\"2\"")]).await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    for (method, body) in [("GET", ""), ("DELETE", ""), ("PUT", r#"{"fields":{"age":50}}"#)] {
        assert_eq!(house.send(method, &path, body, &[]).await.status, 404, "{method}");
    }
    student(&house, json!({"email": "ada@example.com"})).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_record_is_named_at_once() {
    let house = school().await;
    let check = async |fields: Value, status: u16, expect: &[(&str, &str)]| {
        let answer = house.post("record/new", &json!({"apiName": "Student", "fields": fields})).await;
        assert_eq!(answer.status, status, "{fields}: {}", answer.body);
        let expect: BTreeSet<_> = expect.iter().map(|(p, c)| ((*p).to_owned(), (*c).to_owned())).collect();
        assert_eq!(faults(&answer), expect, "{fields}");
    };
    let answer = house
        .post(
            "record/new",
            &json!({"apiName": "Student", "fields": {"age": -1, "status": "old", "shoe": 43}}),
        )
        .await;
    let paths: BTreeSet<String> = faults(&answer).into_iter().map(|(path, _)| path).collect();
    assert_eq!(answer.status, 422, "{}", answer.body);
    let expect = ["fields/age", "fields/email", "fields/shoe", "fields/status"];
    assert_eq!(paths, expect.map(str::to_owned).into(), "{}", answer.body);
    check(json!({"email": "a@example.com", "age": 17}), 422, &[("rules/adult", "rule")]).await;
    student(&house, json!({"email": "a@example.com"})).await;
    check(json!({"email": "a@example.com"}), 409, &[("fields/email", "taken")]).await;

    for (body, status) in [
        (r#"{"apiName":"Student"}"#, 422),
        (r#"{"fields":{}}"#, 422),
        (r#"{"apiName":"Student","fields":[]}"#, 422),
        (r#"{"apiName":"Nothing","fields":{}}"#, 404),
        (r#"{"apiName":"no name","fields":{}}"#, 404),
        ("{", 400),
        ("", 400),
        ("[]", 422),
    ] {
        let answer = house.post_text("record/new", body, &[]).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert_eq!(answer.content_type, "application/problem+json");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_digit_is_lost_from_a_callers_text_to_a_readers() {
    let house = school().await;
    let digits = "1234567890123456789012345678.0123456789";
    for (at, (balance, expect)) in [
        (format!("\"{digits}\""), json!(digits)),
        (digits.to_owned(), json!(digits)),
        ("0.1".to_owned(), json!("0.1")),
        ("-1e-3".to_owned(), json!("-0.001")),
        ("null".to_owned(), Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let body = format!(
            r#"{{"apiName":"Student","fields":{{"email":"{at}@example.com","balance":{balance},"fee":5,"age":9007199254740993}}}}"#
        );
        let new = house.post_text("record/new", &body, &[]).await;
        assert_eq!(new.status, 201, "{body}: {}", new.body);
        let read = house.get(&format!("record/{}", new.text("id"))).await;
        assert_eq!(read.body["fields"]["balance"], expect, "{body}");
        assert_eq!(read.body["fields"]["fee"], "5.00");
        assert_eq!(read.body["fields"]["age"].as_i64(), Some(9_007_199_254_740_993));
    }
    for balance in [
        format!("\"{digits}9\""),
        format!("{digits}9"),
        "\"1e400\"".to_owned(),
        "\"NaN\"".to_owned(),
        "true".to_owned(),
    ] {
        let body =
            format!(r#"{{"apiName":"Student","fields":{{"email":"x@example.com","balance":{balance}}}}}"#);
        let refused = house.post_text("record/new", &body, &[]).await;
        assert_eq!(refused.status, 422, "{body}: {}", refused.body);
        assert!(faults(&refused).iter().all(|(path, _)| path == "fields/balance"), "{}", refused.body);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_learns_nothing_of_tables_it_has_no_right_to() {
    let house = school().await;
    let id = student(&house, json!({"email": "a@example.com", "note": "born in Ulm"})).await;
    let reader = house.key(&["record:read:Student"]).await;
    let clear = house.key(&["record:read:Student", "record:clear:Student"]).await;
    let writer = house.key(&["record:write:Other"]).await;
    let path = format!("record/{id}");
    let new = json!({"apiName": "Student", "fields": {"email": "b@example.com"}}).to_string();
    let nothing = json!({"apiName": "Nothing", "fields": {}}).to_string();
    let query = json!({"apiName": "Student"}).to_string();
    let check = async |key: &str, line: &str, body: &str, status: u16| {
        let (method, path) = line.split_once(' ').unwrap();
        let answer = house.send(method, path, body, &[("authorization", key)]).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.body);
        answer
    };
    check(&writer, &format!("GET {path}"), "", 403).await;
    check(&writer, "GET record/nonsense", "", 403).await;
    check(&writer, "POST record/new", &new, 403).await;
    check(&writer, "POST record/new", &nothing, 403).await;
    check(&writer, "POST record/query", &query, 403).await;
    check(&writer, &format!("DELETE {path}"), "", 403).await;
    check(&reader, "POST record/new", &new, 403).await;
    check(&reader, &format!("PUT {path}"), r#"{"fields":{}}"#, 403).await;
    let masked = check(&reader, &format!("GET {path}"), "", 200).await;
    assert!(!masked.body.to_string().contains("Ulm"), "{}", masked.body);
    let masked = check(&reader, "POST record/query", &query, 200).await;
    assert!(!masked.body.to_string().contains("Ulm"), "{}", masked.body);
    let shown = check(&clear, &format!("GET {path}"), "", 200).await;
    assert_eq!(shown.body["fields"]["note"], "born in Ulm");
    for guess in [
        json!({"filter": "note == 'born in Ulm'"}),
        json!({"filter": "note.startsWith('b')"}),
        json!({"sort": ["note"]}),
    ] {
        let mut query = guess;
        query["apiName"] = json!("Student");
        check(&reader, "POST record/query", &query.to_string(), 422).await;
    }
    house.stop_and_search("born in Ulm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_by_filter_order_and_search_and_the_price_is_told() {
    let house = school().await;
    let names = ["João", "Joana", "Ada", "Grace", "Alan"];
    for (at, name) in names.iter().enumerate() {
        student(&house, json!({"email": format!("{at}@example.com"), "name": name, "age": 20 + at})).await;
    }
    let ask = async |mut query: Value| {
        query["apiName"] = json!("Student");
        house.post("record/query", &query).await
    };
    let found = async |query: Value, expect: &[&str]| {
        let answer = ask(query.clone()).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        let names: Vec<&str> = answer.body["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["fields"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expect, "{query}");
        answer
    };
    found(json!({"filter": "age >= 21 && age < 24", "sort": ["-age"]}), &["Grace", "Ada", "Joana"]).await;
    found(json!({"filter": "age >= 20 && name.startsWith('Jo')", "sort": ["age"]}), &["João", "Joana"]).await;
    found(json!({"filter": "email == '3@example.com'"}), &["Grace"]).await;
    found(json!({"search": "joao"}), &["João"]).await;
    let priced = found(json!({"filter": "age == 22", "explain": true, "count": true}), &["Ada"]).await;
    assert_eq!(priced.body["count"], 1);
    assert_eq!(priced.body["explain"]["index"], json!(["age"]), "{}", priced.body);
    assert!(priced.body["explain"]["items-read"].as_u64().unwrap() >= 1, "{}", priced.body);
    assert!(priced.body["explain"]["read-units"].is_number(), "{}", priced.body);
    let only = ask(json!({"filter": "age == 22", "fields": ["name"]})).await;
    assert_eq!(only.body["records"][0]["fields"], json!({"name": "Ada"}));

    let refused = ask(json!({"filter": "name == 'Ada'"})).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert_eq!(refused.body["suggested-index"], json!(["name"]), "{}", refused.body);
    found(json!({"filter": "name == 'Ada'", "allow-scan": true}), &["Ada"]).await;

    let (mut cursor, mut seen) = (Value::Null, Vec::new());
    loop {
        let page = ask(json!({"limit": 2, "sort": ["age"], "cursor": cursor})).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let records = page.body["records"].as_array().unwrap();
        assert!(records.len() <= 2);
        seen.extend(records.iter().map(|r| r["fields"]["name"].as_str().unwrap().to_owned()));
        cursor = page.body["cursor"].clone();
        if cursor.is_null() {
            break;
        }
        let other = ask(json!({"limit": 2, "sort": ["-age"], "cursor": cursor})).await;
        assert_eq!(other.status, 422, "a cursor is for its own query: {}", other.body);
    }
    assert_eq!(seen, names);
    house.stop().await;
}

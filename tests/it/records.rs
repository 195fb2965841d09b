//! Tables and records, as a client sees them: what is refused changes nothing, and what was answered is there.

use std::collections::BTreeSet;

use futures::future::join_all;
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
async fn of_a_hundred_simultaneous_records_with_one_unique_value_one_is_made() {
    let house = school().await;
    let body = json!({"apiName": "Student", "fields": {"email": "one@example.com"}});
    let answers = join_all((0..100).map(|_| house.post("record/new", &body))).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 99));
    for answer in refused {
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert_eq!(
            faults(answer),
            [("fields/email".to_owned(), "taken".to_owned())].into(),
            "{}",
            answer.body
        );
    }
    let found = house.post("record/query", &json!({"apiName": "Student", "count": true})).await;
    assert_eq!((&found.body["count"], found.body["records"].as_array().unwrap().len()), (&json!(1), 1));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_update_is_lost_among_64_writers_of_16_records() {
    const WRITERS: usize = 64;
    const EACH: usize = 4;
    let house = school().await;
    let names = (0..16).map(|n| student(&house, json!({"email": format!("{n}@example.com"), "age": 18})));
    let ids = join_all(names).await;
    let writers = (0..WRITERS).map(|writer| {
        let (house, id) = (&house, &ids[writer % ids.len()]);
        async move {
            let mut done = 0;
            for turn in 0..EACH {
                let fields = json!({"fields": {"name": format!("{writer} {turn}"), "age": 18 + writer}});
                let answer = house.put(&format!("record/{id}"), &fields).await;
                match answer.status {
                    200 => done += 1,
                    409 => assert!(!answer.header("retry-after").is_empty(), "{}", answer.body),
                    _ => panic!("{}: {}", answer.status, answer.body),
                }
            }
            done
        }
    });
    let done = join_all(writers).await;
    for (at, id) in ids.iter().enumerate() {
        let wrote: u64 = done.iter().skip(at).step_by(ids.len()).sum();
        let record = house.get(&format!("record/{id}")).await;
        assert_eq!(record.body["version"], 1 + wrote, "{}", record.body);
        assert_eq!(record.body["fields"]["email"], format!("{at}@example.com"), "the rest is kept");
    }
    assert!(done.iter().sum::<u64>() >= WRITERS as u64, "most writes come through: {done:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_is_one_write() {
    let house = school().await;
    for times in 1..=5 {
        let key = format!("sign-up-{times}");
        let body = json!({"apiName": "Student", "fields": {"name": key}}).to_string();
        let body = body.replace("{\"name\"", &format!("{{\"email\":\"{times}@example.com\",\"name\""));
        let headers = [("idempotency-key", key.as_str())];
        let sent = join_all((0..times).map(|_| house.post_text("record/new", &body, &headers))).await;
        let later = house.post_text("record/new", &body, &headers).await;
        let ids: BTreeSet<&str> = sent
            .iter()
            .chain([&later])
            .map(|answer| {
                assert_eq!(answer.status, 201, "{times}: {}", answer.body);
                answer.text("id")
            })
            .collect();
        assert_eq!(ids.len(), 1, "{times}: {ids:?}");
        assert_eq!(later.header("idempotent-replayed"), "true");
        assert_eq!(later.header("etag"), "\"1\"");
        let other = house.post_text("record/new", &body.replace("@example", "@example2"), &headers).await;
        assert_eq!(
            (other.status, other.body["type"].as_str()),
            (422, Some("urn:queuelink:problem:idempotency-key-reused"))
        );

        let path = format!("record/{}", later.text("id"));
        let change = r#"{"fields":{"age":30}}"#;
        let headers = [("idempotency-key", "change"), ("if-match", "\"1\"")];
        let sent = join_all((0..times).map(|_| house.send("PUT", &path, change, &headers))).await;
        // The key is one for all records: the first record's change has it.
        let expect = if times == 1 { 200 } else { 422 };
        assert!(sent.iter().all(|answer| answer.status == expect), "{times}: {sent:?}");
    }
    let found = house.post("record/query", &json!({"apiName": "Student", "count": true})).await;
    assert_eq!(found.body["count"], 5);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_batch_is_all_or_nothing_and_says_where_it_fails() {
    let house = school().await;
    let first = student(&house, json!({"email": "first@example.com", "age": 20})).await;
    let second = student(&house, json!({"email": "second@example.com"})).await;
    let batch = async |operations: Value| {
        house.post("record/batch", &json!({"atomic": true, "operations": operations})).await
    };
    let create = |email: &str| json!({"create": {"apiName": "Student", "fields": {"email": email}}});
    let done = batch(json!([
        create("third@example.com"),
        {"update": {"id": first, "fields": {"age": 21}, "if-match": 1}},
        {"delete": {"id": second}},
    ]))
    .await;
    assert_eq!(done.status, 200, "{}", done.body);
    let statuses: Vec<_> =
        done.body["results"].as_array().unwrap().iter().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, [201, 200, 204]);
    assert_eq!(done.body["results"][1]["fields"]["age"], 21);

    let check = async |operations: Value, status: u16, expect: &[&str]| {
        let answer = batch(operations).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        let paths: BTreeSet<String> = faults(&answer).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, expect.iter().map(|path| (*path).to_owned()).collect(), "{}", answer.body);
    };
    let good = create("fourth@example.com");
    check(json!([good, create("third@example.com")]), 409, &["operations/1/create/fields/email"]).await;
    check(
        json!([good, {"create": {"apiName": "Student", "fields": {"age": -1}}}, {"update": {"id": first, "fields": {"age": 3}}}]),
        422,
        &["operations/1/create/fields/age", "operations/1/create/fields/email", "operations/2/update/rules/adult"],
    )
    .await;
    check(
        json!([good, {"update": {"id": first, "fields": {"age": 30}, "if-match": 1}}]),
        412,
        &["operations/1"],
    )
    .await;
    check(json!([good, {"delete": {"id": second}}]), 404, &["operations/1"]).await;
    check(
        json!([good, {"remove": {"id": second}}, 7]),
        422,
        &["operations/1", "operations/1/remove", "operations/2"],
    )
    .await;
    check(json!([]), 422, &["operations"]).await;
    let found = house.post("record/query", &json!({"apiName": "Student", "count": true})).await;
    assert_eq!(found.body["count"], 2, "nothing of the refused batches is there");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_not_atomic_has_one_result_per_operation() {
    let house = school().await;
    let operations: Vec<Value> = (0..150)
        .map(|n| json!({"create": {"apiName": "Student", "fields": {"email": format!("{}@example.com", n % 149), "age": 18 + n}}}))
        .chain([json!({"delete": {"id": "nonsense"}}), json!({"create": {"apiName": "Nothing", "fields": {}}})])
        .collect();
    let answer = house.post("record/batch", &json!({"atomic": false, "operations": operations})).await;
    assert_eq!(answer.status, 207, "{}", answer.body);
    let statuses: Vec<u64> =
        answer.body["results"].as_array().unwrap().iter().map(|r| r["status"].as_u64().unwrap()).collect();
    let count = |status: u64| statuses.iter().filter(|s| **s == status).count();
    assert_eq!((statuses.len(), count(201), count(409), count(404)), (152, 149, 1, 2), "{statuses:?}");
    assert_eq!(&statuses[150..], [404, 404]);
    let found = house.post("record/query", &json!({"apiName": "Student", "count": true, "limit": 1})).await;
    assert_eq!(found.body["count"], 149);
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

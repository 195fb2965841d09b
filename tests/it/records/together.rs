//! Many writers and many records at once: none is lost, none is made twice.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use super::{faults, school, student};

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

//! Whatever is sent to tables and records, the answer is a problem document with a 4xx, and it comes soon.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::house::TestHouse;

const ROUTES: [(&str, &str); 12] = [
    ("POST", "table"),
    ("PUT", "table/Thing"),
    ("POST", "table/Thing/field"),
    ("POST", "table/Thing/rule"),
    ("POST", "table/Thing/index"),
    ("POST", "page"),
    ("POST", "record/new"),
    ("PUT", "record/{id}"),
    ("DELETE", "record/{id}x"),
    ("GET", "record/{id}%00"),
    ("POST", "record/query"),
    ("POST", "record/batch"),
];

/// A house with one table that has a field of every kind, and a record.
async fn things() -> (TestHouse, String) {
    let house = TestHouse::start().await;
    let table = json!({
        "apiName": "Thing",
        "fields": [
            {"apiName": "a", "type": "text"}, {"apiName": "n", "type": "integer"}, {"apiName": "d", "type": "decimal"},
            {"apiName": "j", "type": "json"}, {"apiName": "t", "type": "date-time"}, {"apiName": "b", "type": "boolean"},
        ],
        "indexes": [{"fields": ["n"]}],
    });
    let made = house.post("table", &table).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let record = house.post("record/new", &json!({"apiName": "Thing", "fields": {"a": "x", "n": 1}})).await;
    assert_eq!(record.status, 201, "{}", record.body);
    let id = record.text("id").to_owned();
    (house, id)
}

/// Requests that are nearly right: the words of the API in places where they may stand, with values of every kind.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let value = || {
        prop_oneof![
            Just("null".to_owned()),
            Just("1e999".to_owned()),
            Just("-0".to_owned()),
            Just("123456789012345678901234567890123456789012".to_owned()),
            Just("[]".to_owned()),
            Just("{}".to_owned()),
            Just("\"Thing\"".to_owned()),
            Just("[\"-n\",\"a\"]".to_owned()),
            Just("[{\"create\":{\"apiName\":\"Thing\",\"fields\":{\"a\":7}}},{\"delete\":{}}]".to_owned()),
            Just("{\"a\":1,\"n\":\"x\",\"d\":\"1e9\",\"j\":{\"k\":[1]},\"t\":\"now\",\"b\":0}".to_owned()),
            "\"[a-z]{0,3} ?(==|<|in|\\.|\\?|&&) ?[0-9a-z'\"\\[\\]()]{0,6}\""
                .prop_map(|text| text.replace("\\", "")),
            "\"[\\x20-\\x21\\x23-\\x5b\\x5d-\\x7e]{0,8}\"",
            "\"\\\\u[0-9a-f]{4}\"",
        ]
    };
    let word = "(apiName|label|fields|rules|indexes|type|expression|message|on|name|filter|search|sort|limit|cursor|count|atomic|operations|table|columns|form|values|default|required)";
    let member = (word, value()).prop_map(|(word, value)| format!("\"{word}\":{value}"));
    prop_oneof![
        6 => proptest::collection::btree_set(member, 0..5)
            .prop_map(|members| format!("{{{}}}", members.into_iter().collect::<Vec<_>>().join(",")).into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..64),
        1 => (1_usize..2000).prop_map(|deep| "[".repeat(deep).into_bytes()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_input_brings_tables_and_records_down() {
    let (house, id) = things().await;
    let mut runner = TestRunner::new(Config::default());
    println!("seed: {:?}", runner.rng());
    for _ in 0..500 {
        let body = body().new_tree(&mut runner).unwrap().current();
        let (method, path) = ROUTES[(0..ROUTES.len()).new_tree(&mut runner).unwrap().current()];
        let path = path.replace("{id}", &id);
        let answer = house.send_bytes(method, &path, &body, &[]).await;
        let told = String::from_utf8_lossy(&body);
        let said = format!("{method} {path} {told:?} -> {} {}", answer.status, answer.body);
        assert!(answer.status < 500, "{said}");
        if answer.status >= 400 {
            assert_eq!(answer.content_type, "application/problem+json", "{said}");
            assert!(answer.body["title"].is_string() && answer.body["status"] == answer.status, "{said}");
        }
    }
    house.stop().await;
}

/// Expressions that are cheap to write and dear to read or to run.
fn bombs() -> Vec<String> {
    let nested = |depth: usize| {
        let open: String = (0..depth).map(|n| format!("[1,2,3,4,5,6,7,8,9,10].all(x{n}, ")).collect();
        format!("{open}true{}", ")".repeat(depth))
    };
    vec![
        format!("{}1 == 1{}", "(".repeat(17), ")".repeat(17)),
        format!("{}1 == 1{}", "(".repeat(400), ")".repeat(400)),
        format!("{}1{} == 1", "[".repeat(60), "]".repeat(60)),
        format!("{}true", "!".repeat(1000)),
        format!("0 == {}1", "-".repeat(1000)),
        nested(2),
        nested(6),
        format!("a.matches('{}')", "(a|b|ab)*".repeat(60)),
        "a.matches('(')".to_owned(),
        "a.matches(a)".to_owned(),
        format!("a == '{}'", "x".repeat(1100)),
        format!("{}true", "true && ".repeat(127)),
        "n / 0 == 1 && nothing".to_owned(),
        "a".repeat(1025),
        String::new(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_costs_too_much_is_refused_at_once_wherever_it_stands() {
    let (house, _) = things().await;
    for (at, bomb) in bombs().into_iter().enumerate() {
        let rule = bomb.replace("a.matches", "new.a.matches");
        for (path, body) in [
            ("record/query", json!({"apiName": "Thing", "filter": bomb, "allow-scan": true})),
            ("table/Thing/rule", json!({"name": format!("r{at}"), "expression": rule, "message": "no"})),
            (
                "table/Thing/field",
                json!({"apiName": format!("f{at}"), "type": "formula", "expression": bomb, "result": "boolean"}),
            ),
        ] {
            let begun = Instant::now();
            let answer = house.post(path, &body).await;
            let shown: String = bomb.chars().take(60).collect();
            // A conjunction of many plain words is long, not dear: it may pass.
            let may_pass = bomb.starts_with("true &&");
            assert!(
                answer.status == 422 || (may_pass && answer.status < 300),
                "{path} {shown}: {}",
                answer.body
            );
            assert!(begun.elapsed() < Duration::from_secs(25), "{path} {shown}: {:?}", begun.elapsed());
        }
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_is_refused_with_all_its_faults() {
    let (house, _) = things().await;
    let check = async |table: Value, expect: &[&str]| {
        let answer = house.post("table", &table).await;
        assert_eq!(answer.status, 422, "{table}: {}", answer.body);
        let paths: Vec<&str> = answer.errors().iter().map(|e| e["path"].as_str().unwrap()).collect();
        for path in expect {
            assert!(
                paths.iter().any(|found| found.starts_with(path)),
                "{path} is not named: {}",
                answer.body
            );
        }
    };
    let text = |name: &str| json!({"apiName": name, "type": "text"});
    check(json!({}), &["apiName"]).await;
    check(json!({"apiName": "1a", "fields": [text("a b")]}), &["apiName", "fields/0"]).await;
    check(json!({"apiName": "Two", "fields": [text("a"), text("a")]}), &["fields/1"]).await;
    check(
        json!({"apiName": "Three", "fields": [
            {"apiName": "a", "type": "text", "pattern": "("},
            {"apiName": "b", "type": "integer", "min": 5, "max": 1},
            {"apiName": "c", "type": "picklist", "values": []},
        ]}),
        &["fields/0", "fields/1", "fields/2"],
    )
    .await;
    check(
        json!({"apiName": "Shoe", "fields": [{"apiName": "d", "type": "shoe"}, {"type": "text"}]}),
        &["fields/0/type", "fields/1/apiName"],
    )
    .await;
    check(
        json!({"apiName": "Index", "fields": [text("a")], "indexes": [{"fields": ["b"]}, {"fields": ["c"]}]}),
        &["indexes/0", "indexes/1"],
    )
    .await;
    let of_json = json!({"apiName": "Json", "fields": [{"apiName": "j", "type": "json"}], "indexes": [{"fields": ["j"]}]});
    check(of_json, &["indexes/0"]).await;
    check(
        json!({"apiName": "Four", "fields": [text("a")],
            "rules": [{"name": "r", "expression": "new.a < 5", "message": "m"}, {"name": "r", "expression": "new.b == 1", "message": "m"}]}),
        &["rules/0/expression", "rules/1"],
    )
    .await;
    check(
        json!({"apiName": "Five", "fields": [{"apiName": "p", "type": "text", "pattern": "a".repeat(257)}]}),
        &["fields/0"],
    )
    .await;
    let fields: Vec<Value> = (0..201).map(|n| text(&format!("f{n}"))).collect();
    check(json!({"apiName": "Six", "fields": fields}), &["fields"]).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_written() {
    let (house, id) = things().await;
    let huge = "x".repeat(390 * 1024);
    for (method, path, body) in [
        ("POST", "record/new".to_owned(), json!({"apiName": "Thing", "fields": {"j": huge}})),
        ("PUT", format!("record/{id}"), json!({"fields": {"j": huge}})),
    ] {
        let answer = house.send(method, &path, &body.to_string(), &[]).await;
        assert_eq!(answer.status, 413, "{method} {path}: {}", answer.body);
    }
    let read = house.get(&format!("record/{id}")).await;
    assert_eq!(read.body["version"], 1);

    // Eleven times 340 KB is within a transaction, thirteen times is not.
    let mut ids = Vec::new();
    for _ in 0..13 {
        let body = json!({"apiName": "Thing", "fields": {"j": "x".repeat(340 * 1024)}});
        ids.push(house.post("record/new", &body).await.text("id").to_owned());
    }
    let batch = async |count: usize| {
        let touch = |id: &String| json!({"update": {"id": id, "fields": {"b": true}}});
        let operations: Vec<Value> = ids[..count].iter().map(touch).collect();
        house.post("record/batch", &json!({"atomic": true, "operations": operations})).await
    };
    let refused = batch(13).await;
    assert_eq!(refused.status, 413, "{}", refused.body);
    assert_eq!(house.get(&format!("record/{}", ids[0])).await.body["version"], 1);
    assert_eq!(batch(11).await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_is_answered_soon_whatever_it_is_made_of() {
    let (house, id) = things().await;
    let many = |count: usize, piece: fn(usize) -> String| (0..count).map(piece).collect::<Vec<_>>().join(",");
    let unknown = many(200_000, |n| format!("\"x{n}\":1"));
    let operations = many(1000, |n| format!("{{\"create\":{{\"apiName\":\"T{n}\",\"fields\":{{}}}}}}"));
    let records = many(1000, |_| "{\"delete\":{\"id\":\"ZZZ001ARZ3NDEKTSV4RRFFQ69G5FAV\"}}".to_owned());
    let words = many(200_000, |n| format!("w{n}"));
    for (method, path, body, status) in [
        ("POST", "record/new".to_owned(), format!("{{\"apiName\":\"Thing\",\"fields\":{{{unknown}}}}}"), 422),
        ("PUT", format!("record/{id}"), format!("{{\"fields\":{{{unknown}}}}}"), 422),
        ("POST", "record/new".to_owned(), format!("{{\"apiName\":\"Thing\",{unknown}}}"), 422),
        (
            "POST",
            "record/batch".to_owned(),
            format!("{{\"atomic\":true,\"operations\":[{operations}]}}"),
            404,
        ),
        (
            "POST",
            "record/batch".to_owned(),
            format!("{{\"atomic\":false,\"operations\":[{operations}]}}"),
            207,
        ),
        ("POST", "record/batch".to_owned(), format!("{{\"atomic\":false,\"operations\":[{records}]}}"), 207),
        ("POST", "record/query".to_owned(), format!("{{\"apiName\":\"Thing\",\"search\":\"{words}\"}}"), 422),
        ("POST", "record/query".to_owned(), format!("{{\"apiName\":\"Thing\",\"cursor\":\"{words}\"}}"), 422),
        (
            "POST",
            "table".to_owned(),
            format!("{{\"apiName\":\"Huge\",\"fields\":[{}]}}", many(100_000, |n| format!("{n}"))),
            422,
        ),
    ] {
        let begun = Instant::now();
        let answer = house.send(method, &path, &body, &[]).await;
        let took = begun.elapsed();
        assert_eq!(answer.status, status, "{method} {path} {:.80}: {:.400}", body, answer.body.to_string());
        assert!(took < Duration::from_secs(25), "{method} {path} {:.80}: {took:?}", body);
        assert!(answer.errors().len() <= 100, "{method} {path}");
    }
    house.stop().await;
}

use domain::{FieldKind, TextRules};
use serde_json::{Value, json};

use crate::house::House;
use crate::store::Answer;
use crate::tables::Design;

/// Twenty people of whom each fifth has no age.
async fn house() -> House {
    let house = House::start().await;
    let note = FieldKind::EncryptedText(TextRules::default());
    let design = Design::new()
        .text("name")
        .integer("age")
        .indexed()
        .text("city")
        .field("extra", FieldKind::Json)
        .field("note", note);
    let table = house.tables.table("Person", design).await;
    for at in 0..20 {
        let age = if at % 5 == 0 { Value::Null } else { json!(20 + at) };
        let city = if at % 2 == 0 { "Köln" } else { "Ulm" };
        let fields = json!({"name": format!("person {at}"), "age": age, "city": city, "note": "born in Ulm", "extra": {"at": at}});
        house.tables.record(&table, &fields.to_string()).await;
    }
    house
}

impl House {
    async fn query(&self, mut query: Value) -> Answer {
        query["apiName"] = json!("Person");
        self.ask("POST /record/query", &[], &query.to_string()).await
    }

    /// The numbers of the people found.
    async fn people(&self, query: Value) -> Vec<u64> {
        let answer = self.query(query.clone()).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        people(&answer)
    }
}

fn people(answer: &Answer) -> Vec<u64> {
    let at = |record: &Value| record["fields"]["extra"]["at"].as_u64().unwrap();
    answer.json()["records"].as_array().unwrap().iter().map(at).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_finds_what_its_filter_says_in_its_order() {
    let house = house().await;
    assert_eq!(
        house.people(json!({"filter": "age >= 21 && age <= 24", "sort": ["age"]})).await,
        [1, 2, 3, 4]
    );
    assert_eq!(house.people(json!({"filter": "age > 36", "sort": ["-age"]})).await, [19, 18, 17]);
    assert_eq!(house.people(json!({"filter": "age == 23 || age == 24", "allow-scan": true})).await.len(), 2);
    assert_eq!(
        house.people(json!({"filter": "age >= 30 && city == 'Ulm'", "sort": ["age"]})).await,
        [11, 13, 17, 19]
    );
    let mut found = house.people(json!({"search": "KOLN person"})).await;
    found.sort_unstable();
    assert_eq!(found, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    assert_eq!(house.people(json!({"sort": ["created-at"]})).await.len(), 20);
    let (mut up, down) =
        (house.people(json!({})).await, house.people(json!({"sort": ["-created-at"]})).await);
    up.reverse();
    assert_eq!(up, down);
    let only = house.query(json!({"filter": "age == 21", "fields": ["city", "name"]})).await;
    assert_eq!(only.json()["records"][0]["fields"], json!({"name": "person 1", "city": "Ulm"}));
    let whole: Vec<String> = only.json()["records"][0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(whole, ["apiName", "created-at", "fields", "id", "updated-at", "version"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_each_record_once_and_their_cursor_is_for_one_question() {
    let house = house().await;
    let (mut seen, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let page = house.query(json!({"limit": 7, "cursor": cursor, "count": true})).await;
        assert_eq!((page.status, &page.json()["count"]), (200, &json!(20)), "{}", page.text);
        seen.extend(people(&page));
        pages += 1;
        match page.json().get("cursor") {
            None => break,
            Some(next) => cursor = next.clone(),
        }
    }
    assert!(pages <= 4, "{pages}");
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());

    let cursor = house.query(json!({"limit": 7})).await.json()["cursor"].as_str().unwrap().to_owned();
    let turned = cursor.chars().rev().collect::<String>();
    for (query, why) in [
        (json!({"limit": 7, "cursor": cursor, "sort": ["age"]}), "another order"),
        (json!({"limit": 7, "cursor": cursor, "filter": "age > 1", "allow-scan": true}), "another filter"),
        (json!({"limit": 7, "cursor": turned}), "made up"),
        (json!({"limit": 7, "cursor": "x"}), "no cursor"),
    ] {
        let refused = house.query(query).await;
        assert_eq!(
            (refused.problem(), refused.faults()),
            (422, vec![("cursor".into(), "cursor".into())]),
            "{why}"
        );
    }
    assert_eq!(
        house.query(json!({"limit": 3, "cursor": cursor})).await.status,
        200,
        "another limit is the same question"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_price_is_told_to_those_who_ask() {
    let house = house().await;
    let silent = house.query(json!({"filter": "age == 21"})).await.json();
    assert_eq!(
        (silent.get("explain"), silent.get("count"), silent.get("cursor")),
        (None, None, None),
        "{silent}"
    );
    let told = house
        .query(json!({"filter": "age >= 21 && name.startsWith('person')", "explain": true}))
        .await
        .json();
    let explain = &told["explain"];
    assert_eq!((&explain["plan"], &explain["index"]), (&json!("index"), &json!(["age"])), "{explain}");
    assert_eq!(
        (explain["items-read"].as_u64(), &explain["by-key"]),
        (Some(16), &json!(["age >= 21"])),
        "{explain}"
    );
    assert_eq!(explain["pushed-down"].as_array().map(Vec::len), Some(1), "{explain}");
    assert_eq!(
        (&explain["in-memory"], &explain["eventually-consistent"]),
        (&json!([]), &json!(true)),
        "{explain}"
    );
    assert!(
        explain["read-units"].as_f64().unwrap() > 0.0 && explain["calls"].as_u64().unwrap() > 0,
        "{explain}"
    );
    let refused = house.query(json!({"filter": "name == 'person 1'"})).await;
    assert_eq!(
        (refused.problem(), &refused.json()["suggested-index"]),
        (422, &json!(["name"])),
        "{}",
        refused.text
    );
    assert_eq!(refused.faults(), [("".into(), "no-index".into())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_question_is_named() {
    let house = house().await;
    let check = async |query: Value, expect: &[(&str, &str)]| {
        let answer = house.query(query.clone()).await;
        assert_eq!(answer.problem(), 422, "{query}: {}", answer.text);
        let found = answer.faults();
        let found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
        assert_eq!(found, expect, "{query}: {}", answer.text);
        answer
    };
    check(
        json!({
            "filter": 7, "search": [], "sort": ["-shoe", "age", "-age", "extra", "note"], "fields": ["name", "size"],
            "limit": 201, "explain": 1, "more": 1,
        }),
        &[
            ("filter", "type"),
            ("search", "type"),
            ("sort/0", "unknown-field"),
            ("sort/2", "repeated"),
            ("sort/3", "not-sortable"),
            ("sort/4", "not-sortable"),
            ("fields/1", "unknown-field"),
            ("limit", "range"),
            ("explain", "type"),
            ("more", "unknown-field"),
        ],
    )
    .await;
    check(json!({"limit": 0}), &[("limit", "range")]).await;
    let alone = check(json!({"sort": ["age", "-created-at"]}), &[("sort/1", "alone")]).await;
    assert!(alone.text.contains("stands alone"), "{}", alone.text);
    check(json!({"search": "a ".repeat(129)}), &[("search", "too-long")]).await;
    let told = check(json!({"filter": "age >= 18 && shoe == 43"}), &[("filter", "expression")]).await;
    assert!(told.text.contains("character 14"), "{}", told.text);
    for wrong in [
        "",
        "age >=",
        "age",
        "age < 'x'",
        "note == 'born in Ulm'",
        "name.matches('(')",
        "new.age > 1",
        "\u{0}",
    ] {
        let answer = house.query(json!({"filter": wrong})).await;
        assert_eq!(
            (answer.problem(), answer.faults()),
            (422, vec![("filter".into(), "expression".into())]),
            "{wrong:?}"
        );
    }
    for (body, status) in
        [("", 400), ("[]", 422), ("{}", 422), (r#"{"apiName":7}"#, 422), (r#"{"apiName":"Nothing"}"#, 404)]
    {
        assert_eq!(house.ask("POST /record/query", &[], body).await.problem(), status, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_text_is_masked_unless_the_key_may_see_it() {
    let house = house().await;
    let body = r#"{"apiName":"Person","filter":"age == 21"}"#;
    for (scopes, shown) in [
        (&["record:read:Person"][..], false),
        (&["record:read:*", "record:clear:Other"], false),
        (&["record:read:Person", "record:clear:Person"], true),
        (&["*"], true),
    ] {
        let answer = house.ask_as(scopes, "POST /record/query", body).await;
        assert_eq!(
            (answer.status, answer.text.contains("born in")),
            (200, shown),
            "{scopes:?}: {}",
            answer.text
        );
    }
    for scope in ["record:write:*", "record:read:Other", "record:clear:*", "table:read:*"] {
        assert_eq!(house.ask_as(&[scope], "POST /record/query", body).await.problem(), 403, "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_too_large_in_json_is_a_shorter_one() {
    let house = House::start().await;
    let table = house.tables.table("Person", Design::new().text("name")).await;
    let name = "\"".repeat(380 * 1024);
    let mut made = Vec::new();
    for _ in 0..8 {
        made.push(house.tables.record(&table, &json!({ "name": name }).to_string()).await);
    }
    let (mut read, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = house.query(json!({"limit": 100, "cursor": cursor})).await;
        assert_eq!(page.status, 200, "{:.200}", page.text);
        assert!(api::answer_bytes(&page.text) <= api::MAX_ANSWER_BYTES, "{}", page.text.len());
        let page = page.json();
        read.extend(
            page["records"]
                .as_array()
                .unwrap()
                .iter()
                .map(|record| record["id"].as_str().unwrap().to_owned()),
        );
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    read.sort_unstable();
    made.sort_unstable();
    assert_eq!(read, made);
}

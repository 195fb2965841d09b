use serde_json::{Value, json};

use crate::house::House;
use crate::tables::{Design, Tables};

/// A table whose records have a unique code, a number of at least 18 and a price.
async fn house() -> House {
    let house = House::start().await;
    let design = Design::new().text("code").required().unique().integer("age").decimal("price");
    house.tables.table("Thing", design.rule("adult", "new.age == null || new.age >= 18")).await;
    house
}

fn new(fields: Value) -> String {
    json!({"apiName": "Thing", "fields": fields}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_made_changed_and_removed_with_its_version_told() {
    let house = house().await;
    let made = house
        .ask("POST /record/new", &[], &new(json!({"code": "a", "price": "12345678901234567890.10"})))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let document = made.json();
    let keys: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["apiName", "created-at", "fields", "id", "updated-at", "version"]);
    assert_eq!(document["fields"], json!({"code": "a", "age": null, "price": "12345678901234567890.1"}));
    let id = document["id"].as_str().unwrap();
    assert_eq!(made.headers["etag"], "\"1\"");
    assert_eq!(made.headers["location"], format!("{}/record/{id}", api::BASE));
    assert!(!made.headers.contains_key("idempotent-replayed"));

    let line = format!("PUT /record/{id}");
    let changed = house.ask(&line, &[("if-match", "\"1\"")], r#"{"fields":{"age":40}}"#).await;
    assert_eq!(
        (changed.status, changed.headers["etag"].to_str().unwrap()),
        (200, "\"2\""),
        "{}",
        changed.text
    );
    assert_eq!(changed.json()["fields"]["code"], "a");
    let same = house.ask(&line, &[], r#"{"fields":{"age":40}}"#).await;
    assert_eq!((same.status, &same.json()["version"]), (200, &json!(2)), "nothing changed, nothing written");
    let stale = house.ask(&line, &[("if-match", "1")], r#"{"fields":{"age":41}}"#).await;
    assert_eq!((stale.problem(), &stale.json()["version"]), (412, &json!(2)), "{}", stale.text);
    let any = house.ask(&line, &[("if-match", "*")], r#"{"fields":{"age":null}}"#).await;
    assert_eq!((any.status, &any.json()["fields"]["age"]), (200, &Value::Null), "{}", any.text);

    let line = format!("DELETE /record/{id}");
    assert_eq!(house.ask(&line, &[("if-match", "\"1\"")], "").await.problem(), 412);
    let gone = house.ask(&line, &[("if-match", "\"3\"")], "").await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert_eq!(house.ask(&line, &[], "").await.problem(), 404);
    assert_eq!(house.ask(&format!("PUT /record/{id}"), &[], r#"{"fields":{"age":20}}"#).await.problem(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_names_every_fault() {
    let house = house().await;
    let taken = house.ask("POST /record/new", &[], &new(json!({"code": "taken"}))).await.json();
    let id = taken["id"].as_str().unwrap().to_owned();
    let check =
        async |line: &str, headers: &[(&str, &str)], body: &str, status: u16, expect: &[(&str, &str)]| {
            let answer = house.ask(line, headers, body).await;
            assert_eq!(answer.problem(), status, "{line} {body}: {}", answer.text);
            let found = answer.faults();
            let found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
            assert_eq!(found, expect, "{line} {body}: {}", answer.text);
        };
    let line = "POST /record/new";
    check(line, &[], "{", 400, &[("", "not-json")]).await;
    check(line, &[], "[]", 422, &[("", "type")]).await;
    check(line, &[], "{}", 422, &[("apiName", "required"), ("fields", "required")]).await;
    check(
        line,
        &[],
        r#"{"apiName":7,"fields":1,"x":1}"#,
        422,
        &[("apiName", "type"), ("fields", "type"), ("x", "unknown-field")],
    )
    .await;
    check(
        line,
        &[],
        r#"{"apiName":"Thing","fields":{"code":"b","code":"c"}}"#,
        422,
        &[("fields/code", "duplicate-key")],
    )
    .await;
    check(line, &[], r#"{"apiName":"Nothing","fields":{}}"#, 404, &[("apiName", "unknown-table")]).await;
    check(line, &[], r#"{"apiName":"no name","fields":{}}"#, 404, &[("apiName", "unknown-table")]).await;
    check(
        line,
        &[("if-match", "1"), ("idempotency-key", "")],
        r#"{"apiName":"Thing"}"#,
        422,
        &[("idempotency-key", "length"), ("if-match", "not-here"), ("fields", "required")],
    )
    .await;
    check(line, &[], &new(json!({"code": "taken"})), 409, &[("fields/code", "taken")]).await;
    check(line, &[], &new(json!({"code": "b", "age": 3})), 422, &[("rules/adult", "rule")]).await;
    let answer = house.ask(line, &[], &new(json!({"age": "x", "price": true, "shoe": 1}))).await;
    let mut paths: Vec<String> = answer.faults().into_iter().map(|(path, _)| path).collect();
    paths.sort();
    assert_eq!(
        (answer.problem(), paths),
        (422, ["fields/age", "fields/code", "fields/price", "fields/shoe"].map(String::from).to_vec())
    );

    let line = format!("PUT /record/{id}");
    check(
        &line,
        &[("if-match", "x")],
        r#"{"field":{}}"#,
        422,
        &[("if-match", "type"), ("fields", "required"), ("field", "unknown-field")],
    )
    .await;
    check(&line, &[], r#"{"fields":{"code":null}}"#, 422, &[("fields/code", "required")]).await;
    check("PUT /record/nonsense", &[], r#"{"fields":{}}"#, 404, &[]).await;
    check(&format!("DELETE /record/{}", id.replace(&id[..3], "ZZZ")), &[], "", 404, &[]).await;
    let huge = new(json!({"code": "h", "price": 1}))
        .replace("\"h\"", &format!("\"{}\"", "h".repeat(4 * 1024 * 1024)));
    assert!(matches!(house.ask("POST /record/new", &[], &huge).await.problem(), 413 | 422));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_learns_of_no_table_that_it_may_not_write_to() {
    let house = house().await;
    house.tables.table("Other", Design::new().text("code")).await;
    let made = house.ask("POST /record/new", &[], &new(json!({"code": "a"}))).await.json();
    let line = format!("PUT /record/{}", made["id"].as_str().unwrap());
    let check = async |scope: &str, line: &str, body: &str, status: u16| {
        let answer = house.ask_as(&[scope], line, body).await;
        assert_eq!(answer.status, status, "{scope} {line} {body}: {}", answer.text);
    };
    for scope in ["record:write:Other", "record:read:*", "table:write:*"] {
        check(scope, "POST /record/new", &new(json!({"code": "b"})), 403).await;
        check(scope, "POST /record/new", r#"{"apiName":"Nothing","fields":{}}"#, 403).await;
        check(scope, &line, r#"{"fields":{}}"#, 403).await;
        check(scope, "DELETE /record/nonsense", "", 403).await;
        check(scope, "DELETE /record/ZZZ001ARZ3NDEKTSV4RRFFQ69G5FAV", "", 403).await;
    }
    // Word for word: else ids that somebody makes up would tell which tables there are, and what they are called.
    for method in ["PUT", "DELETE"] {
        let refused = async |id: &str| {
            let line = format!("{method} /record/{id}");
            house.ask_as(&["record:write:Other"], &line, r#"{"fields":{}}"#).await.text
        };
        let of_nothing = refused("ZZZ001ARZ3NDEKTSV4RRFFQ69G5FAV").await;
        assert_eq!(refused(made["id"].as_str().unwrap()).await, of_nothing);
    }
    check("record:write:Thing", &line, r#"{"fields":{"age":20}}"#, 200).await;
    check("record:write:Thing", "POST /record/new", r#"{"apiName":"Nothing","fields":{}}"#, 403).await;
    check("record:write:*", "POST /record/new", r#"{"apiName":"Nothing","fields":{}}"#, 404).await;
    check("record:write:*", "DELETE /record/ZZZ001ARZ3NDEKTSV4RRFFQ69G5FAV", "", 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_text_is_answered_in_clear_only_to_a_key_that_may_see_it() {
    let house = House::start().await;
    let kind = domain::FieldKind::EncryptedText(domain::TextRules::default());
    house.tables.table("Secret", Design::new().field("note", kind)).await;
    let body = r#"{"apiName":"Secret","fields":{"note":"born in Ulm"}}"#;
    let masked = house.ask_as(&["record:write:Secret"], "POST /record/new", body).await;
    assert_eq!((masked.status, masked.text.contains("Ulm")), (201, false), "{}", masked.text);
    let shown = house.ask_as(&["record:write:Secret", "record:clear:Secret"], "POST /record/new", body).await;
    assert_eq!(shown.json()["fields"]["note"], "born in Ulm");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_the_answer_is_503_and_says_that_the_outcome_is_not_known() {
    let tables = Tables::start().await;
    let table = tables.table("Thing", Design::new().text("code")).await;
    let id = tables.record(&table, r#"{"code":"a"}"#).await;
    let records = tables.records_out_of_reach().await;
    let house = House::over(tables, records).await;
    for (line, body) in [
        ("POST /record/new".to_owned(), new(json!({"code": "a"}))),
        (format!("PUT /record/{id}"), r#"{"fields":{"code":"b"}}"#.to_owned()),
        (format!("DELETE /record/{id}"), String::new()),
    ] {
        let answer = house.ask(&line, &[], &body).await;
        assert_eq!(
            (answer.problem(), &answer.json()["outcome"]),
            (503, &json!("unknown")),
            "{line}: {}",
            answer.text
        );
        assert!(answer.headers.contains_key("retry-after"), "{line}");
    }
    let operation = json!({"create": {"apiName": "Thing", "fields": {"code": "a"}}});
    let body = json!({"atomic": false, "operations": [operation]}).to_string();
    let answer = house.ask("POST /record/batch", &[], &body).await;
    assert_eq!(
        (answer.status, &answer.json()["results"][0]["status"]),
        (207, &json!(503)),
        "{}",
        answer.text
    );
    let body = body.replace("false", "true");
    assert_eq!(house.ask("POST /record/batch", &[], &body).await.problem(), 503);
}

use serde_json::{Value, json};

use crate::house::House;
use crate::store::Answer;
use crate::tables::Design;

async fn house() -> House {
    let house = House::start().await;
    let design = Design::new().text("code").required().unique().integer("age");
    house.tables.table("Thing", design.rule("adult", "new.age == null || new.age >= 18")).await;
    house
}

fn create(fields: Value) -> Value {
    json!({"create": {"apiName": "Thing", "fields": fields}})
}

impl House {
    async fn batch(&self, atomic: bool, operations: &[Value]) -> Answer {
        let body = json!({"atomic": atomic, "operations": operations}).to_string();
        self.ask("POST /record/batch", &[], &body).await
    }

    /// A record; tells its id.
    async fn made(&self, code: &str) -> String {
        let body = json!({"apiName": "Thing", "fields": {"code": code}}).to_string();
        let answer = self.ask("POST /record/new", &[], &body).await;
        answer.json()["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_batch_is_answered_in_order() {
    let house = house().await;
    let (first, second) = (house.made("first").await, house.made("second").await);
    let answer = house
        .batch(
            true,
            &[
                json!({"update": {"id": first, "fields": {"age": 30}, "if-match": 1}}),
                create(json!({"code": "third"})),
                json!({"delete": {"id": second}}),
            ],
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let results = answer.json()["results"].clone();
    assert_eq!(
        (&results[0]["status"], &results[0]["version"], &results[0]["fields"]["age"]),
        (&json!(200), &json!(2), &json!(30))
    );
    assert_eq!((&results[1]["status"], &results[1]["fields"]["code"]), (&json!(201), &json!("third")));
    assert_eq!(results[2], json!({"status": 204, "id": second}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_batch_that_fails_changes_nothing_and_names_the_operations_at_fault() {
    let house = house().await;
    let id = house.made("first").await;
    let good = create(json!({"code": "good"}));
    let nothing = json!({"create": {"apiName": "Nothing", "fields": {}}});
    for (operations, status, expect) in [
        (vec![create(json!({"code": "first"}))], 409, vec![("operations/1/create/fields/code", "taken")]),
        (
            vec![create(json!({"age": 40})), json!({"update": {"id": id, "fields": {"age": 3}}})],
            422,
            vec![
                ("operations/1/create/fields/code", "required"),
                ("operations/2/update/rules/adult", "rule"),
            ],
        ),
        (
            vec![json!({"update": {"id": id, "fields": {}, "if-match": 7}})],
            412,
            vec![("operations/1", "stale")],
        ),
        (vec![json!({"delete": {"id": "nonsense"}})], 404, vec![("operations/1", "not-found")]),
        (vec![nothing], 404, vec![("operations/1/create/apiName", "unknown-table")]),
        (
            vec![json!({"drop": {}}), json!(7)],
            422,
            vec![
                ("operations/1", "operation"),
                ("operations/1/drop", "unknown-field"),
                ("operations/2", "type"),
            ],
        ),
        (
            vec![json!({"delete": {"id": id}}), json!({"delete": {"id": id}})],
            422,
            vec![("operations/2/delete/id", "repeated")],
        ),
    ] {
        let operations: Vec<Value> = std::iter::once(good.clone()).chain(operations).collect();
        let answer = house.batch(true, &operations).await;
        assert_eq!(answer.problem(), status, "{operations:?}: {}", answer.text);
        let found = answer.faults();
        let mut found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
        found.sort_unstable();
        assert_eq!(found, expect, "{operations:?}: {}", answer.text);
    }
    let answer = house.batch(true, &[good]).await;
    assert_eq!(answer.status, 200, "the good one had been written by none of them: {}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_of_a_batch_that_is_not_atomic_stands_for_itself() {
    let house = house().await;
    let (id, other) = (house.made("first").await, house.made("other").await);
    let answer = house
        .batch(
            false,
            &[
                create(json!({"code": "second"})),
                create(json!({"code": "first"})),
                json!({"nonsense": 1}),
                json!({"update": {"id": id, "fields": {"age": 1}}}),
                json!({"delete": {"id": "ZZZ001ARZ3NDEKTSV4RRFFQ69G5FAV"}}),
                json!({"delete": {"id": other}}),
            ],
        )
        .await;
    assert_eq!(answer.status, 207, "{}", answer.text);
    let results = answer.json()["results"].clone();
    let results = results.as_array().unwrap();
    let statuses: Vec<u64> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [201, 409, 422, 422, 404, 204], "{}", answer.text);
    assert_eq!(results[1]["problem"]["errors"][0]["path"], "create/fields/code");
    assert_eq!(results[3]["problem"]["errors"][0]["path"], "update/rules/adult");
    assert!(results[2]["problem"]["errors"].as_array().unwrap().len() == 2, "{}", results[2]);

    let some = house
        .ask_as(
            &["record:write:Other"],
            "POST /record/batch",
            &json!({"atomic": false, "operations": [create(json!({}))]}).to_string(),
        )
        .await;
    assert_eq!((some.status, &some.json()["results"][0]["status"]), (207, &json!(403)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_batch_is_refused_as_a_whole() {
    let house = house().await;
    let check = async |body: &str, status: u16, expect: &[(&str, &str)]| {
        let answer = house.ask("POST /record/batch", &[], body).await;
        assert_eq!(answer.problem(), status, "{body}: {}", answer.text);
        let found = answer.faults();
        let found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
        assert_eq!(found, expect, "{body}: {}", answer.text);
    };
    check("", 400, &[("", "not-json")]).await;
    check("{}", 422, &[("atomic", "required"), ("operations", "required")]).await;
    check(
        r#"{"atomic":"yes","operations":{},"x":1}"#,
        422,
        &[("atomic", "type"), ("operations", "type"), ("x", "unknown-field")],
    )
    .await;
    check(r#"{"atomic":true,"operations":[]}"#, 422, &[("operations", "count")]).await;
    let many = |count: usize| {
        let operations: Vec<Value> = (0..count).map(|n| create(json!({"code": n.to_string()}))).collect();
        json!({"atomic": true, "operations": operations}).to_string()
    };
    check(&many(51), 422, &[("operations", "too-many-actions")]).await;
    assert_eq!(
        house.ask("POST /record/batch", &[], &many(50)).await.status,
        200,
        "a record and its guard, fifty times"
    );
    let answer =
        house.ask("POST /record/batch", &[("if-match", "1")], r#"{"atomic":true,"operations":[1]}"#).await;
    assert_eq!(answer.problem(), 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_would_be_too_large_leaves_fields_out_and_keeps_ids() {
    let house = House::start().await;
    house.tables.table("Long", Design::new().text("text").text("note")).await;
    let body = json!({"apiName": "Long", "fields": {"text": "x".repeat(380 * 1024)}}).to_string();
    let mut operations = Vec::new();
    for _ in 0..15 {
        let made = house.ask("POST /record/new", &[], &body).await;
        assert_eq!(made.status, 201, "{:.200}", made.text);
        operations.push(json!({"update": {"id": made.json()["id"], "fields": {"note": "small"}}}));
    }
    let answer = house.batch(false, &operations).await;
    assert_eq!(answer.status, 200, "{:.200}", answer.text);
    assert!(answer.text.len() < 6 * 1024 * 1024, "{}", answer.text.len());
    let results = answer.json()["results"].clone();
    let results = results.as_array().unwrap();
    assert!(results.iter().all(|result| result["id"].is_string() && result["version"] == 2));
    let left_out = results.iter().filter(|result| result["fields"].is_null()).count();
    assert!((1..15).contains(&left_out), "{left_out}");
}

//! Tables, their indexes and their end, in the whole house: jobs included.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::house::TestHouse;

async fn create(house: &TestHouse, body: Value) -> Value {
    let answer = house.post("table", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body
}

async fn record(house: &TestHouse, table: &str, fields: Value) -> String {
    let answer = house.post("record/new", &json!({"apiName": table, "fields": fields})).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.text("id").to_owned()
}

/// Waits until a job has ended; tells its document.
async fn ended(house: &TestHouse, job: &str) -> Value {
    eventually("the job ends", 150, async || {
        let answer = house.get(&format!("job/{job}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        (answer.body["state"] != "running").then_some(answer.body)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_on_a_filled_table_is_built_by_a_job_and_then_used() {
    let house = TestHouse::start().await;
    create(&house, json!({"apiName": "Student", "fields": [{"apiName": "age", "type": "integer"}]})).await;
    for age in [30, 20, 40, 10] {
        record(&house, "Student", json!({"age": age})).await;
    }
    let query = json!({"apiName": "Student", "filter": "age >= 20", "sort": ["-age"], "explain": true});
    assert_eq!(house.post("record/query", &query).await.status, 422, "no index fits yet");
    let answer = house.post("table/Student/index", &json!({"fields": ["age"]})).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let index = answer.body["indexes"][0].clone();
    let job = ended(&house, index["job"].as_str().unwrap()).await;
    assert_eq!(
        (&job["state"], &job["records-done"], &job["table"]),
        (&json!("done"), &json!(4), &json!("Student"))
    );
    let shown = house.get(&format!("table/Student/index/{}", index["id"])).await;
    assert_eq!(shown.body["state"], "ready", "{}", shown.body);
    let found = house.post("record/query", &query).await;
    assert_eq!(found.status, 200, "{}", found.body);
    let ages: Vec<&Value> =
        found.body["records"].as_array().unwrap().iter().map(|record| &record["fields"]["age"]).collect();
    assert_eq!(ages, [40, 30, 20]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_field_over_values_that_stand_twice_fails_and_names_the_pair() {
    let house = TestHouse::start().await;
    create(&house, json!({"apiName": "T", "fields": [{"apiName": "code", "type": "text"}]})).await;
    let mut ids =
        [record(&house, "T", json!({"code": "a"})).await, record(&house, "T", json!({"code": "a"})).await];
    ids.sort();
    let answer = house.put("table/T/field/code", &json!({"unique": true})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let job = ended(&house, answer.body["fields"][0]["unique-state"]["job"].as_str().unwrap()).await;
    assert_eq!(job["state"], "failed");
    let mut pair: Vec<String> = serde_json::from_value(job["duplicates"][0].clone()).unwrap();
    pair.sort();
    assert_eq!(pair, ids);
    let table = house.get("table/T").await.body;
    assert_eq!(table["fields"][0]["unique-state"]["state"], "failed");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_deleted_with_its_records() {
    let house = TestHouse::start().await;
    create(&house, json!({"apiName": "T", "fields": [{"apiName": "code", "type": "text", "unique": true}]}))
        .await;
    let id = record(&house, "T", json!({"code": "a"})).await;
    assert_eq!(house.delete("table/T").await.status, 409);
    let answer = house.delete("table/T?with-records=true").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let refused = house.post("record/new", &json!({"apiName": "T", "fields": {"code": "b"}})).await;
    assert!([404, 409].contains(&refused.status), "{}", refused.body);
    assert_eq!(ended(&house, answer.text("job")).await["state"], "done");
    assert_eq!(house.get("table/T").await.status, 404);
    assert_eq!(house.get(&format!("record/{id}")).await.status, 404);
    create(&house, json!({"apiName": "T", "fields": [{"apiName": "code", "type": "text", "unique": true}]}))
        .await;
    record(&house, "T", json!({"code": "a"})).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_is_removed_by_a_job_and_its_name_is_free_then() {
    let house = TestHouse::start().await;
    let table = json!({"apiName": "T", "fields": [{"apiName": "code", "type": "text"}]});
    create(&house, table.clone()).await;
    let answer = house.delete("table/T").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(ended(&house, answer.text("job")).await["state"], "done");
    assert_eq!(house.get("table/T").await.status, 404);
    create(&house, table).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_stop_interrupts_goes_on_after_the_next_start() {
    let data = tempfile::tempdir().unwrap();
    let at = |options: &mut queuelink::Options| options.data_dir = data.path().to_owned();
    let house = TestHouse::start_with(at).await;
    create(&house, json!({"apiName": "T", "fields": [{"apiName": "n", "type": "integer"}]})).await;
    for n in 0..20 {
        record(&house, "T", json!({"n": n})).await;
    }
    let answer = house.post("table/T/index", &json!({"fields": ["n"]})).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    // Its message is still delayed: no slice was done.
    house.stop().await;
    let house = TestHouse::start_with(at).await;
    let job = ended(&house, answer.body["indexes"][0]["job"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["records-done"]), (&json!("done"), &json!(20)));
    house.stop().await;
}

use domain::{JobKind, JobState};
use serde_json::json;

use crate::engine::Mood;
use crate::house::{House, JOBS};

#[tokio::test(flavor = "multi_thread")]
async fn an_index_on_a_table_in_use_is_left_to_a_job_whose_message_waits_for_every_cache() {
    let house = House::with_student().await;
    let answer = house.want(201, "POST /table/Student/index", r#"{"fields":["name"],"unique":true}"#).await;
    let table = answer.json();
    let index = &table["indexes"][2];
    assert_eq!((&index["id"], &index["state"]), (&json!(4), &json!("building")), "{table}");
    assert_eq!(answer.headers["location"], "/api/v1/zstorage/table/Student/index/4");
    let id = index["job"].as_str().unwrap();
    let job = house.store.jobs.job(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Running);
    assert!(matches!(job.kind, JobKind::BuildIndex { index, .. } if index.0 == 4));
    let message = &house.engine.messages(JOBS)[0];
    assert_eq!(message["DelaySeconds"], 60);
    assert_eq!(message["MessageBody"], json!({"job": id, "slice": 0}).to_string());
    assert_eq!(house.want(200, "GET /table/Student/index/4", "").await.json(), *index);
    house.want(204, "DELETE /table/Student/index/4", "").await;
    house.want(404, "GET /table/Student/index/4", "").await;
    house.want(404, "GET /table/Student/index/3", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_becomes_unique_shows_how_far_that_is() {
    let house = House::with_student().await;
    let table = house.want(200, "PUT /table/Student/field/name", r#"{"unique":true}"#).await.json();
    assert_eq!(table["fields"][1]["unique-state"]["state"], "building", "{table}");
    assert_eq!(table["indexes"].as_array().unwrap().len(), 2, "a guard is no index");
    assert_eq!(house.engine.bodies(JOBS).len(), 1);
    let table = house.want(200, "PUT /table/Student/field/name", r#"{"unique":false}"#).await.json();
    assert_eq!(
        (&table["fields"][1]["unique"], &table["fields"][1]["unique-state"]),
        (&json!(false), &json!(null))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_is_refused() {
    let house = House::with_student().await;
    let post = "POST /table/Student/index";
    house.refused(post, r#"{"fields":["age"]}"#, &[("fields", "taken")]).await;
    house.refused(post, r#"{"fields":["nobody"]}"#, &[("fields/0", "unknown-field")]).await;
    house.refused(post, r#"{"fields":["secret"]}"#, &[("fields/0", "not-indexable")]).await;
    house.refused(post, r#"{"fields":[]}"#, &[("fields", "required")]).await;
    house.refused(post, "{}", &[("fields", "required")]).await;
    for fields in [r#"["name"]"#, r#"["fee"]"#, r#"["grown"]"#] {
        house.want(201, post, &format!(r#"{{"fields":{fields}}}"#)).await;
    }
    house.refused(post, r#"{"fields":["status"]}"#, &[("", "too-many")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_jobs_queue_nothing_is_changed() {
    let house = House::with_student().await;
    house.engine.mood(Mood::Broken);
    house.want(503, "POST /table/Student/index", r#"{"fields":["name"]}"#).await;
    house.engine.mood(Mood::Fine);
    let table = house.want(200, "GET /table/Student", "").await.json();
    assert_eq!((table["indexes"].as_array().unwrap().len(), &table["version"]), (2, &json!(1)));
}

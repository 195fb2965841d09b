use domain::{JobKind, JobState};
use serde_json::json;

use crate::house::{House, JOBS, STUDENT};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_goes_by_a_job_too_for_others_may_write_to_it_until_they_know() {
    let house = House::with_student().await;
    let known = house.open("Student").await;
    let answer = house.want(202, "DELETE /table/Student", "").await.json();
    assert_eq!((&answer["apiName"], &answer["state"]), (&json!("Student"), &json!("deleting")));
    let id = answer["job"].as_str().unwrap();
    let job = house.store.jobs.job(id.parse().unwrap()).await.unwrap().unwrap();
    assert!(matches!(job.kind, JobKind::DropTable { table } if table == known.schema.table().prefix));
    let message = &house.engine.messages(JOBS)[0];
    assert_eq!(
        (&message["DelaySeconds"], &message["MessageBody"]),
        (&json!(60), &json!(json!({"job": id, "slice": 0}).to_string()))
    );
    assert_eq!(house.want(200, "GET /table/Student", "").await.json()["state"], "deleting");
    assert_eq!(
        house.want(409, "POST /table", STUDENT).await.faults(),
        [("apiName".to_owned(), "taken".to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_others_look_up_stays() {
    let house = House::with_student().await;
    let course = r#"{"apiName":"Course","fields":[{"apiName":"student","type":"lookup","table":"Student"}]}"#;
    house.want(201, "POST /table", course).await;
    let own = r#"{"apiName":"tutor","type":"lookup","table":"Student"}"#;
    house.want(201, "POST /table/Student/field", own).await;
    for line in ["DELETE /table/Student", "DELETE /table/Student?with-records=true"] {
        house.want(409, line, "").await;
    }
    house.want(204, "DELETE /table/Course/field/student", "").await;
    house.want(202, "DELETE /table/Student", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_records_goes_only_when_that_is_said_and_by_a_job() {
    let house = House::with_student().await;
    house.record("Student", r#"{"email":"a@b.ch","age":20}"#).await;
    house.want(409, "DELETE /table/Student", "").await;
    house.want(409, "DELETE /table/Student?with-records=false", "").await;
    house.want(422, "DELETE /table/Student?with-records=yes", "").await;
    let answer = house.want(202, "DELETE /table/Student?with-records=true", "").await.json();
    let job = house.store.jobs.job(answer["job"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(job.state, JobState::Running);
    assert!(matches!(job.kind, JobKind::DropTable { .. }));
    assert_eq!(house.engine.bodies(JOBS).len(), 1);
    assert_eq!(house.want(200, "GET /table/Student", "").await.json()["state"], json!("deleting"));
    house.want(409, "PUT /table/Student", r#"{"buckets":8}"#).await;
    house.want(409, "POST /table/Student/field", r#"{"apiName":"x","type":"text"}"#).await;
    let course = r#"{"apiName":"Course","fields":[{"apiName":"student","type":"lookup","table":"Student"}]}"#;
    house.refused("POST /table", course, &[("fields/0/table", "unknown-table")]).await;
    // Whoever asks again gets another job, which finds less to do.
    house.want(202, "DELETE /table/Student", "").await;
}

use domain::{ApiName, Job, JobId, JobKind, JobState, Sealed, Table, TableState};
use serde_json::json;

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_tells_how_far_it_is_to_a_key_with_that_right() {
    let house = House::start().await;
    let now = house.store.clock.now();
    let catalog = &house.store.catalog;
    let table = Table {
        prefix: catalog.take_table_prefix().await.unwrap(),
        api_name: ApiName::parse("T").unwrap(),
        label: None,
        fields: Vec::new(),
        next_field: 1,
        rules: Vec::new(),
        indexes: Vec::new(),
        next_index: 1,
        links: Vec::new(),
        next_link: 1,
        buckets: 4,
        data_key: Sealed(Vec::new()),
        state: TableState::Ready,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    catalog.create_table(&table).await.unwrap();
    let id = JobId::new(now, &mut rand::rng());
    house.want(404, &format!("GET /job/{id}"), "").await;
    house.want(404, "GET /job/no-id", "").await;
    let job = Job::new(id, JobKind::DropTable { table: table.prefix }, now);
    catalog.update_table_with_job(&table, &table, &house.store.jobs, &job).await.unwrap();
    assert_eq!(house.want(200, &format!("GET /job/{id}"), "").await.json()["state"], "running");
    let duplicates = vec![("A".to_owned(), "B".to_owned())];
    let state = JobState::Failed { reason: "why".to_owned() };
    house.store.jobs.note(&Job { done: 7, duplicates, state, ..job }).await.unwrap().unwrap();
    let told = house.want(200, &format!("GET /job/{id}"), "").await.json();
    for (member, expect) in [
        ("id", json!(id.to_string())),
        ("kind", json!("drop-table")),
        ("table", json!("T")),
        ("record-prefix", json!(table.prefix.as_str())),
        ("state", json!("failed")),
        ("reason", json!("why")),
        ("records-done", json!(7)),
        ("duplicates", json!([["A", "B"]])),
    ] {
        assert_eq!(told[member], expect, "{member}: {told}");
    }
    let key = house.store.key(&["job:read"]).await;
    assert_eq!(house.ask_as(&key, &format!("GET /job/{id}"), "").await.status, 200);
    let key = house.store.key(&["queue:read:*"]).await;
    assert_eq!(house.ask_as(&key, &format!("GET /job/{id}"), "").await.status, 403);
}

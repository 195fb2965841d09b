use domain::{ApiName, JobState};

use crate::house::House;
use crate::tables::Design;

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_removed_with_all_that_is_in_it_and_nothing_of_others() {
    let house = House::start().await;
    let design = || Design::new().integer("n").unique().indexed();
    let (gone, kept) =
        (house.tables.table("Gone", design()).await, house.tables.table("Kept", design()).await);
    for n in 0..25 {
        house.tables.record(&gone, &format!(r#"{{"n":{n}}}"#)).await;
        house.tables.record(&kept, &format!(r#"{{"n":{n}}}"#)).await;
    }
    let job = house.drop_table(&gone).await;
    assert_eq!(house.ring_for_one_slice(&job).await, 0);
    assert_eq!(house.job(&job).await.done, 10);
    let ended = house.finish(&job).await;
    assert_eq!((ended.state, ended.done), (JobState::Done, 25));
    let name = ApiName::parse("Gone").unwrap();
    assert!(house.worker.catalog.table_by_name(&name).await.unwrap().is_none());
    let client = crate::store::client(&house.tables.store.endpoint);
    let left = client.scan().table_name("records").send().await.unwrap().items.unwrap_or_default();
    let of_gone = left
        .iter()
        .filter(|item| item["pk"].as_s().unwrap().starts_with(gone.schema.table().prefix.as_str()));
    assert_eq!(of_gone.count(), 0, "no record and no guard is left");
    assert_eq!(house.worker.records.scan(&kept, None, 100).await.unwrap().records.len(), 25);
    let again = house.tables.table("Gone", design()).await;
    assert_ne!(again.schema.table().prefix, gone.schema.table().prefix);
}

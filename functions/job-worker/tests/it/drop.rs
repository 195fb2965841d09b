use domain::{ApiName, EntryState, JobState, KeyId};
use zstorage::{By, Outbox};

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

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_takes_along_what_others_wrote_to_it_before_they_knew() {
    let house = House::start().await;
    let table = house.tables.table("Gone", Design::new().integer("n").unique()).await;
    let job = house.drop_table(&table).await;
    // By the table as it was, as a process writes that knows no better yet.
    house.tables.record(&table, r#"{"n":1}"#).await;
    let ended = house.finish(&job).await;
    assert_eq!((ended.state, ended.done), (JobState::Done, 1));
    let client = crate::store::client(&house.tables.store.endpoint);
    let left = client.scan().table_name("records").send().await.unwrap().items.unwrap_or_default();
    let prefix = table.schema.table().prefix;
    assert!(left.iter().all(|item| !item["pk"].as_s().unwrap().starts_with(prefix.as_str())), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_are_held_while_their_table_is_removed_leave_nothing_but_letters() {
    let house = House::start().await;
    let table = house.tables.table("Gone", Design::new().integer("n").unique()).await;
    let known = house.tables.record(&table, r#"{"n":1}"#).await.parse().unwrap();
    let table = house.add_strict_link(&table).await;
    let records = &house.worker.records;
    let by =
        || By { caller: KeyId::new(house.worker.clock.now(), &mut rand::rng()), idempotency: None, depth: 0 };
    let fields = |text: &str| serde_json::from_str(text).unwrap();
    let changed = records.update(&table, known, &fields(r#"{"n":2}"#), None, &by()).await.unwrap();
    let made = records.create(&table, &fields(r#"{"n":3}"#), &by()).await.unwrap();
    let job = house.drop_table(&table).await;
    assert_eq!(house.finish(&job).await.state, JobState::Done);
    let client = crate::store::client(&house.tables.store.endpoint);
    let left = client.scan().table_name("records").send().await.unwrap().items.unwrap_or_default();
    let prefix = table.schema.table().prefix;
    assert!(left.iter().all(|item| !item["pk"].as_s().unwrap().starts_with(prefix.as_str())), "{left:?}");
    let outbox = Outbox::new(client, "outbox".into(), house.worker.clock.clone());
    for written in [changed, made] {
        let entry = outbox.entry(&written.held.unwrap().entry.key).await.unwrap().unwrap();
        assert_eq!(entry.state, EntryState::Parked);
        assert!(entry.reason.unwrap().contains("deleted"));
    }
}

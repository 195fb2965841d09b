use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{FieldId, IndexId, IndexState, RecordId};
use futures::future::{join, join_all};
use zstorage::{OpenTable, Records, Slice, WriteError};

use crate::house::{House, key_id};
use crate::students::{by, changed, index, open, raw, students};

/// The same students with no index at all.
async fn bare() -> OpenTable {
    changed(&open(students).await, |table| table.indexes.clear())
}

fn building(bare: &OpenTable, fields: &[u32], unique: bool) -> OpenTable {
    changed(bare, |table| {
        let mut new = index(9, fields, unique, Some(1));
        new.state = IndexState::Building { job: "job".into() };
        table.indexes.push(new);
        table.next_index = 10;
    })
}

/// Builds to the end; the worker of each slice knows nothing but the cursor of the one before.
async fn build(house: &House, table: &OpenTable, limit: usize) -> (u64, Vec<(String, String)>) {
    let (mut cursor, mut done, mut duplicates) = (None, 0, Vec::new());
    loop {
        let slice = house.records().build_slice(table, IndexId(9), cursor.as_deref(), limit).await.unwrap();
        done += slice.done;
        duplicates.extend(slice.duplicates);
        cursor = slice.cursor;
        if cursor.is_none() {
            return (done, duplicates);
        }
    }
}

/// The ids in the secondary index of slot 1, and the key each stands under.
async fn in_index(house: &House) -> BTreeMap<String, String> {
    let scan = house.client.scan().table_name("records").index_name("index-1");
    let items = scan.send().await.unwrap().items.unwrap_or_default();
    let entry = |item: &HashMap<String, AttributeValue>| {
        (item["sk"].as_s().unwrap().clone(), format!("{:?}", item["i1sk"]))
    };
    items.iter().map(entry).collect()
}

async fn make(records: &Records, table: &OpenTable, json: &str) -> RecordId {
    records.create(table, &raw(json), &by(key_id())).await.unwrap().record.id
}

#[tokio::test]
async fn an_index_on_a_filled_table_holds_what_was_there_before() {
    let house = House::new().await;
    let (records, bare) = (house.records(), bare().await);
    let mut expect = Vec::new();
    for age in 0..30 {
        expect.push(make(&records, &bare, &format!(r#"{{"age":{age}}}"#)).await.to_string());
    }
    make(&records, &bare, r#"{"name":"no age"}"#).await;
    assert!(in_index(&house).await.is_empty());
    let with = building(&bare, &[3], false);
    let (done, duplicates) = build(&house, &with, 7).await;
    assert_eq!((done, duplicates.len()), (31, 0));
    expect.sort();
    let built = in_index(&house).await;
    assert_eq!(built.keys().cloned().collect::<Vec<_>>(), expect);
    assert_eq!(build(&house, &with, 100).await, (31, vec![]), "it may be done again");
    assert_eq!(in_index(&house).await, built);
    // In a slot that another index had before, its entries are overwritten or taken away.
    let next = changed(&with, |table| {
        let only = &mut table.indexes[0];
        only.fields = vec![FieldId(2)];
    });
    build(&house, &next, 100).await;
    assert_eq!(in_index(&house).await.len(), 1);
    let none = records.build_slice(&bare, IndexId(9), None, 9).await.unwrap();
    assert_eq!(none, Slice::default(), "an index that was dropped meanwhile");
}

#[tokio::test]
async fn values_that_stand_twice_are_named_and_do_not_keep_anyone_from_writing() {
    let house = House::new().await;
    let (records, bare, caller) = (house.records(), bare().await, key_id());
    let one = make(&records, &bare, r#"{"email":"a@b.cd"}"#).await;
    let other = make(&records, &bare, r#"{"email":"a@b.cd"}"#).await;
    make(&records, &bare, r#"{"email":"b@b.cd"}"#).await;
    let with = building(&bare, &[1], true);
    let (_, duplicates) = build(&house, &with, 1).await;
    assert_eq!(duplicates.len(), 1);
    let (holder, second) = duplicates[0].clone();
    let mut pair = [holder.clone(), second.clone()];
    pair.sort();
    let mut expect = [one.to_string(), other.to_string()];
    expect.sort();
    assert_eq!(pair, expect);
    let taken = records.create(&with, &raw(r#"{"email":"b@b.cd"}"#), &by(caller)).await;
    assert!(matches!(taken, Err(WriteError::Taken { .. })));
    // The one without a guard may change its value and go; the guard of the other stays.
    let second: RecordId = second.parse().unwrap();
    records.update(&with, second, &raw(r#"{"email":"c@b.cd"}"#), None, &by(caller)).await.unwrap();
    let taken = records.create(&with, &raw(r#"{"email":"a@b.cd"}"#), &by(caller)).await;
    assert!(matches!(taken, Err(WriteError::Taken { .. })));
    records.delete(&with, second, None, &by(caller)).await.unwrap();
    records.delete(&with, holder.parse().unwrap(), None, &by(caller)).await.unwrap();
    assert_eq!(build(&house, &with, 10).await.1, vec![]);
    make(&records, &with, r#"{"email":"a@b.cd"}"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_built_while_eight_write_is_whole() {
    let house = House::new().await;
    let (records, bare, caller) = (house.records(), bare().await, key_id());
    let mut ids = Vec::new();
    for at in 0..60 {
        ids.push(make(&records, &bare, &format!(r#"{{"email":"{at}@b.cd","age":{at}}}"#)).await);
    }
    // By the time that a job starts, every process knows the index.
    let with = building(&bare, &[1], true);
    let write = async |writer: usize| {
        for turn in 0..12 {
            let id = ids[(writer * 7 + turn * 11) % ids.len()];
            let given = match turn % 4 {
                0 => format!(r#"{{"email":"{writer}-{turn}@b.cd"}}"#),
                1 => format!(r#"{{"age":{turn}}}"#),
                2 => r#"{"email":null}"#.to_owned(),
                _ => {
                    make(&records, &with, &format!(r#"{{"email":"new-{writer}-{turn}@b.cd"}}"#)).await;
                    continue;
                }
            };
            match records.update(&with, id, &raw(&given), None, &by(caller)).await {
                Ok(_) => {}
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        }
    };
    let ((_, duplicates), _) = join(build(&house, &with, 5), join_all((0..8).map(write))).await;
    assert_eq!(duplicates, vec![]);
    let all = records.scan(&with, None, 1000).await.unwrap().records;
    let mut expect: Vec<String> = all
        .iter()
        .filter(|record| record.values.contains_key(&FieldId(1)))
        .map(|record| record.id.to_string())
        .collect();
    expect.sort();
    assert_eq!(in_index(&house).await.into_keys().collect::<Vec<_>>(), expect);
    // One guard for each value that stands, and none beside: records and guards are all there is.
    assert_eq!(house.items("records").await, all.len() + expect.len());
}

#[tokio::test]
async fn a_dropped_table_leaves_nothing_behind() {
    let house = House::new().await;
    let (records, students) = (house.records(), open(students).await);
    for at in 0..33 {
        make(&records, &students, &format!(r#"{{"email":"{at}@b.cd","name":"n","age":{at}}}"#)).await;
    }
    let (mut cursor, mut done) = (None, 0);
    loop {
        let slice = records.drop_slice(&students, cursor.as_deref(), 10).await.unwrap();
        (cursor, done) = (slice.cursor, done + slice.done);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((done, house.items("records").await), (33, 0));
}

#[tokio::test]
async fn a_dropped_table_leaves_no_record_behind_that_cannot_be_read() {
    let house = House::new().await;
    let (records, students) = (house.records(), open(students).await);
    let id = make(&records, &students, r#"{"email":"a@b.cd","ssn":"1","age":1}"#).await;
    let garbage = AttributeValue::B(b"sealed with another key".to_vec().into());
    let call = house.client.update_item().table_name("records");
    let call = call
        .key("pk", AttributeValue::S(format!("{}#{}", id.table(), id.bucket())))
        .key("sk", AttributeValue::S(id.to_string()));
    let call = call.update_expression("SET f11 = :garbage").expression_attribute_values(":garbage", garbage);
    call.send().await.unwrap();
    assert!(records.get(&students, id).await.is_err());
    let slice = records.drop_slice(&students, None, 10).await.unwrap();
    assert_eq!((slice.done, slice.cursor, house.items("records").await), (1, None, 0));
}

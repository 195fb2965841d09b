use std::collections::HashMap;

use domain::{Decimal, Operation, RecordId, TablePrefix, TableState, Value};
use futures::future::join_all;
use jiff::Timestamp;
use zstorage::{MAX_RECORD_BYTES, WriteError};

use crate::house::{House, key_id};
use crate::students::{by, changed, field, keyed, open, raw, students, value};

const WHOLE: &str = r#"{"email":"joao@example.com","name":"João","age":-7,"fee":"12345678901234567890123456789012345678",
    "price":0.10,"active":false,"joined":"2024-02-29T23:59:59.123456789-03:00","meta":{"b":[1,null]},"ssn":"123-canary",
    "bio":"a\nb","site":"https://example.com/?q=1"}"#;

#[tokio::test]
async fn a_record_is_read_as_it_was_written_whatever_its_fields() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let made = records.create(&open, &raw(WHOLE), &by(caller)).await.unwrap();
    assert_eq!((made.operation, made.replayed, made.record.version), (Operation::Create, false, 1));
    let friend = format!(r#"{{"name":"Ana","friend":"{}"}}"#, made.record.id);
    let other = records.create(&open, &raw(&friend), &by(caller)).await.unwrap();
    assert_eq!(value(&other.record, &open, "friend"), Some(&Value::Lookup(made.record.id)));
    let scanned = records.scan(&open, None, 10).await.unwrap();
    let mut expect = vec![made.record.clone(), other.record];
    expect.sort_by_key(|record| record.id.to_string());
    assert_eq!((scanned.records, scanned.cursor), (expect, None));
    let fee = "12345678901234567890123456789012345678".parse::<Decimal>().unwrap();
    assert_eq!(value(&made.record, &open, "fee"), Some(&Value::Decimal(fee)));
    assert_eq!(value(&made.record, &open, "doubled"), Some(&Value::Integer(-14)));
    assert_eq!(value(&made.record, &open, "status"), Some(&Value::Text("new".into())));
}

#[tokio::test]
async fn encrypted_text_lies_nowhere_in_clear() {
    let house = House::new().await;
    let (records, open) = (house.records(), open(students).await);
    let made = records.create(&open, &raw(WHOLE), &keyed(key_id(), "k", 1)).await.unwrap();
    records
        .update(&open, made.record.id, &raw(r#"{"ssn":"another canary"}"#), None, &by(key_id()))
        .await
        .unwrap();
    let items = house.client.scan().table_name("records").send().await.unwrap();
    let stored = format!("{:?}", items.items());
    assert!(!stored.contains("canary") && stored.contains("joao@example.com"));
    // The debug form shows bytes as numbers.
    assert!(!stored.contains(&format!("{:?}", b"canary").trim_matches(['[', ']']).to_owned()));
    assert!(!format!("{made:?}").contains("canary"));
}

#[tokio::test]
async fn decimals_keep_every_digit_and_every_size() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    for digits in [
        "0",
        "-1",
        "0.1",
        "99999999999999999999999999999999999999",
        "-0.12345678901234567890123456789012345678",
        "1e125",
        "-1e125",
        "1e-125",
        "9.9999999999999999999999999999999999999e125",
        "1.5e-120",
        "-1.2345678901234567890123456789012345678e-125",
    ] {
        let given = raw(&format!(r#"{{"fee":"{digits}"}}"#));
        let made =
            records.create(&open, &given, &by(caller)).await.unwrap_or_else(|e| panic!("{digits}: {e}"));
        let read = records.get(&open, made.record.id).await.unwrap().unwrap();
        assert_eq!(value(&read, &open, "fee"), Some(&Value::Decimal(digits.parse().unwrap())), "{digits}");
    }
}

#[tokio::test]
async fn an_update_merges_and_what_changes_nothing_is_no_write() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let made = records.create(&open, &raw(r#"{"name":"Ana","age":30}"#), &by(caller)).await.unwrap().record;
    house.hands.turn_secs(5);
    let update =
        async |json: &str, if_match| records.update(&open, made.id, &raw(json), if_match, &by(caller)).await;
    let two = update(r#"{"age":31}"#, Some(1)).await.unwrap().record;
    assert_eq!((two.version, value(&two, &open, "name")), (2, Some(&Value::Text("Ana".into()))));
    assert_eq!(value(&two, &open, "doubled"), Some(&Value::Integer(62)));
    assert_eq!((two.created_at, two.updated_at > made.updated_at), (made.created_at, true));
    let same = update(r#"{"age":31}"#, None).await.unwrap();
    assert_eq!((same.record, same.replayed), (two, false));
    assert!(matches!(update(r#"{"age":32}"#, Some(1)).await, Err(WriteError::Stale { current: 2 })));
    let gone = update(r#"{"age":null}"#, None).await.unwrap().record;
    assert_eq!((gone.version, value(&gone, &open, "age"), value(&gone, &open, "doubled")), (3, None, None));
    assert!(matches!(update(r#"{"nothing":1}"#, None).await, Err(WriteError::Invalid(_))));
    let stale = records.delete(&open, made.id, Some(2), &by(caller)).await;
    assert!(matches!(stale, Err(WriteError::Stale { current: 3 })));
    assert_eq!(records.delete(&open, made.id, Some(3), &by(caller)).await.unwrap().record, gone);
    assert!(matches!(update(r#"{"age":1}"#, None).await, Err(WriteError::Missing)));
    assert!(matches!(records.delete(&open, made.id, None, &by(caller)).await, Err(WriteError::Missing)));
    assert_eq!(records.get(&open, made.id).await.unwrap(), None);
}

#[tokio::test]
async fn rules_hold_on_update_and_delete() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let id = records.create(&open, &raw(r#"{"status":"paid"}"#), &by(caller)).await.unwrap().record.id;
    let back = records.update(&open, id, &raw(r#"{"status":"new"}"#), None, &by(caller)).await;
    assert!(
        matches!(back, Err(WriteError::Invalid(faults)) if faults.to_string().contains("who has paid stays"))
    );
    assert!(matches!(records.delete(&open, id, None, &by(caller)).await, Err(WriteError::Invalid(_))));
}

#[tokio::test]
async fn ids_of_other_tables_and_tables_that_end_are_refused() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let made = records.create(&open, &raw(r#"{"age":1}"#), &by(caller)).await.unwrap().record.id;
    let foreign = RecordId::new(TablePrefix::nth(9).unwrap(), 4, Timestamp::now(), &mut rand::rng());
    assert!(matches!(records.delete(&open, foreign, None, &by(caller)).await, Err(WriteError::Missing)));
    let ending = changed(&open, |table| table.state = TableState::Deleting);
    assert!(matches!(records.create(&ending, &raw("{}"), &by(caller)).await, Err(WriteError::Deleting)));
    assert!(matches!(records.delete(&ending, made, None, &by(caller)).await, Err(WriteError::Deleting)));
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_before_anything_is_written() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let of = |bytes: usize| raw(&format!(r#"{{"bio":"{}"}}"#, "x".repeat(bytes)));
    let error = records.create(&open, &of(MAX_RECORD_BYTES), &by(caller)).await;
    assert!(matches!(error, Err(WriteError::TooLarge { bytes }) if bytes > MAX_RECORD_BYTES));
    assert_eq!(house.items("records").await, 0);
    // Its image fits into an idempotency row.
    let large = of(MAX_RECORD_BYTES - 9 * 1024);
    let first = records.create(&open, &large, &keyed(caller, "k", 1)).await.unwrap();
    let again = records.create(&open, &large, &keyed(caller, "k", 1)).await.unwrap();
    assert_eq!((again.record, again.replayed), (first.record, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_writers_on_16_records_none_loses_an_update() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let mut ids = Vec::new();
    for _ in 0..16 {
        ids.push(records.create(&open, &raw(r#"{"fee":"0"}"#), &by(caller)).await.unwrap().record.id);
    }
    let write = async |writer: usize| {
        let mut done: HashMap<RecordId, u64> = HashMap::new();
        for turn in 0..4 {
            let id = ids[(writer + turn * 5) % ids.len()];
            let given = raw(&format!(r#"{{"fee":"{writer}.{turn}1"}}"#));
            match records.update(&open, id, &given, None, &by(caller)).await {
                Ok(_) => *done.entry(id).or_default() += 1,
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        }
        done
    };
    let mut expect: HashMap<RecordId, u64> = ids.iter().map(|id| (*id, 1)).collect();
    for done in join_all((0..64).map(write)).await {
        for (id, count) in done {
            *expect.get_mut(&id).unwrap() += count;
        }
    }
    // How many of the 256 get through in time is the machine's affair; none of those that did is lost.
    assert!(expect.values().sum::<u64>() > 16 + 64, "{expect:?}");
    for id in ids {
        assert_eq!(records.get(&open, id).await.unwrap().unwrap().version, expect[&id]);
    }
}

#[tokio::test]
async fn a_process_that_knows_fewer_fields_does_not_drop_what_it_does_not_know() {
    let house = House::new().await;
    let (records, old, caller) = (house.records(), open(students).await, key_id());
    let new = changed(&old, |table| {
        table.fields.push(field(15, "late", domain::FieldKind::Boolean));
        table.next_field = 16;
    });
    let id = records.create(&new, &raw(r#"{"late":true,"age":1}"#), &by(caller)).await.unwrap().record.id;
    records.update(&old, id, &raw(r#"{"age":2}"#), None, &by(caller)).await.unwrap();
    let read = records.get(&new, id).await.unwrap().unwrap();
    assert_eq!(
        (value(&read, &new, "late"), value(&read, &new, "age")),
        (Some(&Value::Boolean(true)), Some(&Value::Integer(2)))
    );
    // A field that is gone takes its values along.
    let gone = changed(&new, |table| drop(table.fields.pop()));
    records.update(&gone, id, &raw(r#"{"age":3}"#), None, &by(caller)).await.unwrap();
    assert_eq!(value(&records.get(&new, id).await.unwrap().unwrap(), &new, "late"), None);
}

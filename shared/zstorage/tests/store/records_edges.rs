//! Records and batches as large as they may be, answers older than their table's design.

use domain::{ApiName, FieldId, Operation, Value};
use zstorage::{Change, ChangeKind, MAX_RECORD_BYTES, WriteError};

use crate::house::{House, key_id};
use crate::students::{by, changed, keyed, open, raw, students, value};

#[tokio::test]
async fn a_record_as_large_as_may_be_is_kept_with_its_answer_and_one_byte_more_is_refused() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let of = |bytes: usize| raw(&format!(r#"{{"email":"a@b.cd","meta":"{}"}}"#, "x".repeat(bytes)));
    let error = records.create(&open, &of(MAX_RECORD_BYTES), &by(caller)).await.unwrap_err();
    let WriteError::TooLarge { bytes } = error else { panic!("{error:?}") };
    let most = MAX_RECORD_BYTES - (bytes - MAX_RECORD_BYTES);
    let over = records.create(&open, &of(most + 1), &keyed(caller, "k", 1)).await;
    assert!(matches!(over, Err(WriteError::TooLarge { bytes }) if bytes == MAX_RECORD_BYTES + 1), "{over:?}");
    let made = records.create(&open, &of(most), &keyed(caller, "k", 1)).await.unwrap();
    let again = records.create(&open, &of(most), &keyed(caller, "k", 1)).await.unwrap();
    assert_eq!((&again.record, again.replayed), (&made.record, true));
    let gone = records.delete(&open, made.record.id, Some(1), &keyed(caller, "d", 1)).await.unwrap();
    assert_eq!(gone.record, made.record);
}

#[tokio::test]
async fn a_batch_may_remove_and_read_more_than_a_transaction_may_write() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let large = raw(&format!(r#"{{"meta":"{}"}}"#, "x".repeat(380_000)));
    let mut ids = Vec::new();
    for _ in 0..24 {
        ids.push(records.create(&open, &large, &by(caller)).await.unwrap().record.id);
    }
    let change = |kind| Change { table: open.clone(), kind };
    let pointing = |id| change(ChangeKind::Create(raw(&format!(r#"{{"friend":"{id}"}}"#))));
    let lookups: Vec<Change> = ids.iter().map(pointing).collect();
    let answers = records.batch(lookups, true, &by(caller)).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let removing = |id| change(ChangeKind::Delete { id, if_match: None });
    let deletes: Vec<Change> = ids.iter().copied().map(removing).collect();
    let answers = records.batch(deletes, true, &by(caller)).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(house.items("records").await, 24);
}

#[tokio::test]
async fn an_answer_is_repeated_by_the_names_and_fields_that_its_table_has_by_then() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let given = raw(r#"{"name":"Ana","age":7,"ssn":"secret"}"#);
    let made = records.create(&open, &given, &keyed(caller, "k", 1)).await.unwrap();
    let now = changed(&open, |table| {
        table.fields.retain(|field| field.api_name.as_str() != "bio" && field.api_name.as_str() != "age");
        table.fields.retain(|field| field.api_name.as_str() != "doubled");
        table.indexes.clear();
        table.fields[1].api_name = ApiName::parse("called").unwrap();
        table.fields[1].required = true;
    });
    // The field that the request names is there no more; what was done was done.
    let again = records.create(&now, &given, &keyed(caller, "k", 1)).await.unwrap();
    assert_eq!((again.record.id, again.operation, again.replayed), (made.record.id, Operation::Create, true));
    assert_eq!(value(&again.record, &now, "called"), Some(&Value::Text("Ana".into())));
    assert_eq!(again.record.values.get(&FieldId(3)), None);
    let fresh = records.create(&now, &given, &keyed(caller, "other", 1)).await;
    assert!(matches!(fresh, Err(WriteError::Invalid(_))), "{fresh:?}");
}

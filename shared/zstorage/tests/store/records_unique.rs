use domain::{Operation, RecordId, Value};
use futures::future::join_all;
use jiff::Timestamp;
use zstorage::{Change, ChangeKind, MAX_ACTIONS, OpenTable, WriteError};

use crate::house::{House, key_id};
use crate::students::{by, keyed, open, raw, students, value};

fn create(table: &OpenTable, json: &str) -> Change {
    Change { table: table.clone(), kind: ChangeKind::Create(raw(json)) }
}

fn update(table: &OpenTable, id: RecordId, json: &str) -> Change {
    Change { table: table.clone(), kind: ChangeKind::Update { id, fields: raw(json), if_match: None } }
}

fn delete(table: &OpenTable, id: RecordId) -> Change {
    Change { table: table.clone(), kind: ChangeKind::Delete { id, if_match: None } }
}

fn taken(answer: &Result<zstorage::Written, WriteError>) -> Vec<String> {
    match answer {
        Err(WriteError::Taken { fields }) => fields.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_creates_with_one_unique_value_one_succeeds_and_99_are_told_the_field() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let create = async |at: usize| {
        let given = raw(&format!(r#"{{"email":"one@example.com","age":{at}}}"#));
        records.create(&open, &given, &by(caller)).await
    };
    let answers = join_all((0..100).map(create)).await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (1, 99));
    assert!(refused.iter().all(|answer| taken(answer) == ["email"]));
    assert_eq!(records.scan(&open, None, 200).await.unwrap().records.len(), 1);
}

#[tokio::test]
async fn a_unique_value_is_free_again_after_it_was_changed_or_removed() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let make = async |json: &str| records.create(&open, &raw(json), &by(caller)).await;
    let first = make(r#"{"email":"a@b.cd","name":"Ana","age":1}"#).await.unwrap().record.id;
    assert_eq!(taken(&make(r#"{"email":"a@b.cd"}"#).await), ["email"]);
    assert_eq!(taken(&make(r#"{"email":"x@b.cd","name":"Ana","age":1}"#).await), ["name", "age"]);
    assert_eq!(taken(&make(r#"{"email":"a@b.cd","name":"Ana","age":1}"#).await), ["email", "name", "age"]);
    // Together they are unique, alone they are not, and what is absent is no value.
    make(r#"{"email":"b@b.cd","name":"Ana","age":2}"#).await.unwrap();
    make(r#"{"name":"Ana"}"#).await.unwrap();
    make(r#"{"name":"Ana"}"#).await.unwrap();
    records.update(&open, first, &raw(r#"{"email":"c@b.cd"}"#), None, &by(caller)).await.unwrap();
    let second = make(r#"{"email":"a@b.cd"}"#).await.unwrap().record.id;
    let back = records.update(&open, first, &raw(r#"{"email":"a@b.cd"}"#), None, &by(caller)).await;
    assert_eq!(taken(&back), ["email"]);
    records.delete(&open, second, None, &by(caller)).await.unwrap();
    records.update(&open, first, &raw(r#"{"email":"a@b.cd"}"#), None, &by(caller)).await.unwrap();
    records.update(&open, first, &raw(r#"{"email":null}"#), None, &by(caller)).await.unwrap();
    make(r#"{"email":"a@b.cd"}"#).await.unwrap();
}

#[tokio::test]
async fn unique_values_change_hands_within_one_batch() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let make = async |email: &str| {
        let given = raw(&format!(r#"{{"email":"{email}"}}"#));
        records.create(&open, &given, &by(caller)).await.unwrap().record.id
    };
    let (a, b) = (make("a@b.cd").await, make("b@b.cd").await);
    let swap = vec![update(&open, a, r#"{"email":"b@b.cd"}"#), update(&open, b, r#"{"email":"a@b.cd"}"#)];
    let answers = records.batch(swap, true, &by(caller)).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let heir = vec![create(&open, r#"{"email":"a@b.cd"}"#), delete(&open, b)];
    let answers = records.batch(heir, true, &by(caller)).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let read = records.get(&open, a).await.unwrap().unwrap();
    assert_eq!(value(&read, &open, "email"), Some(&Value::Text("b@b.cd".into())));
    // Guards are those of the records that are there: no more, no fewer.
    for email in ["a@b.cd", "b@b.cd"] {
        let given = raw(&format!(r#"{{"email":"{email}"}}"#));
        assert_eq!(taken(&records.create(&open, &given, &by(caller)).await), ["email"]);
    }
    assert_eq!(house.items("records").await, 4);
}

#[tokio::test]
async fn an_atomic_batch_is_done_whole_or_not_at_all() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let there = records.create(&open, &raw(r#"{"email":"a@b.cd"}"#), &by(caller)).await.unwrap().record.id;
    let gone = RecordId::new(there.table(), 4, Timestamp::now(), &mut rand::rng());
    let items = house.items("records").await;
    let changes = vec![
        create(&open, r#"{"email":"new@b.cd"}"#),
        create(&open, r#"{"age":"x","nothing":1}"#),
        update(&open, gone, r#"{"age":1}"#),
        delete(&open, there),
    ];
    let answers = records.batch(changes, true, &by(caller)).await.unwrap();
    assert!(matches!(answers[0], Err(WriteError::Undone)));
    assert!(matches!(&answers[1], Err(WriteError::Invalid(faults)) if faults.0.len() == 2));
    assert!(matches!(answers[2], Err(WriteError::Missing)));
    assert!(matches!(answers[3], Err(WriteError::Undone)));
    let changes = vec![create(&open, r#"{"email":"x@b.cd"}"#), create(&open, r#"{"email":"a@b.cd"}"#)];
    let answers = records.batch(changes, true, &by(caller)).await.unwrap();
    assert!(matches!(answers[0], Err(WriteError::Undone)) && taken(&answers[1]) == ["email"]);
    let twins = vec![create(&open, r#"{"email":"x@b.cd"}"#), create(&open, r#"{"email":"x@b.cd"}"#)];
    let answers = records.batch(twins, true, &by(caller)).await.unwrap();
    assert!(matches!(answers[0], Err(WriteError::Undone)) && taken(&answers[1]) == ["email"]);
    let twice = vec![update(&open, there, r#"{"age":1}"#), delete(&open, there)];
    let answers = records.batch(twice, true, &by(caller)).await.unwrap();
    assert!(matches!(&answers[1], Err(WriteError::Invalid(faults)) if faults.0[0].code == "repeated"));
    assert_eq!(house.items("records").await, items);
    let changes = vec![create(&open, r#"{"email":"x@b.cd"}"#), update(&open, there, r#"{"age":1}"#)];
    let answers = records.batch(changes, true, &by(caller)).await.unwrap();
    let did: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().operation).collect();
    assert_eq!(did, [Operation::Create, Operation::Update]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_reaches_as_far_as_one_transaction_and_per_item_beyond() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let plain = |count: usize| (0..count).map(|age| create(&open, &format!(r#"{{"age":{age}}}"#))).collect();
    let answers = records.batch(plain(100), true, &by(caller)).await.unwrap();
    assert!(answers.len() == 100 && answers.iter().all(Result::is_ok));
    let error = records.batch(plain(101), true, &by(caller)).await.unwrap_err();
    assert!(matches!(error, WriteError::TooMany { actions: 101 }));
    let error = records.batch(plain(100), true, &keyed(caller, "k", 1)).await.unwrap_err();
    assert!(matches!(error, WriteError::TooMany { actions } if actions == MAX_ACTIONS + 1));
    let large = (0..14).map(|_| create(&open, &format!(r#"{{"meta":"{}"}}"#, "x".repeat(300_000)))).collect();
    let error = records.batch(large, true, &by(caller)).await.unwrap_err();
    assert!(matches!(error, WriteError::TooLarge { bytes } if bytes > 4_000_000));
    let mut many: Vec<Change> = plain(150);
    many.push(create(&open, r#"{"email":"same@b.cd"}"#));
    many.push(create(&open, r#"{"email":"same@b.cd"}"#));
    let answers = records.batch(many, false, &by(caller)).await.unwrap();
    assert!(answers[..150].iter().all(Result::is_ok));
    assert_eq!(answers[150..].iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(records.batch(Vec::new(), true, &by(caller)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lookup_names_a_record_that_is_there() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let make = async |json: &str| records.create(&open, &raw(json), &by(caller)).await;
    let friend = make("{}").await.unwrap().record.id;
    let gone = RecordId::new(friend.table(), 4, Timestamp::now(), &mut rand::rng());
    let pointing = |id: RecordId| format!(r#"{{"friend":"{id}"}}"#);
    let lookup_fault = |answer: &Result<zstorage::Written, WriteError>| matches!(answer, Err(WriteError::Invalid(faults)) if faults.0[0].path == "fields/friend" && faults.0[0].code == "lookup");
    assert!(lookup_fault(&make(&pointing(gone)).await));
    let id = make(&pointing(friend)).await.unwrap().record.id;
    // To itself, to what the batch makes no difference to, to what the batch removes.
    records.update(&open, id, &raw(&pointing(id)), None, &by(caller)).await.unwrap();
    let both = vec![
        create(&open, &pointing(friend)),
        create(&open, &pointing(friend)),
        update(&open, id, &pointing(friend)),
    ];
    assert!(records.batch(both, true, &by(caller)).await.unwrap().iter().all(Result::is_ok));
    let with = vec![create(&open, &pointing(friend)), update(&open, friend, r#"{"age":1}"#)];
    assert!(records.batch(with, true, &by(caller)).await.unwrap().iter().all(Result::is_ok));
    let against = vec![create(&open, &pointing(friend)), delete(&open, friend)];
    assert!(lookup_fault(&records.batch(against, true, &by(caller)).await.unwrap()[0]));
    // A lookup that stays as it is is not asked again.
    records.delete(&open, friend, None, &by(caller)).await.unwrap();
    records.update(&open, id, &raw(r#"{"age":5}"#), None, &by(caller)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_record_in_a_batch_that_is_not_atomic_are_all_done_and_in_their_order() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let id = records.create(&open, &raw("{}"), &by(caller)).await.unwrap().record.id;
    let changes = (0..60).map(|fee| update(&open, id, &format!(r#"{{"fee":{}}}"#, fee + 1))).collect();
    let answers = records.batch(changes, false, &by(caller)).await.unwrap();
    let versions = answers.into_iter().map(|answer| answer.map(|written| written.record.version));
    let versions: Vec<u64> = versions.collect::<Result<_, _>>().unwrap();
    assert_eq!(versions, (2..=61).collect::<Vec<_>>());
    let record = records.get(&open, id).await.unwrap().unwrap();
    assert_eq!(value(&record, &open, "fee"), Some(&Value::Decimal(60.into())));
}

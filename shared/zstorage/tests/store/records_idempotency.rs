use domain::Operation;
use futures::future::join_all;
use zstorage::{Change, ChangeKind, WriteError};

use crate::house::{House, key_id};
use crate::students::{by, keyed, open, raw, students};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sent_one_to_five_times_at_once_writes_once_and_answers_alike() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    for times in 1..=5_usize {
        let key = format!("key {times}");
        let given = raw(&format!(r#"{{"email":"{times}@b.cd","ssn":"s","fee":"1.10"}}"#));
        let send = async |_| records.create(&open, &given, &keyed(caller, &key, 1)).await;
        let answers = join_all((0..times).map(send)).await;
        let written: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(written.iter().filter(|written| !written.replayed).count(), 1);
        assert!(written.iter().all(|other| other.record == written[0].record));
        let other = records.create(&open, &raw(r#"{"age":1}"#), &keyed(caller, &key, 2)).await;
        assert!(matches!(other, Err(WriteError::OtherBody)));
        // Another caller's key is another key.
        records.create(&open, &raw("{}"), &keyed(key_id(), &key, 1)).await.unwrap();
    }
    assert_eq!(records.scan(&open, None, 100).await.unwrap().records.len(), 10);
}

#[tokio::test]
async fn an_answer_is_repeated_whatever_became_of_the_record_since() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let given = raw(r#"{"email":"a@b.cd","status":"new"}"#);
    let made = records.create(&open, &given, &keyed(caller, "create", 1)).await.unwrap();
    let id = made.record.id;
    let pay = raw(r#"{"status":"paid"}"#);
    let paid = records.update(&open, id, &pay, Some(1), &keyed(caller, "pay", 1)).await.unwrap();
    records.update(&open, id, &raw(r#"{"age":9}"#), None, &by(caller)).await.unwrap();
    // Version and rules would refuse them now; they were done before.
    let again = records.update(&open, id, &pay, Some(1), &keyed(caller, "pay", 1)).await.unwrap();
    assert_eq!((again.record, again.replayed, again.operation), (paid.record, true, Operation::Update));
    let again = records.create(&open, &given, &keyed(caller, "create", 1)).await.unwrap();
    assert_eq!((&again.record, again.replayed), (&made.record, true));
    // A change that changes nothing takes its key all the same.
    let same = raw(r#"{"age":9}"#);
    let nothing = records.update(&open, id, &same, None, &keyed(caller, "same", 1)).await.unwrap();
    assert_eq!((nothing.record.version, nothing.replayed), (3, false));
    assert!(records.update(&open, id, &same, None, &keyed(caller, "same", 1)).await.unwrap().replayed);
    let other = records.update(&open, id, &same, None, &keyed(caller, "same", 2)).await;
    assert!(matches!(other, Err(WriteError::OtherBody)));
    let second = records.create(&open, &raw(r#"{"age":1}"#), &by(caller)).await.unwrap().record;
    let gone = records.delete(&open, second.id, None, &keyed(caller, "delete", 1)).await.unwrap();
    let again = records.delete(&open, second.id, None, &keyed(caller, "delete", 1)).await.unwrap();
    assert_eq!((again.record, again.replayed), (gone.record, true));
    assert!(matches!(records.delete(&open, second.id, None, &by(caller)).await, Err(WriteError::Missing)));
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day_though_its_row_may_still_lie_there() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let send = async || records.create(&open, &raw("{}"), &keyed(caller, "k", 1)).await.unwrap();
    let first = send().await;
    house.hands.turn_secs(24 * 3600 - 1);
    assert!(send().await.replayed);
    house.hands.turn_secs(1);
    let second = send().await;
    assert!(!second.replayed && second.record.id != first.record.id);
    // A refused write takes no key.
    let wrong = records.create(&open, &raw(r#"{"age":"x"}"#), &keyed(caller, "w", 1)).await;
    assert!(matches!(wrong, Err(WriteError::Invalid(_))));
    records.create(&open, &raw(r#"{"age":1}"#), &keyed(caller, "w", 2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_repeated_whole_or_goes_on_where_it_was_cut_off() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    // Images of about 900 KB lie in several parts of the row.
    let create = |at: usize| Change {
        table: open.clone(),
        kind: ChangeKind::Create(raw(&format!(r#"{{"age":{at},"bio":"{}"}}"#, "x".repeat(100_000)))),
    };
    let changes: Vec<Change> = (0..9).map(create).collect();
    let first = records.batch(changes.clone(), true, &keyed(caller, "atomic", 1)).await.unwrap();
    let again = records.batch(changes.clone(), true, &keyed(caller, "atomic", 1)).await.unwrap();
    for (first, again) in first.iter().zip(&again) {
        let (first, again) = (first.as_ref().unwrap(), again.as_ref().unwrap());
        assert_eq!((&first.record, first.replayed, again.replayed), (&again.record, false, true));
    }
    let error = records.batch(changes.clone(), true, &keyed(caller, "atomic", 2)).await.unwrap_err();
    assert!(matches!(error, WriteError::OtherBody));
    let each = keyed(caller, "each", 1);
    records.batch(changes[..5].to_vec(), false, &each).await.unwrap();
    let all = records.batch(changes, false, &each).await.unwrap();
    let replayed: Vec<bool> = all.iter().map(|answer| answer.as_ref().unwrap().replayed).collect();
    assert_eq!(replayed, [true, true, true, true, true, false, false, false, false]);
    assert_eq!(records.scan(&open, None, 100).await.unwrap().records.len(), 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_batch_came_with_is_refused_and_nothing_of_the_second_is_done() {
    let house = House::new().await;
    let (records, open, caller) = (house.records(), open(students).await, key_id());
    let changes = |count: usize| -> Vec<Change> {
        let create = |age| ChangeKind::Create(raw(&format!(r#"{{"age":{age}}}"#)));
        (0..count).map(|age| Change { table: open.clone(), kind: create(age) }).collect()
    };
    let answers = records.batch(changes(2), false, &keyed(caller, "k", 1)).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    for (atomic, count) in [(false, 1), (false, 5), (true, 2), (true, 3)] {
        let error = records.batch(changes(count), atomic, &keyed(caller, "k", 2)).await.unwrap_err();
        assert!(matches!(error, WriteError::OtherBody), "{atomic} {count}: {error:?}");
    }
    let single = records.create(&open, &raw("{}"), &keyed(caller, "k", 2)).await;
    assert!(matches!(single, Err(WriteError::OtherBody)), "{single:?}");
    // And the other way round: a batch with the key of a single write.
    records.create(&open, &raw("{}"), &keyed(caller, "one", 1)).await.unwrap();
    let error = records.batch(changes(2), false, &keyed(caller, "one", 2)).await.unwrap_err();
    assert!(matches!(error, WriteError::OtherBody), "{error:?}");
    assert_eq!(records.scan(&open, None, 100).await.unwrap().records.len(), 3);
    // The same batch, several at once and again later: each operation once.
    let send = async |_| records.batch(changes(3), false, &keyed(caller, "same", 1)).await.unwrap();
    join_all((0..5).map(send)).await;
    assert_eq!(records.scan(&open, None, 100).await.unwrap().records.len(), 6);
    house.hands.turn_secs(24 * 3600);
    records.batch(changes(1), false, &keyed(caller, "k", 2)).await.unwrap();
    assert_eq!(records.scan(&open, None, 100).await.unwrap().records.len(), 7);
}

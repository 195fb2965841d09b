//! A table whose design changes while others, for as long as their caches hold, write by the design that it had.

use domain::{IndexId, IndexState, RecordId};
use futures::future::{join, join_all};
use zstorage::{Change, ChangeKind, OpenTable, Records, WriteError};

use crate::house::{House, key_id};
use crate::students::{by, changed, index, open, raw, students};
use crate::troubled::Troubled;

/// The same students: as they were, with no index, and with one that makes e-mail addresses unique and is being built.
async fn before_and_after() -> (OpenTable, OpenTable) {
    let before = changed(&open(students).await, |table| table.indexes.clear());
    let after = changed(&before, |table| {
        let mut unique = index(9, &[1], true, Some(1));
        unique.state = IndexState::Building { job: "job".into() };
        table.indexes.push(unique);
        table.next_index = 10;
    });
    (before, after)
}

async fn make(records: &Records, table: &OpenTable, json: &str) -> Result<RecordId, WriteError> {
    Ok(records.create(table, &raw(json), &by(key_id())).await?.record.id)
}

#[tokio::test]
async fn a_guard_whose_record_was_removed_by_who_did_not_know_of_it_keeps_nobody_out() {
    let house = House::new().await;
    let (records, caller, (before, after)) = (house.records(), key_id(), before_and_after().await);
    let removed = make(&records, &after, r#"{"email":"a@b.cd"}"#).await.unwrap();
    let moved = make(&records, &after, r#"{"email":"b@b.cd"}"#).await.unwrap();
    records.delete(&before, removed, None, &by(caller)).await.unwrap();
    records.update(&before, moved, &raw(r#"{"email":"c@b.cd"}"#), None, &by(caller)).await.unwrap();
    let new = make(&records, &after, r#"{"email":"a@b.cd"}"#).await.unwrap();
    let taken = make(&records, &after, r#"{"email":"a@b.cd"}"#).await;
    assert!(matches!(taken, Err(WriteError::Taken { .. })), "the guard has passed to {new}: {taken:?}");
    // Where the record that has the guard without its value is written, looked up or removed by the same transaction, too.
    let kinds = [
        ChangeKind::Create(raw(&format!(r#"{{"email":"b@b.cd","friend":"{moved}"}}"#))),
        ChangeKind::Update { id: moved, fields: raw(r#"{"age":1}"#), if_match: None },
    ];
    let changes = kinds.map(|kind| Change { table: after.clone(), kind }).to_vec();
    let answers = records.batch(changes.clone(), true, &by(caller)).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let other = make(&records, &after, r#"{"email":"d@b.cd"}"#).await.unwrap();
    records.update(&before, other, &raw(r#"{"email":"e@b.cd"}"#), None, &by(caller)).await.unwrap();
    let looks_up = format!(r#"{{"email":"d@b.cd","friend":"{other}"}}"#);
    make(&records, &after, &looks_up).await.unwrap();
    // One that came back to its value has it still.
    let back = make(&records, &after, r#"{"email":"f@b.cd"}"#).await.unwrap();
    for email in ["g@b.cd", "f@b.cd"] {
        let fields = raw(&format!(r#"{{"email":"{email}"}}"#));
        records.update(&before, back, &fields, None, &by(caller)).await.unwrap();
    }
    let taken = make(&records, &after, r#"{"email":"f@b.cd"}"#).await;
    assert!(matches!(taken, Err(WriteError::Taken { .. })), "{taken:?}");
}

/// A record without the value whose guard it has; and what gives the value back to it, past the guard.
async fn stray_holder(
    house: &House,
    (before, after): (&OpenTable, &OpenTable),
) -> (RecordId, impl Future<Output = ()> + Send + use<>) {
    let (records, caller) = (house.records(), key_id());
    let holder = make(&records, after, r#"{"email":"a@b.cd"}"#).await.unwrap();
    records.update(before, holder, &raw(r#"{"email":null}"#), None, &by(caller)).await.unwrap();
    let before = before.clone();
    let back = async move {
        let email = raw(r#"{"email":"a@b.cd"}"#);
        records.update(&before, holder, &email, None, &by(caller)).await.unwrap();
    };
    (holder, back)
}

#[tokio::test]
async fn a_guard_is_not_taken_from_a_record_that_gets_its_value_back_at_that_moment() {
    let (house, (before, after)) = (House::new().await, before_and_after().await);
    let (holder, back) = stray_holder(&house, (&before, &after)).await;
    // One call asks for the value in vain, two look at the guard and at its holder; then it is tried again.
    let records = Records::new(
        Troubled::meanwhile(3, back).client(&house),
        "records".into(),
        house.outbox(),
        house.hands.clock(),
    );
    let taken = make(&records, &after, r#"{"email":"a@b.cd"}"#).await;
    assert!(matches!(taken, Err(WriteError::Taken { .. })), "{taken:?}");
    let version = records.get(&after, holder).await.unwrap().unwrap().version;
    assert_eq!((version, house.items("records").await), (3, 2));
}

#[tokio::test]
async fn a_job_names_two_records_of_which_one_gets_its_value_back_while_the_other_is_put_into_the_index() {
    let (house, (before, after)) = (House::new().await, before_and_after().await);
    let (holder, back) = stray_holder(&house, (&before, &after)).await;
    let other = make(&house.records(), &before, r#"{"email":"a@b.cd"}"#).await.unwrap();
    // The holder has no value to put into the index: after a query for each of four buckets all calls are about the other.
    let troubled = Troubled::meanwhile(4 + 3, back);
    let records =
        Records::new(troubled.client(&house), "records".into(), house.outbox(), house.hands.clock());
    let slice = records.build_slice(&after, IndexId(9), None, 100).await.unwrap();
    assert_eq!(slice.duplicates, [(holder.to_string(), other.to_string())]);
}

#[tokio::test]
async fn a_lookup_to_a_removed_record_is_refused_though_its_guard_is_left() {
    let house = House::new().await;
    let (records, caller, (before, after)) = (house.records(), key_id(), before_and_after().await);
    let removed = make(&records, &after, r#"{"email":"a@b.cd"}"#).await.unwrap();
    records.delete(&before, removed, None, &by(caller)).await.unwrap();
    let answer = make(&records, &after, &format!(r#"{{"email":"a@b.cd","friend":"{removed}"}}"#)).await;
    assert!(
        matches!(&answer, Err(WriteError::Invalid(faults)) if faults.0[0].code == "lookup"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_index_is_whole_whatever_was_written_by_its_tables_old_design_before_it_was_built() {
    let house = House::new().await;
    let (records, caller, (before, after)) = (house.records(), key_id(), before_and_after().await);
    let update = async |table: &OpenTable, id, json: &str| {
        records.update(table, id, &raw(json), None, &by(caller)).await.unwrap();
    };
    // Two values that changed hands behind the index's back, and an entry that a writer of the old design took away.
    let one = make(&records, &after, r#"{"email":"a@b.cd"}"#).await.unwrap();
    let other = make(&records, &after, r#"{"email":"b@b.cd"}"#).await.unwrap();
    let third = make(&records, &before, r#"{"email":"c@b.cd"}"#).await.unwrap();
    update(&before, one, r#"{"email":"b@b.cd"}"#).await;
    update(&before, other, r#"{"email":"a@b.cd"}"#).await;
    let gone = make(&records, &after, r#"{"email":"d@b.cd"}"#).await.unwrap();
    records.delete(&before, gone, None, &by(caller)).await.unwrap();
    let heir = make(&records, &before, r#"{"email":"d@b.cd"}"#).await.unwrap();
    let slice = records.build_slice(&after, IndexId(9), None, 100).await.unwrap();
    assert_eq!((slice.done, slice.duplicates), (4, vec![]));
    let scan = house.client.scan().table_name("records").index_name("index-1");
    let entries = scan.send().await.unwrap().items.unwrap_or_default();
    let mut found: Vec<&String> = entries.iter().map(|item| item["sk"].as_s().unwrap()).collect();
    let mut expect = [one, other, third, heir].map(|id| id.to_string());
    found.sort();
    expect.sort();
    assert_eq!(found, expect.iter().collect::<Vec<_>>());
    for email in ["a", "b", "c", "d"] {
        let taken = make(&records, &after, &format!(r#"{{"email":"{email}@b.cd"}}"#)).await;
        assert!(matches!(taken, Err(WriteError::Taken { .. })), "{email}: {taken:?}");
    }
    // Each guard is its holder's: as they go, so do the guards.
    for id in [one, other, third, heir] {
        records.delete(&after, id, None, &by(caller)).await.unwrap();
    }
    assert_eq!(house.items("records").await, 0);
}

#[tokio::test]
async fn of_two_that_have_one_value_while_an_index_is_built_both_may_give_it_to_a_third() {
    let house = House::new().await;
    let (records, caller, (before, after)) = (house.records(), key_id(), before_and_after().await);
    let holder = make(&records, &after, r#"{"email":"a@b.cd"}"#).await.unwrap();
    let second = make(&records, &before, r#"{"email":"a@b.cd"}"#).await.unwrap();
    let kinds = [
        ChangeKind::Update { id: second, fields: raw(r#"{"email":"b@b.cd"}"#), if_match: None },
        ChangeKind::Update { id: holder, fields: raw(r#"{"email":"c@b.cd"}"#), if_match: None },
        ChangeKind::Create(raw(r#"{"email":"a@b.cd"}"#)),
    ];
    let changes = kinds.map(|kind| Change { table: after.clone(), kind }).to_vec();
    let answers = records.batch(changes, true, &by(caller)).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(house.items("records").await, 3 + 3);
}

#[tokio::test]
async fn a_table_is_dropped_whose_index_has_failed_over_values_that_stand_twice() {
    let house = House::new().await;
    let (records, (before, building)) = (house.records(), before_and_after().await);
    for _ in 0..3 {
        make(&records, &before, r#"{"email":"a@b.cd"}"#).await.unwrap();
    }
    let slice = records.build_slice(&building, IndexId(9), None, 100).await.unwrap();
    assert_eq!(slice.duplicates.len(), 2);
    let failed = changed(&building, |table| {
        table.indexes[0].state = IndexState::Failed { duplicates: slice.duplicates.clone() };
    });
    for table in [building, failed] {
        records.build_slice(&table, IndexId(9), None, 100).await.unwrap();
        let slice = records.drop_slice(&table, None, 100).await.unwrap();
        assert_eq!((slice.done, house.items("records").await), (3, 0));
        for _ in 0..3 {
            make(&records, &before, r#"{"email":"a@b.cd"}"#).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_holds_what_stands_when_writers_of_both_designs_came_first_and_those_of_the_new_one_go_on() {
    let house = House::new().await;
    let (records, (before, after)) = (house.records(), before_and_after().await);
    // Each writer moves its own three addresses among its own two records, so none stands twice.
    let write = async |writer: usize, seed: usize, mut own: Vec<(Option<RecordId>, usize)>, both: bool| {
        for turn in 0..14 {
            let chance = (writer * 31 + turn * 17 + seed * 7) % 11;
            let table = if both && chance.is_multiple_of(2) { &before } else { &after };
            let at = turn % 2;
            let free = (0..3).find(|email| own.iter().all(|(id, has)| id.is_none() || has != email)).unwrap();
            let email = format!(r#"{{"email":"{writer}-{free}@b.cd"}}"#);
            let caller = by(key_id());
            own[at] = match own[at] {
                (None, _) => (Some(make(&records, table, &email).await.unwrap()), free),
                (Some(id), _) if chance.is_multiple_of(4) => {
                    records.delete(table, id, None, &caller).await.unwrap();
                    (None, 0)
                }
                (Some(id), _) => {
                    records.update(table, id, &raw(&email), None, &caller).await.unwrap();
                    (Some(id), free)
                }
            };
        }
        own
    };
    let first = join_all((0..8).map(|writer| write(writer, 1, vec![(None, 0); 2], true))).await;
    let writers = first.into_iter().enumerate().map(|(writer, own)| write(writer, 2, own, false));
    let build = async {
        let (mut cursor, mut duplicates) = (None, Vec::new());
        loop {
            let slice = records.build_slice(&after, IndexId(9), cursor.as_deref(), 3).await.unwrap();
            duplicates.extend(slice.duplicates);
            cursor = slice.cursor;
            if cursor.is_none() {
                return duplicates;
            }
        }
    };
    let (owns, duplicates) = join(join_all(writers), build).await;
    assert_eq!(duplicates, vec![]);
    let mut expect = Vec::new();
    for (writer, own) in owns.iter().enumerate() {
        for email in 0..3 {
            let stands = own.iter().find(|(id, has)| id.is_some() && *has == email);
            let asked = make(&records, &after, &format!(r#"{{"email":"{writer}-{email}@b.cd"}}"#)).await;
            assert_eq!(asked.is_err(), stands.is_some(), "{writer}-{email}: {asked:?}");
            expect.extend(asked.ok().or(stands.and_then(|(id, _)| *id)).map(|id| id.to_string()));
        }
    }
    let scan = house.client.scan().table_name("records").index_name("index-1");
    let entries = scan.send().await.unwrap().items.unwrap_or_default();
    let mut found: Vec<_> = entries.iter().map(|item| item["sk"].as_s().unwrap().clone()).collect();
    found.sort();
    expect.sort();
    assert_eq!(found, expect);
}

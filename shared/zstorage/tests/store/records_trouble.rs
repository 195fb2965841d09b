use std::collections::HashSet;

use futures::future::join_all;
use zstorage::{Change, ChangeKind, OpenTable, Records, WriteError, Written};

use crate::house::{House, key_id};
use crate::students::{by, keyed, open, raw, students};
use crate::troubled::Trouble::{
    Conflict, LostAfter, LostBefore, None as Nothing, ServerError, Throttle, Unprocessed,
};
use crate::troubled::{Trouble, Troubled};

fn over(troubled: &Troubled, house: &House) -> Records {
    let client = troubled.client(house);
    Records::new(client.clone(), "records".into(), house.outbox_over(client), house.hands.clock())
}

async fn count(house: &House, table: &OpenTable) -> usize {
    house.records().scan(table, None, 10_000).await.unwrap().records.len()
}

#[tokio::test]
async fn one_trouble_on_the_way_is_neither_a_failure_nor_a_second_record() {
    let (house, open) = (House::new().await, open(students).await);
    let check = async |troubles: &[Trouble]| {
        let (records, before) = (over(&Troubled::told(troubles), &house), count(&house, &open).await);
        let email = format!(r#"{{"email":"{before}@b.cd"}}"#);
        let made = records.create(&open, &raw(&email), &by(key_id())).await;
        made.unwrap_or_else(|error| panic!("{troubles:?}: {error}"));
        assert_eq!(count(&house, &open).await, before + 1, "{troubles:?}");
    };
    for trouble in [Throttle, ServerError, Conflict, LostBefore, LostAfter] {
        check(&[trouble]).await;
        check(&[trouble, trouble]).await;
        check(&[LostAfter, trouble]).await;
    }
    check(&[Conflict; 6]).await;
    check(&[LostAfter, Conflict, Conflict, LostAfter]).await;
}

#[tokio::test]
async fn an_answer_that_stays_lost_is_told_as_retryable_and_the_key_finds_what_was_done() {
    let (house, open, caller) = (House::new().await, open(students).await, key_id());
    let records = over(&Troubled::told(&[LostAfter; 3]), &house);
    let given = raw(r#"{"email":"a@b.cd"}"#);
    let error = records.create(&open, &given, &keyed(caller, "k", 1)).await.unwrap_err();
    assert!(matches!(error, WriteError::Store(_)) && error.is_retryable(), "{error:?}");
    assert_eq!(count(&house, &open).await, 1);
    assert!(records.create(&open, &given, &keyed(caller, "k", 1)).await.unwrap().replayed);
    assert_eq!(count(&house, &open).await, 1);
}

/// Sends again, under the same key, whatever may work in a moment.
async fn insist<F: Future<Output = Result<Written, WriteError>>>(send: impl Fn() -> F) -> Written {
    for _ in 0..200 {
        match send().await {
            Ok(written) => return written,
            Err(error) if error.is_retryable() => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("it was never done")
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_storm_of_troubles_every_key_is_done_exactly_once() {
    let (house, open, caller) = (House::new().await, open(students).await, key_id());
    let troubled = Troubled::by_chance(0.4, 20_240_229);
    let records = over(&troubled, &house);
    let shared = house.records().create(&open, &raw(r#"{"fee":0}"#), &by(caller)).await.unwrap().record.id;
    let one = async |at: usize| {
        let made = raw(&format!(r#"{{"email":"{at}@b.cd","age":{at}}}"#));
        let create = async || records.create(&open, &made, &keyed(caller, &format!("c{at}"), 1)).await;
        let id = insist(create).await.record.id;
        let fields = raw(&format!(r#"{{"email":"{at}@new.cd"}}"#));
        let update =
            async || records.update(&open, id, &fields, None, &keyed(caller, &format!("u{at}"), 1)).await;
        assert_eq!(insist(update).await.record.version, 2);
        let fee = raw(&format!(r#"{{"fee":{}}}"#, at + 1));
        let merge =
            async || records.update(&open, shared, &fee, None, &keyed(caller, &format!("m{at}"), 1)).await;
        insist(merge).await;
        if at.is_multiple_of(3) {
            let delete = async || records.delete(&open, id, None, &keyed(caller, &format!("d{at}"), 1)).await;
            insist(delete).await;
        }
        id
    };
    let ids: HashSet<_> = join_all((0..24).map(one)).await.into_iter().collect();
    assert_eq!(ids.len(), 24);
    // Of 24 records 8 are gone; beside each of the others stands its guard; each key has its row; each merge counts.
    assert_eq!(count(&house, &open).await, 24 - 8 + 1);
    assert_eq!(house.records().get(&open, shared).await.unwrap().unwrap().version, 1 + 24);
    assert_eq!(house.items("records").await, 17 + 16 + 3 * 24 + 8);
}

#[tokio::test]
async fn a_write_costs_the_calls_and_actions_it_needs_and_no_more() {
    let (house, open, caller) = (House::new().await, open(students).await, key_id());
    let counted = Troubled::told(&[]);
    let records = over(&counted, &house);
    let check = |expect: &[&str]| assert_eq!(counted.take_calls(), expect);
    let plain = records.create(&open, &raw(r#"{"age":1}"#), &by(caller)).await.unwrap().record.id;
    check(&["Put"]);
    let json = format!(r#"{{"email":"a@b.cd","name":"Ana","age":2,"friend":"{plain}"}}"#);
    let id = records.create(&open, &raw(&json), &keyed(caller, "k", 1)).await.unwrap().record.id;
    check(&["Put+Put+Put+ConditionCheck+Put"]);
    records.create(&open, &raw(&json), &keyed(caller, "k", 1)).await.unwrap();
    check(&["Put+Put+Put+ConditionCheck+Put", "GetItem"]);
    records.update(&open, id, &raw(r#"{"fee":1}"#), None, &by(caller)).await.unwrap();
    check(&["GetItem", "Put"]);
    records.update(&open, id, &raw(r#"{"fee":1}"#), None, &by(caller)).await.unwrap();
    check(&["GetItem"]);
    records.update(&open, id, &raw(r#"{"email":"b@b.cd"}"#), None, &by(caller)).await.unwrap();
    check(&["GetItem", "Put+Put+Delete"]);
    let taken = records.create(&open, &raw(r#"{"email":"b@b.cd"}"#), &by(caller)).await;
    assert!(matches!(taken, Err(WriteError::Taken { .. })));
    // Whether the guard's holder has the value is looked at before anyone is sent away.
    check(&["Put+Put", "GetItem", "GetItem"]);
    let each = vec![Change { table: open.clone(), kind: ChangeKind::Create(raw("{}")) }];
    records.batch(each.clone(), false, &by(caller)).await.unwrap();
    check(&["Put"]);
    records.batch(each, false, &keyed(caller, "each", 1)).await.unwrap();
    check(&["Put", "Put+Put"]);
    let kind = |id| ChangeKind::Update { id, fields: raw(r#"{"fee":7}"#), if_match: None };
    let changes = [plain, id].map(|id| Change { table: open.clone(), kind: kind(id) }).to_vec();
    records.batch(changes, true, &by(caller)).await.unwrap();
    check(&["BatchGetItem", "Put+Put"]);
    records.delete(&open, id, None, &by(caller)).await.unwrap();
    check(&["GetItem", "Delete+Delete+Delete"]);
}

#[tokio::test]
async fn what_a_throttled_table_left_out_of_a_batch_is_asked_for_again_until_it_is_done() {
    let (house, open, caller) = (House::new().await, open(students).await, key_id());
    let mut changes = Vec::new();
    for at in 0..3 {
        let made = raw(&format!(r#"{{"email":"{at}@b.cd"}}"#));
        let id = house.records().create(&open, &made, &by(caller)).await.unwrap().record.id;
        let kind = ChangeKind::Update { id, fields: raw(&format!(r#"{{"age":{at}}}"#)), if_match: None };
        changes.push(Change { table: open.clone(), kind });
    }
    let told = Troubled::told(&[Unprocessed; 3]);
    let answers = over(&told, &house).batch(changes.clone(), true, &by(caller)).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let get = "BatchGetItem";
    assert_eq!(told.take_calls(), [get, get, get, get, "Put+Put+Put"]);
    let error = over(&Troubled::told(&[Unprocessed; 8]), &house).batch(changes, true, &by(caller)).await;
    assert!(error.unwrap_err().is_retryable());
    // One query for each of four buckets, then the guards, then the records.
    let told = Troubled::told(&[Nothing, Nothing, Nothing, Nothing, Unprocessed, Unprocessed]);
    over(&told, &house).drop_slice(&open, None, 100).await.unwrap();
    assert_eq!(told.take_calls().len(), 4 + 3 + 1);
    assert_eq!(house.items("records").await, 0);
}

#[tokio::test]
async fn a_slice_of_dropping_a_table_that_broke_off_anywhere_and_is_done_again_leaves_nothing() {
    let (house, open, caller) = (House::new().await, open(students).await, key_id());
    for fine in 4..10 {
        for at in 0..20 {
            let given = raw(&format!(r#"{{"email":"{at}@b.cd","name":"n","age":{at}}}"#));
            house.records().create(&open, &given, &by(caller)).await.unwrap();
        }
        let mut troubles = vec![Nothing; fine];
        troubles.extend([ServerError; 3]);
        let _broke_off = over(&Troubled::told(&troubles), &house).drop_slice(&open, None, 100).await;
        house.records().drop_slice(&open, None, 100).await.unwrap();
        assert_eq!(house.items("records").await, 0, "after {fine} calls");
    }
}

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{EntryState, IndexId, Link, LinkMode, Operations, RecordId};
use serde_json::json;
use zstorage::{Change, ChangeKind, LinkQueue, Settled, Slice, StoreError, WriteError, Written};

use crate::house::{House, key_id};
use crate::linked::{
    body, create, held, is_taken, let_stand, link, linked, linked_once, over, own, parked, published, read,
    standing, strict, update, with_queues,
};
use crate::students::{by, changed, keyed, raw};
use crate::troubled::Trouble::{Conflict, LostAfter, LostBefore, None as Nothing, ServerError, Throttle};
use crate::troubled::Troubled;

#[tokio::test]
async fn a_stray_guard_that_its_holder_takes_again_under_a_strict_link_is_no_longer_free() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    // A process without the index leaves a guard behind that its record has no need of.
    let blind = changed(&open, |table| {
        table.indexes.clear();
        table.links.clear();
    });
    let was = standing(&records, &open, r#"{"email":"a@b.cd"}"#).await;
    update(&records, &blind, was.id, r#"{"email":"b@b.cd"}"#).await.unwrap();
    // Now the holder is about to have that value again; another one, who saw it stray, comes between.
    let (others, table) = (house.records(), open.clone());
    let back = async move { drop(update(&others, &table, was.id, r#"{"email":"a@b.cd"}"#).await.unwrap()) };
    let late = over(&Troubled::meanwhile(3, back), &house);
    assert!(is_taken(&create(&late, &open, r#"{"email":"a@b.cd"}"#).await));
    assert!(is_taken(&create(&records, &open, r#"{"email":"a@b.cd"}"#).await));
    let_stand(&records, &house.outbox_keys_held(&open).await[0]).await;
    assert!(is_taken(&create(&records, &open, r#"{"email":"a@b.cd"}"#).await));
    standing(&records, &open, r#"{"email":"b@b.cd"}"#).await;
}

#[tokio::test]
async fn a_guard_that_is_anothers_by_the_time_the_write_stands_is_left_to_it() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    let was = standing(&records, &open, r#"{"email":"a@b.cd"}"#).await;
    let written = update(&records, &open, was.id, r#"{"email":"b@b.cd"}"#).await.unwrap();
    let own = AttributeValue::S(held(&written).to_string());
    let is_old =
        |item: &HashMap<String, AttributeValue>| item.contains_key("id") && item.get("held") != Some(&own);
    let mut guard = house.all("records").await.into_values().find(is_old).unwrap();
    let other = RecordId::new(was.id.table(), 1, jiff::Timestamp::now(), &mut rand::rng());
    guard.insert("id".into(), AttributeValue::S(other.to_string()));
    house.client.put_item().table_name("records").set_item(Some(guard)).send().await.unwrap();
    let_stand(&records, &held(&written)).await;
    assert_eq!(read(&records, &open, &was).await, Some(written.record));
    assert_eq!(house.items("records").await, 3);
}

#[tokio::test]
async fn a_strict_write_does_not_begin_where_its_queue_takes_nothing() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    let down = with_queues(&open, LinkQueue { accepts: false, ..LinkQueue::default() });
    let is_down = |answer: Result<Written, WriteError>| matches!(answer, Err(WriteError::QueueDown));
    assert!(is_down(create(&records, &down, "{}").await));
    let outbox = linked_once(LinkMode::Outbox).await;
    let down = with_queues(&outbox, LinkQueue { accepts: false, ..LinkQueue::default() });
    create(&records, &down, "{}").await.unwrap();

    let ordered = with_queues(&open, LinkQueue { ordered: true, ..LinkQueue::default() });
    let made = create(&records, &ordered, "{}").await.unwrap();
    records.apply(&held(&made), parked(), None).await.unwrap();
    assert!(is_down(update(&records, &ordered, made.record.id, r#"{"age":1}"#).await));
    // Where there is no order, nobody waits for anybody.
    let next = update(&records, &open, made.record.id, r#"{"age":1}"#).await.unwrap();
    assert!(records.undo(own(&next)).await.unwrap());
    house.outbox().discard(&held(&made), "nobody wants it").await.unwrap();
    let next = update(&records, &ordered, made.record.id, r#"{"age":1}"#).await.unwrap();
    let_stand(&records, &held(&next)).await;
    update(&records, &ordered, made.record.id, r#"{"age":2}"#).await.unwrap();
}

#[tokio::test]
async fn an_atomic_batch_is_refused_where_a_strict_link_is_asked_and_each_alone_is_held() {
    let (house, caller) = (House::new().await, key_id());
    let records = house.records();
    let on = Operations { create: true, update: false, delete: false };
    let never = Some("new.age == 1000".into());
    let open = linked(vec![Link { on, condition: never, ..link(1, LinkMode::Strict) }]).await;
    let made = create(&records, &open, "{}").await.unwrap();
    let change = |kind| Change { table: open.clone(), kind };
    let one = change(ChangeKind::Create(raw(r#"{"age":1000}"#)));
    let two = ChangeKind::Update { id: made.record.id, fields: raw(r#"{"age":2}"#), if_match: None };
    let answers = records.batch(vec![one.clone(), change(two.clone())], true, &by(caller)).await.unwrap();
    assert!(matches!(&answers[0], Err(WriteError::Invalid(faults)) if faults.0[0].code == "strict-link"));
    assert!(matches!(&answers[1], Err(WriteError::Undone)));
    let answers = records.batch(vec![change(two)], true, &by(caller)).await.unwrap();
    assert!(answers[0].is_ok());
    let answers = records.batch(vec![one.clone(), one], false, &by(caller)).await.unwrap();
    assert_eq!(answers.iter().filter(|answer| answer.as_ref().unwrap().held.is_some()).count(), 2);
}

#[tokio::test]
async fn one_trouble_on_the_way_neither_loses_nor_doubles_a_held_write() {
    let (house, open) = (House::new().await, strict().await);
    for troubles in [
        &[Throttle][..],
        &[ServerError],
        &[Conflict],
        &[LostBefore],
        &[LostAfter],
        &[LostAfter, Conflict, LostAfter],
    ] {
        let troubled = || over(&Troubled::told(troubles), &house);
        let made = create(&troubled(), &open, r#"{"email":"a@b.cd"}"#).await.unwrap();
        let key = held(&made);
        assert!(troubled().undo(own(&made)).await.unwrap(), "{troubles:?}");
        assert_eq!((house.items("records").await, house.entry(&key).await), (0, None), "{troubles:?}");
        let made = create(&troubled(), &open, r#"{"email":"a@b.cd"}"#).await.unwrap();
        assert_eq!(troubled().apply(&held(&made), published(), None).await.unwrap(), Settled::Now);
        let gone = house.records().delete(&open, made.record.id, None, &by(key_id())).await.unwrap();
        let_stand(&troubled(), &held(&gone)).await;
        assert_eq!(house.items("records").await, 0);
    }
}

#[tokio::test]
async fn an_answer_that_stays_lost_is_made_good_by_doing_it_again() {
    let (house, open) = (House::new().await, strict().await);
    let lost = || over(&Troubled::told(&[Nothing, Nothing, LostAfter, LostAfter, LostAfter]), &house);
    let records = house.records();
    let made = create(&records, &open, r#"{"age":1}"#).await.unwrap();
    let error: StoreError = lost().apply(&held(&made), published(), None).await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(
        records.apply(&held(&made), published(), None).await.unwrap(),
        Settled::Before(EntryState::Published)
    );
    let made = create(&records, &open, r#"{"age":1}"#).await.unwrap();
    lost().undo(own(&made)).await.unwrap_err();
    assert!(records.undo(own(&made)).await.unwrap());
    assert_eq!(read(&records, &open, &made.record).await, None);
}

#[tokio::test]
async fn the_largest_of_strict_writes_stand_and_what_could_not_is_refused_at_once() {
    let (house, open) = (House::new().await, linked_once(LinkMode::Strict).await);
    let records = house.records();
    // A record of nearly 390 KB, whose message is as large as one may be.
    let large = |wide: usize| {
        raw(&json!({ "bio": "é".repeat(wide), "name": "x".repeat(50_000), "email": "a@b.cd" }).to_string())
    };
    let made = records.create(&open, &large(164_000), &keyed(key_id(), "k", 1)).await.unwrap();
    assert!(made.held.as_ref().unwrap().entry.body.len() > 1_000_000);
    let_stand(&records, &held(&made)).await;
    assert_eq!(house.entry_of(&made.messages[0]).await.body, made.held.as_ref().unwrap().entry.body);
    assert_eq!(read(&records, &open, &made.record).await.as_ref(), Some(&made.record));
    let gone = records.delete(&open, made.record.id, None, &by(key_id())).await.unwrap();
    let_stand(&records, &held(&gone)).await;
    // Two more such messages beside it do not fit into the second transaction.
    let open =
        linked(vec![link(1, LinkMode::Strict), link(2, LinkMode::Outbox), link(3, LinkMode::Outbox)]).await;
    let error = records.create(&open, &large(164_000), &by(key_id())).await.unwrap_err();
    assert!(matches!(error, WriteError::TooLarge { .. }), "{error:?}");
    let made = records.create(&open, &large(60_000), &by(key_id())).await.unwrap();
    let_stand(&records, &held(&made)).await;
    for message in &made.messages {
        assert_eq!(body(&house.entry_of(message).await)["new"]["bio"], json!("é".repeat(60_000)));
    }
}

#[tokio::test]
async fn time_to_live_begins_when_the_message_is_on_its_queue_and_not_when_it_was_given_up() {
    let (house, open) = (House::new().await, linked_once(LinkMode::Strict).await);
    let (records, outbox) = (house.records(), house.outbox());
    let large = json!({ "bio": "x".repeat(380_000) }).to_string();
    let expiring =
        async || house.all("outbox").await.values().filter(|item| item.contains_key("expires-at")).count();
    let made = create(&records, &open, &large).await.unwrap();
    records.apply(&held(&made), parked(), None).await.unwrap();
    assert_eq!((house.items("outbox").await, expiring().await), (3, 0), "a person may send it again");
    outbox.redrive(&held(&made)).await.unwrap();
    assert_eq!(expiring().await, 0);
    let due = house.entry(&held(&made)).await.unwrap();
    assert!(outbox.published(&due, "sqs-2", None).await.unwrap());
    assert_eq!(expiring().await, 3);
    let_stand(&records, &held(&create(&records, &open, &large).await.unwrap())).await;
    assert_eq!(expiring().await, 6);
}

#[tokio::test]
async fn an_index_is_built_past_a_held_record_and_its_job_can_ask_who_waits() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    let was = standing(&records, &open, r#"{"age":1}"#).await;
    let prefix = open.schema.table().prefix;
    let before = house.hands.clock().now();
    assert!(!records.has_held(prefix, before).await.unwrap());
    house.hands.turn_secs(10);
    let written = update(&records, &open, was.id, r#"{"age":2}"#).await.unwrap();
    assert!(!records.has_held(prefix, before).await.unwrap());
    assert!(records.has_held(prefix, house.hands.clock().now()).await.unwrap());
    let slice = records.build_slice(&open, IndexId(2), None, 10).await.unwrap();
    assert_eq!((slice.done, slice.cursor), (1, None));
    let_stand(&records, &held(&written)).await;
    assert!(!records.has_held(prefix, house.hands.clock().now()).await.unwrap());
}

#[tokio::test]
async fn an_index_is_not_given_up_for_a_held_write_that_may_be_undone() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    // It was there before the index, so its value is not guarded yet.
    let blind = changed(&open, |table| {
        table.indexes.clear();
        table.links.clear();
    });
    let email = r#"{"email":"a@b.cd"}"#;
    create(&records, &blind, email).await.unwrap();
    let build = async || records.build_slice(&open, IndexId(1), None, 10).await.unwrap();
    let made = create(&records, &open, email).await.unwrap();
    assert_eq!(build().await, Slice { done: 1, waits: true, ..Slice::default() });
    assert!(records.undo(own(&made)).await.unwrap());
    assert_eq!(build().await, Slice { done: 1, ..Slice::default() });
    assert!(is_taken(&create(&records, &open, email).await));
}

#[tokio::test]
async fn held_writes_of_a_table_that_is_deleted_become_letters_and_their_records_go_with_it() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    let was = standing(&records, &open, r#"{"email":"a@b.cd"}"#).await;
    let made = create(&records, &open, r#"{"email":"b@b.cd"}"#).await.unwrap();
    let written = update(&records, &open, was.id, r#"{"email":"c@b.cd"}"#).await.unwrap();
    assert_eq!(records.park_held(open.schema.table().prefix, "the table was deleted").await.unwrap(), 2);
    for written in [&made, &written] {
        let entry = house.entry(&held(written)).await.unwrap();
        assert_eq!(
            (entry.state, entry.reason.as_deref()),
            (EntryState::Parked, Some("the table was deleted"))
        );
        assert!(!records.undo(own(written)).await.unwrap());
    }
    let slice = records.drop_slice(&open, None, 100).await.unwrap();
    assert_eq!((slice.done, house.items("records").await), (2, 0));
}

#[tokio::test]
async fn a_strict_write_costs_two_transactions_and_two_reads() {
    let (house, open, caller) = (House::new().await, linked_once(LinkMode::Strict).await, key_id());
    let counted = Troubled::told(&[]);
    let records = over(&counted, &house);
    let check = |expect: &[&str]| assert_eq!(counted.take_calls(), expect);
    let made = records.create(&open, &raw(r#"{"email":"a@b.cd"}"#), &keyed(caller, "k", 1)).await.unwrap();
    check(&["Put+Put+Put+Put"]);
    let_stand(&records, &held(&made)).await;
    check(&["Query", "GetItem", "Update+Put+Update+Delete"]);
    let written = update(&records, &open, made.record.id, r#"{"age":1}"#).await.unwrap();
    check(&["GetItem", "Update+Put+Put"]);
    assert!(records.undo(own(&written)).await.unwrap());
    check(&["Query", "GetItem", "Delete+Update+Delete"]);
}

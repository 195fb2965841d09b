use domain::{EntryKey, EntryState, MessageId};
use futures::future::join_all;
use serde_json::json;
use zstorage::{Settled, WriteError, Written};

use crate::house::{House, key_id};
use crate::linked::{
    body, create, held, is_held, is_taken, let_stand, over, own, parked, published, read, standing, strict,
    update,
};
use crate::students::{by, changed, keyed, raw};
use crate::troubled::Troubled;

#[tokio::test]
async fn a_held_create_cannot_be_read_until_it_stands_but_its_unique_values_are_taken() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    let made = create(&records, &open, r#"{"email":"a@b.cd","age":1}"#).await.unwrap();
    assert_eq!(read(&records, &open, &made.record).await, None);
    assert_eq!(records.scan(&open, None, 10).await.unwrap().records, []);
    assert!(is_taken(&create(&records, &open, r#"{"email":"a@b.cd"}"#).await));
    let friend = format!(r#"{{"friend":"{}"}}"#, made.record.id);
    assert!(matches!(create(&records, &open, &friend).await, Err(WriteError::Invalid(_))));
    assert!(matches!(
        update(&records, &open, made.record.id, r#"{"age":2}"#).await,
        Err(WriteError::Missing)
    ));
    // The strict link's message is stored; the other's is not, for the write may be undone.
    let [outbox, strict] = &made.messages[..] else { panic!("{:?}", made.messages) };
    assert_eq!((house.entry(&outbox.entry).await, strict.entry), (None, held(&made)));
    assert_eq!(house.entry_of(strict).await, made.held.as_ref().unwrap().entry);
    let before = house.entry_of(strict).await;

    house.hands.turn_secs(5);
    let_stand(&records, &strict.entry).await;
    assert_eq!(read(&records, &open, &made.record).await.as_ref(), Some(&made.record));
    let (other, own) = (house.entry_of(outbox).await, house.entry_of(strict).await);
    assert_eq!(
        (other.state, own.state, own.engine_id.as_deref()),
        (EntryState::Due, EntryState::Published, Some("sqs-1"))
    );
    assert_eq!(other.committed_at, before.committed_at + std::time::Duration::from_secs(5));
    assert_eq!(other.next_attempt_at, Some(other.committed_at + std::time::Duration::from_secs(60)));
    assert_eq!(
        (body(&other)["new"]["email"].clone(), body(&other) == body(&before)),
        (json!("a@b.cd"), true)
    );
    // Record and guard; two entries. Nothing else is left.
    assert_eq!((house.items("records").await, house.items("outbox").await), (2, 2));
    assert!(is_taken(&create(&records, &open, r#"{"email":"a@b.cd"}"#).await));
}

#[tokio::test]
async fn a_held_update_leaves_the_record_readable_and_locked_and_both_values_taken() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    let was = standing(&records, &open, r#"{"email":"old@b.cd","age":1}"#).await;
    let changed = update(&records, &open, was.id, r#"{"email":"new@b.cd"}"#).await.unwrap();
    assert_eq!(read(&records, &open, &was).await.as_ref(), Some(&was));
    assert!(is_held(&update(&records, &open, was.id, r#"{"age":2}"#).await));
    assert!(is_held(&records.delete(&open, was.id, None, &by(key_id())).await));
    for email in ["old@b.cd", "new@b.cd"] {
        assert!(is_taken(&create(&records, &open, &format!(r#"{{"email":"{email}"}}"#)).await), "{email}");
    }
    let_stand(&records, &held(&changed)).await;
    assert_eq!(read(&records, &open, &was).await, Some(changed.record));
    assert!(is_taken(&create(&records, &open, r#"{"email":"new@b.cd"}"#).await));
    standing(&records, &open, r#"{"email":"old@b.cd"}"#).await;
    let again = update(&records, &open, was.id, r#"{"age":2}"#).await.unwrap();
    assert_eq!(again.record.version, 3);
}

#[tokio::test]
async fn a_held_delete_leaves_the_record_until_it_stands() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    let was = standing(&records, &open, r#"{"email":"a@b.cd"}"#).await;
    let gone = records.delete(&open, was.id, Some(1), &by(key_id())).await.unwrap();
    assert_eq!(read(&records, &open, &was).await.as_ref(), Some(&was));
    assert!(is_taken(&create(&records, &open, r#"{"email":"a@b.cd"}"#).await));
    let_stand(&records, &held(&gone)).await;
    assert_eq!(read(&records, &open, &was).await, None);
    assert_eq!(house.items("records").await, 0);
    standing(&records, &open, r#"{"email":"a@b.cd"}"#).await;
}

#[tokio::test]
async fn what_is_undone_leaves_every_item_as_it_was() {
    let (house, open, caller) = (House::new().await, strict().await, key_id());
    let records = house.records();
    let was = standing(&records, &open, r#"{"email":"a@b.cd","name":"Ana","age":1}"#).await;
    let before = (house.all("records").await, house.all("outbox").await);
    let check = async |written: Result<Written, WriteError>| {
        let written = written.unwrap();
        let (key, entry) = (held(&written), own(&written));
        assert!(records.undo(entry).await.unwrap());
        assert_eq!((house.all("records").await, house.all("outbox").await), before);
        // It stays undone, whoever comes late.
        assert_eq!(records.apply(&key, published(), None).await.unwrap(), Settled::Undone);
        assert!(records.undo(entry).await.unwrap());
        assert_eq!((house.all("records").await, house.all("outbox").await), before);
    };
    let large = format!(r#"{{"email":"c@b.cd","bio":"{}"}}"#, "é".repeat(140_000));
    check(records.create(&open, &raw(r#"{"email":"b@b.cd"}"#), &keyed(caller, "c", 1)).await).await;
    check(records.create(&open, &raw(&large), &keyed(caller, "l", 1)).await).await;
    let email = raw(r#"{"email":"b@b.cd","age":2}"#);
    check(records.update(&open, was.id, &email, None, &keyed(caller, "u", 1)).await).await;
    check(records.update(&open, was.id, &email, Some(1), &keyed(caller, "u", 1)).await).await;
    check(records.delete(&open, was.id, None, &keyed(caller, "d", 1)).await).await;
    // And the same version can be written again.
    let changed = records.update(&open, was.id, &email, Some(1), &keyed(caller, "u", 1)).await.unwrap();
    let_stand(&records, &held(&changed)).await;
    assert_eq!(read(&records, &open, &was).await, Some(changed.record));
}

#[tokio::test]
async fn who_undoes_twice_leaves_the_next_write_of_the_same_version_alone() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    let was = standing(&records, &open, r#"{"age":1}"#).await;
    let first = update(&records, &open, was.id, r#"{"age":2}"#).await.unwrap();
    assert!(records.undo(own(&first)).await.unwrap());
    let second = update(&records, &open, was.id, r#"{"age":3}"#).await.unwrap();
    assert_eq!(held(&first), held(&second));
    // The answer of the first undo was lost, say.
    assert!(records.undo(own(&first)).await.unwrap());
    let_stand(&records, &held(&second)).await;
    assert!(records.undo(own(&first)).await.unwrap());
    assert_eq!(read(&records, &open, &was).await, Some(second.record));
}

#[tokio::test]
async fn a_message_lets_the_write_stand_that_made_it_and_no_other_of_the_same_key() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    let was = standing(&records, &open, r#"{"age":1}"#).await;
    let first = update(&records, &open, was.id, r#"{"age":2}"#).await.unwrap();
    let (key, undone) = (held(&first), own(&first).message_id);
    assert!(records.undo(own(&first)).await.unwrap());
    assert_eq!(records.let_stand(&key, undone, "sqs-0").await.unwrap(), Settled::Undone);
    let second = update(&records, &open, was.id, r#"{"age":3}"#).await.unwrap();
    assert_eq!(held(&second), key);
    assert_eq!(records.let_stand(&key, undone, "sqs-0").await.unwrap(), Settled::Undone);
    assert_eq!(read(&records, &open, &was).await.as_ref(), Some(&was));
    let message = own(&second).message_id;
    assert_eq!(records.let_stand(&key, message, "sqs-1").await.unwrap(), Settled::Now);
    assert_eq!(read(&records, &open, &was).await.as_ref(), Some(&second.record));
    let entry = house.entry(&key).await.unwrap();
    assert_eq!((entry.state, entry.engine_id.as_deref()), (EntryState::Published, Some("sqs-1")));
    // What stands costs one read.
    let troubled = Troubled::told(&[]);
    let again = over(&troubled, &house).let_stand(&key, message, "sqs-2").await.unwrap();
    assert_eq!(again, Settled::Before(EntryState::Published));
    assert_eq!(troubled.take_calls(), ["GetItem"]);
}

#[tokio::test]
async fn what_stands_stays_so_and_is_not_done_twice() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    for (how, state) in [(published(), EntryState::Published), (parked(), EntryState::Parked)] {
        let made = create(&records, &open, r#"{"age":1}"#).await.unwrap();
        let key = held(&made);
        assert_eq!(records.apply(&key, how, None).await.unwrap(), Settled::Now);
        let later = update(&records, &open, made.record.id, r#"{"age":2}"#).await.unwrap();
        let_stand(&records, &held(&later)).await;
        let before = (house.all("records").await, house.all("outbox").await);
        for again in [published(), parked()] {
            assert_eq!(records.apply(&key, again, None).await.unwrap(), Settled::Before(state));
        }
        assert!(!records.undo(own(&made)).await.unwrap());
        assert_eq!((house.all("records").await, house.all("outbox").await), before);
    }
    let nobodys = EntryKey::Scheduled(MessageId::new(jiff::Timestamp::now(), &mut rand::rng()));
    assert_eq!(records.apply(&nobodys, published(), None).await.unwrap(), Settled::Undone);
}

#[tokio::test]
async fn what_was_leased_is_not_undone_and_only_the_newest_lease_gives_up() {
    let (house, open) = (House::new().await, strict().await);
    let (records, outbox) = (house.records(), house.outbox());
    let made = create(&records, &open, r#"{"age":1}"#).await.unwrap();
    let key = held(&made);
    assert_eq!(outbox.lease(&key, 60).await.unwrap(), None, "the writer has a minute");
    house.hands.turn_secs(61);
    let first = outbox.lease(&key, 60).await.unwrap().unwrap();
    assert!(!records.undo(own(&made)).await.unwrap());
    house.hands.turn_secs(61);
    let second = outbox.lease(&key, 60).await.unwrap().unwrap();
    assert_eq!((first.lease, second.lease), (1, 2));
    assert_eq!(records.apply(&key, parked(), Some(1)).await.unwrap(), Settled::Outrun);
    assert_eq!(read(&records, &open, &made.record).await, None);
    assert_eq!(records.apply(&key, parked(), Some(2)).await.unwrap(), Settled::Now);
    assert_eq!(read(&records, &open, &made.record).await, Some(made.record));
    let entry = house.entry(&key).await.unwrap();
    assert_eq!((entry.state, entry.reason.as_deref()), (EntryState::Parked, Some("the queue said no")));
}

#[tokio::test]
async fn a_key_waits_while_its_write_is_held_and_answers_once_it_stands() {
    let (house, open, caller) = (House::new().await, strict().await, key_id());
    let records = house.records();
    let given = raw(r#"{"email":"a@b.cd"}"#);
    let send = async |request| records.create(&open, &given, &keyed(caller, "k", request)).await;
    let made = send(1).await.unwrap();
    assert!(matches!(send(1).await, Err(WriteError::InFlight)));
    assert!(matches!(send(2).await, Err(WriteError::OtherBody)));
    assert!(records.undo(own(&made)).await.unwrap());
    let made = send(2).await.unwrap();
    assert!(matches!(send(2).await, Err(WriteError::InFlight)));
    let_stand(&records, &held(&made)).await;
    let again = send(2).await.unwrap();
    assert_eq!((again.replayed, &again.held), (true, &None));
    assert_eq!((&again.record, &again.messages), (&made.record, &made.messages));
    // The same of an update: the key is asked before the record's own lock.
    let fields = raw(r#"{"age":2}"#);
    let send =
        async |version| records.update(&open, made.record.id, &fields, version, &keyed(caller, "u", 1)).await;
    let changed = send(Some(1)).await.unwrap();
    assert!(matches!(send(Some(1)).await, Err(WriteError::InFlight)));
    let_stand(&records, &held(&changed)).await;
    let again = send(Some(1)).await.unwrap();
    assert_eq!((again.replayed, &again.record, &again.messages), (true, &changed.record, &changed.messages));
}

#[tokio::test]
async fn a_key_that_was_used_anew_after_a_day_is_left_to_who_has_it() {
    let (house, open, caller) = (House::new().await, strict().await, key_id());
    let records = house.records();
    let send = async |json: &str| records.create(&open, &raw(json), &keyed(caller, "k", 1)).await.unwrap();
    let undone = send(r#"{"age":0}"#).await;
    house.hands.turn_secs(24 * 3600 + 1);
    let first = send(r#"{"age":1}"#).await;
    assert!(records.undo(own(&undone)).await.unwrap());
    let waits = records.create(&open, &raw(r#"{"age":1}"#), &keyed(caller, "k", 1)).await;
    assert!(matches!(waits, Err(WriteError::InFlight)));
    house.hands.turn_secs(24 * 3600 + 1);
    let second = send(r#"{"age":2}"#).await;
    let_stand(&records, &held(&first)).await;
    let waits = records.create(&open, &raw(r#"{"age":2}"#), &keyed(caller, "k", 1)).await;
    assert!(matches!(waits, Err(WriteError::InFlight)));
    let_stand(&records, &held(&second)).await;
    assert_eq!(send(r#"{"age":2}"#).await.record, second.record);
    assert!(read(&records, &open, &first.record).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writers_on_one_record_at_once_one_is_held_and_the_others_are_told() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    let was = standing(&records, &open, r#"{"age":0}"#).await;
    for round in 1..=4 {
        let one =
            async |at: usize| update(&records, &open, was.id, &format!(r#"{{"fee":"{round}.{at}"}}"#)).await;
        let answers = join_all((1..=8).map(one)).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 7));
        assert!(lost.iter().all(is_held), "{lost:?}");
        let_stand(&records, &held(won[0].as_ref().unwrap())).await;
        assert_eq!(read(&records, &open, &was).await, won.into_iter().next().map(|won| won.unwrap().record));
        let none = update(&records, &open, was.id, r#"{"fee":null}"#).await.unwrap();
        assert!(records.undo(own(&none)).await.unwrap());
    }
}

#[tokio::test]
async fn a_writer_that_read_before_the_hold_does_not_write_over_it() {
    let (house, open) = (House::new().await, strict().await);
    // A process that does not know of the link yet.
    let blind = changed(&open, |table| table.links.clear());
    let was = standing(&house.records(), &open, r#"{"age":1}"#).await;
    let (others, table) = (house.records(), open.clone());
    let hold = async move { drop(update(&others, &table, was.id, r#"{"age":2}"#).await.unwrap()) };
    let records = over(&Troubled::meanwhile(1, hold), &house);
    assert!(is_held(&update(&records, &blind, was.id, r#"{"age":3}"#).await));
    let key = house.outbox_keys_held(&open).await[0];
    let_stand(&records, &key).await;
    let three = update(&records, &blind, was.id, r#"{"fee":"3"}"#).await.unwrap();
    assert_eq!(three.record.version, 3);
}

use std::time::Duration;

use delivery::WriterError;
use domain::EntryState;
use tokio::time::timeout;
use zstorage::{Applied, OutboxGroup, WriteError};

use crate::engine::Mood;
use crate::house::{House, LONG, by, named, outbox_link, strict_link};

impl House {
    /// The one entry that is to be sent.
    async fn due(&self) -> domain::EntryKey {
        let page = self.outbox.list(OutboxGroup::Due, 10, None).await.unwrap();
        assert_eq!(page.items.len(), 1);
        page.items[0].key
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_strict_write_stands_when_it_is_answered_and_its_message_is_named() {
    let house = House::start().await;
    let (strict, other) = (house.queue("strict").await, house.queue("other").await);
    let table = house.students(vec![outbox_link(1, &other), strict_link(2, &strict)]).await;
    let writer = house.writer();
    let answer = writer.create(&table, &named("a"), &by(), false).await.unwrap();
    let record = answer.written.record.id;
    assert!(house.records.get(&table, record).await.unwrap().is_some());
    let told: Vec<_> = answer
        .messages
        .iter()
        .map(|sent| (sent.state, sent.engine_id.as_ref().map(|known| known.id.as_str())))
        .collect();
    assert_eq!(told, [(EntryState::Due, None), (EntryState::Published, Some("sqs-1"))]);
    let sent = &house.engine.messages("strict")[0];
    assert_eq!(sent["MessageAttributes"]["held"]["StringValue"], answer.messages[1].entry.to_string());
    // The other link's entry is due now, and not before.
    let others = [answer.messages[0].entry];
    assert_eq!(house.ring(&others).await, [0; 0]);
    assert_eq!(house.states(&others).await, [EntryState::Published]);
    let answer = writer.update(&table, record, &named("b"), None, &by(), false).await.unwrap();
    assert_eq!(answer.written.record.version, 2);
    assert_eq!(house.engine.bodies("strict"), ["\"a\"", "\"b\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_strict_write_leaves_nothing() {
    let house = House::start().await;
    let (strict, other) = (house.queue("strict").await, house.queue("other").await);
    let table = house.students(vec![outbox_link(1, &other), strict_link(2, &strict)]).await;
    let writer = house.writer();
    let made = writer.create(&table, &named("a"), &by(), false).await.unwrap().written.record;
    house.engine.mood_of("strict", Mood::Refusing);
    let refused = writer.create(&table, &named("b"), &by(), false).await;
    assert!(
        matches!(&refused, Err(WriterError::Refused { reason }) if reason.contains("AccessDenied")),
        "{refused:?}"
    );
    let refused = writer.update(&table, made.id, &named("b"), None, &by(), false).await;
    assert!(matches!(refused, Err(WriterError::Refused { .. })), "{refused:?}");
    assert_eq!(house.records.get(&table, made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(
        house.outbox.list(OutboxGroup::Due, 10, None).await.unwrap().items.len(),
        1,
        "the first write's other"
    );
    // And the record is free again.
    house.engine.mood_of("strict", Mood::Fine);
    assert!(writer.update(&table, made.id, &named("c"), None, &by(), false).await.is_ok());
    house.engine.remove("strict");
    let gone = writer.update(&table, made.id, &named("d"), None, &by(), false).await;
    assert!(matches!(gone, Err(WriterError::Refused { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_refusals_in_a_row_strict_writes_are_not_even_begun() {
    let house = House::start().await;
    let strict = house.queue("strict").await;
    let table = house.students(vec![strict_link(1, &strict)]).await;
    house.engine.mood(Mood::Refusing);
    let writer = house.writer();
    for _ in 0..5 {
        let refused = writer.create(&table, &named("a"), &by(), false).await;
        assert!(matches!(refused, Err(WriterError::Refused { .. })), "{refused:?}");
    }
    house.calls.counted();
    house.engine.calls();
    let down = writer.create(&table, &named("a"), &by(), false).await;
    assert!(matches!(down, Err(WriterError::Write(WriteError::QueueDown))), "{down:?}");
    assert_eq!((house.calls.counted().len(), house.engine.calls().len()), (0, 0));
    house.engine.mood(Mood::Fine);
    house.hands.turn_secs(60);
    assert!(writer.create(&table, &named("a"), &by(), false).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_nothing_is_undone_and_the_sweeper_ends_it_under_the_same_id() {
    let house = House::start().await;
    let strict = house.queue("strict").await;
    let table = house.students(vec![strict_link(1, &strict)]).await;
    let writer = house.writer();
    let made = writer.create(&table, &named("a"), &by(), false).await.unwrap().written.record;
    house.engine.mood(Mood::Silent);
    let within = Duration::from_secs(10);
    let unknown =
        timeout(within, writer.update(&table, made.id, &named("b"), None, &by(), false)).await.unwrap();
    let Err(WriterError::Unknown { message_id }) = unknown else { panic!("nobody can know: {unknown:?}") };
    assert_eq!(
        house.records.get(&table, made.id).await.unwrap(),
        Some(made.clone()),
        "nothing can be read of it yet"
    );
    let held = writer.update(&table, made.id, &named("c"), None, &by(), false).await;
    assert!(matches!(held, Err(WriterError::Write(WriteError::Held))), "{held:?}");
    house.engine.mood(Mood::Fine);
    house.hands.turn_secs(60);
    let swept = house.sweep().await;
    assert_eq!((swept.sent, swept.applied), (1, 1));
    assert_eq!(house.ids("strict")[1..], vec![message_id.to_string(); 2]);
    assert_eq!(house.records.get(&table, made.id).await.unwrap().unwrap().version, 2);
    assert!(writer.update(&table, made.id, &named("c"), None, &by(), false).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_killed_before_or_after_its_send_leaves_both_or_nothing_that_can_be_read() {
    let house = House::start().await;
    let (strict, other) = (house.queue("strict").await, house.queue("other").await);
    let table = house.students(vec![outbox_link(1, &other), strict_link(2, &strict)]).await;
    // Its first transaction is done, and then it dies.
    let written = house.records.create(&table, &named("a"), &by()).await.unwrap();
    let held = written.held.unwrap().entry;
    assert!(house.records.get(&table, written.record.id).await.unwrap().is_none());
    house.hands.turn_secs(60);
    let swept = house.sweep().await;
    assert_eq!((swept.sent, swept.applied, swept.parked), (1, 1, 0));
    assert!(house.records.get(&table, written.record.id).await.unwrap().is_some());
    assert_eq!(house.ids("strict"), [held.message_id.to_string()]);
    assert_eq!(house.states(&[held.key]).await, [EntryState::Published]);
    let others: Vec<_> = written.messages.iter().map(|pending| pending.entry).collect();
    assert_eq!(house.ring(&others[..1]).await, [0; 0]);
    assert_eq!(house.engine.bodies("other").len(), 1);

    // It dies after its send, before anything else: the sweeper sends once more, and the record stands once.
    let written = house.records.create(&table, &named("b"), &by()).await.unwrap();
    let held = written.held.unwrap().entry;
    house.hands.turn_secs(60);
    let leased = house.outbox.lease(&held.key, 60).await.unwrap().unwrap();
    house.hands.turn_secs(61);
    assert_eq!(house.sweep().await.applied, 1);
    // The first one's mark comes too late, and does no harm.
    let late = Applied::Published { engine_id: Some("late".to_owned()) };
    house.records.apply(&held.key, late, Some(leased.lease)).await.unwrap();
    assert_eq!(house.entry(&held.key).await.engine_id.as_deref(), Some("sqs-3"));
    assert_eq!(house.records.get(&table, written.record.id).await.unwrap().unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_write_whose_message_is_refused_in_the_end_stands_and_its_message_is_a_letter() {
    let house = House::start().await;
    let strict = house.queue("strict").await;
    let table = house.students(vec![strict_link(1, &strict)]).await;
    let hold = async || house.records.create(&table, &named("a"), &by()).await.unwrap();
    // Refused for certain: at once.
    let first = hold().await;
    house.engine.mood(Mood::Refusing);
    house.hands.turn_secs(60);
    let swept = house.sweep().await;
    assert_eq!((swept.applied, swept.parked, swept.sent), (1, 1, 0));
    assert!(house.records.get(&table, first.record.id).await.unwrap().is_some());
    assert_eq!(house.state(&first.held.unwrap().entry.key).await, EntryState::Parked);
    // Never answered: after the last failure.
    let second = hold().await;
    house.engine.mood(Mood::Silent);
    let key = second.held.unwrap().entry.key;
    let mut entry = house.entry(&key).await;
    for _ in 0..11 {
        house.outbox.postpone(&entry, "no answer", house.hands.clock().now(), true).await.unwrap();
        entry = house.entry(&key).await;
    }
    let swept = house.sweep().await;
    assert_eq!((swept.applied, swept.parked, swept.sent), (1, 1, 0));
    assert!(house.records.get(&table, second.record.id).await.unwrap().is_some());
    // Its queue is gone: nothing can come of it.
    let third = hold().await;
    house.catalog.delete_queue(&strict).await.unwrap();
    house.hands.turn_secs(60);
    assert_eq!(house.sweep().await.applied, 1);
    assert!(house.records.get(&table, third.record.id).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_comes_after_a_sweeper_had_the_entry_undoes_nothing() {
    let house = House::start().await;
    let strict = house.queue("strict").await;
    let table = house.students(vec![strict_link(1, &strict)]).await;
    let writer = house.writer();
    writer.create(&table, &named("warm"), &by(), false).await.unwrap();
    let gate = house.engine.hold_every("SendMessage");
    let writing = {
        let (writer, table) = (writer.clone(), table.clone());
        tokio::spawn(async move { writer.create(&table, &named("a"), &by(), false).await })
    };
    house.engine.held().await;
    let key = house.due().await;
    house.hands.turn_secs(60);
    house.outbox.lease(&key, 60).await.unwrap().unwrap();
    house.engine.mood(Mood::Refusing);
    gate.notify_one();
    let answer = writing.await.unwrap();
    assert!(matches!(answer, Err(WriterError::Unknown { .. })), "{answer:?}");
    assert_eq!(house.state(&key).await, EntryState::Held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_write_does_not_go_past_a_parked_entry_of_its_own_ordered_link() {
    let house = House::start().await;
    let strict = house.queue("strict-fifo").await;
    let table = house.students(vec![strict_link(1, &strict)]).await;
    let written =
        house.records.create(&house.writer().open(&table).await.unwrap(), &named("a"), &by()).await.unwrap();
    house.engine.mood(Mood::Refusing);
    house.hands.turn_secs(60);
    assert_eq!(house.sweep().await.parked, 1);
    house.engine.mood(Mood::Fine);
    let writer = house.writer();
    let behind = writer.update(&table, written.record.id, &named("b"), None, &by(), false).await;
    assert!(matches!(behind, Err(WriterError::Write(WriteError::QueueDown))), "{behind:?}");
    house.outbox.redrive(&written.held.unwrap().entry.key).await.unwrap();
    assert_eq!(house.courier().sweep(LONG).await.sent, 1);
    assert!(writer.update(&table, written.record.id, &named("b"), None, &by(), false).await.is_ok());
    assert_eq!(house.engine.bodies("strict-fifo"), ["\"a\"", "\"b\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_write_whose_queue_has_too_much_to_do_is_tried_again_and_not_given_up() {
    let house = House::start().await;
    let strict = house.queue("strict").await;
    let table = house.students(vec![strict_link(1, &strict)]).await;
    let written = house.records.create(&table, &named("a"), &by()).await.unwrap();
    house.engine.mood(Mood::Throttling);
    house.hands.turn_secs(60);
    let swept = house.sweep().await;
    assert_eq!((swept.postponed, swept.parked, swept.applied), (1, 0, 0));
    assert_eq!(house.state(&written.held.unwrap().entry.key).await, EntryState::Held);
    house.engine.mood(Mood::Fine);
    house.hands.turn_secs(60);
    assert_eq!(house.sweep().await.applied, 1);
    assert!(house.records.get(&table, written.record.id).await.unwrap().is_some());
}

use std::time::Duration;

use delivery::{Writer, WriterError};
use domain::EntryState;
use tokio::time::{Instant, timeout};
use zstorage::{Change, ChangeKind, OutboxGroup, WriteError};

use crate::engine::Mood;
use crate::house::{House, by, named, outbox_link, strict_link};

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_answered_when_the_messages_are_on_their_queues_or_given_up() {
    let house = House::start().await;
    let (one, other) = (house.queue("one").await, house.queue("other").await);
    let table = house.students(vec![outbox_link(1, &one), outbox_link(2, &other)]).await;
    let writing = {
        let (writer, table) = (house.writer(), table.clone());
        tokio::spawn(async move { writer.create(&table, &named("a"), &by(), true).await })
    };
    let entries = loop {
        let page = house.outbox.list(OutboxGroup::Due, 10, None).await.unwrap();
        if page.items.len() == 2 {
            break page.items;
        }
    };
    let (given_up, sent): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.queue == other.id);
    house.outbox.park(&given_up[0], "somebody said so").await.unwrap();
    assert!(!writing.is_finished());
    house.ring(&[sent[0].key]).await;
    let answer = writing.await.unwrap().unwrap();
    let told: Vec<_> = answer
        .messages
        .iter()
        .map(|sent| (sent.state, sent.engine_id.as_ref().map(|known| known.id.as_str())))
        .collect();
    assert_eq!(told, [(EntryState::Published, Some("sqs-1")), (EntryState::Parked, None)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_given_before_says_how_far_its_messages_are_by_now() {
    let house = House::start().await;
    let (strict, other) = (house.queue("strict").await, house.queue("other").await);
    let table = house.students(vec![strict_link(1, &strict), outbox_link(2, &other)]).await;
    let by = zstorage::By { idempotency: Some(("key".to_owned(), [7; 32])), ..by() };
    let first = house.writer().create(&table, &named("a"), &by, false).await.unwrap();
    let again = house.writer().create(&table, &named("a"), &by, false).await.unwrap();
    assert!(again.written.replayed);
    assert_eq!(again.messages, first.messages);
    assert_eq!(house.engine.bodies("strict").len(), 1);
    house.ring(&[first.messages[1].entry]).await;
    let later = house.writer().create(&table, &named("a"), &by, false).await.unwrap();
    assert_eq!(later.messages[1].engine_id.as_ref().map(|known| known.id.as_str()), Some("sqs-2"));
    // One whose queue does not answer is under way, and nobody begins it anew.
    house.engine.mood(Mood::Silent);
    let by = zstorage::By { idempotency: Some(("other".to_owned(), [7; 32])), ..by };
    let unknown = house.writer().create(&table, &named("b"), &by, false).await;
    assert!(matches!(unknown, Err(WriterError::Unknown { .. })), "{unknown:?}");
    let under_way = house.writer().create(&table, &named("b"), &by, false).await;
    assert!(matches!(under_way, Err(WriterError::Write(WriteError::InFlight))), "{under_way:?}");
    house.engine.mood(Mood::Fine);
    house.hands.turn_secs(60);
    assert_eq!(house.sweep().await.applied, 1);
    let done = house.writer().create(&table, &named("b"), &by, false).await.unwrap();
    assert_eq!((done.written.replayed, done.messages[0].state), (true, EntryState::Published));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_vain_is_answered_after_25_seconds_though_the_store_does_not_answer() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let in_vain = async |writer: Writer| {
        let begun = Instant::now();
        let change = |_| Change { table: table.clone(), kind: ChangeKind::Create(named("a")) };
        let changes = (0..40).map(change).enumerate().collect();
        let (by, within) = (by(), Duration::from_secs(27));
        let answers = timeout(within, writer.each(changes, &by, true)).await.expect("an answer in time");
        for answer in answers.unwrap() {
            let sent = &answer.unwrap().messages[0];
            assert_eq!(
                (sent.state, sent.engine_id.as_ref().map(|known| known.id.as_str())),
                (EntryState::Due, None)
            );
        }
        assert!(begun.elapsed().as_secs() >= 23, "{:?}", begun.elapsed());
    };
    tokio::join!(in_vain(house.writer()), in_vain(house.writer_that_cannot_look().await));
}

use std::sync::atomic::AtomicI64;

use delivery::{NewMessage, Options, PublishError};
use domain::{Clock, EntryKey, EntryState, KeyId, MAX_BODY_BYTES, MessageId, OutboxEntry, Payload};
use jiff::{SignedDuration, Timestamp};
use zstorage::{Begun, Cancelled, IdempotencyKey};

use crate::engine::Mood;
use crate::house::House;

fn message(body: &str, options: Options) -> NewMessage {
    NewMessage { payload: Payload::parse(body.as_bytes(), MAX_BODY_BYTES).unwrap(), options }
}

fn caller() -> KeyId {
    KeyId::new(Timestamp::UNIX_EPOCH, &mut rand::rng())
}

impl House {
    fn in_secs(&self, secs: i64) -> Timestamp {
        self.hands.clock().now() + SignedDuration::from_secs(secs)
    }

    fn dated(&self, body: &str, secs: i64) -> NewMessage {
        message(body, Options { deliver_at: Some(self.in_secs(secs)), ..Options::default() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_a_date_is_sent_at_its_date_and_can_be_taken_back_until_then() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let publisher = house.publisher();
    let first = publisher.publish(caller(), &queue, house.dated("1", 30 * 86_400)).await.unwrap();
    assert_eq!((first.engine_id, first.deliver_at), (None, Some(house.in_secs(30 * 86_400))));
    let second = publisher.publish(caller(), &queue, house.dated("2", 30 * 86_400)).await.unwrap();
    house.hands.turn_secs(30 * 86_400 - 1);
    assert_eq!(house.sweep().await.sent, 0);
    assert_eq!(house.outbox.cancel(second.message_id).await.unwrap(), Cancelled::Done);
    house.hands.turn_secs(1);
    assert_eq!(house.sweep().await.sent, 1);
    assert_eq!(house.engine.bodies("events"), ["1"]);
    assert_eq!(house.ids("events"), [first.message_id.to_string()]);
    let beside = &house.engine.messages("events")[0]["MessageAttributes"];
    assert_eq!(beside.as_object().unwrap().len(), 2, "it tells of no record");
    assert_eq!(house.outbox.cancel(first.message_id).await.unwrap(), Cancelled::TooLate);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_message_that_somebody_is_sending_nothing_can_be_taken_back() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let published = house.publisher().publish(caller(), &queue, house.dated("1", 60)).await.unwrap();
    house.hands.turn_secs(60);
    house.engine.mood(Mood::Refusing);
    assert_eq!(house.sweep().await.postponed, 1);
    assert_eq!(house.outbox.cancel(published.message_id).await.unwrap(), Cancelled::TooLate);
    house.engine.mood(Mood::Fine);
    house.hands.turn_secs(60);
    assert_eq!(house.sweep().await.sent, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_is_past_asks_for_nothing_and_one_beside_a_delay_is_a_fault() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let publisher = house.publisher();
    for secs in [0, -1, -1_000_000] {
        let published = publisher.publish(caller(), &queue, house.dated("1", secs)).await.unwrap();
        assert!(published.engine_id.is_some() && published.deliver_at.is_none());
    }
    let mut both = house.dated("1", 60);
    both.options.deliver_after_secs = Some(5);
    let Err(PublishError::Invalid { options, .. }) = publisher.publish(caller(), &queue, both).await else {
        panic!("both cannot be")
    };
    assert_eq!((options.0[0].path.as_str(), options.0[0].code), ("deliver-at", "not-with-deliver-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_fifo_queue_a_date_goes_with_an_ordering_key() {
    let house = House::start().await;
    let queue = house.queue("events-fifo").await;
    let publisher = house.publisher();
    for secs in [60, 61, 62] {
        let mut message = house.dated(&secs.to_string(), secs);
        message.options.ordering_key = Some("k".into());
        publisher.publish(caller(), &queue, message).await.unwrap();
    }
    house.hands.turn_secs(120);
    assert_eq!(house.sweep().await.sent, 3);
    let mut bodies = house.engine.bodies("events-fifo");
    bodies.sort();
    assert_eq!(bodies, ["60", "61", "62"]);
    assert!(house.engine.messages("events-fifo").iter().all(|message| message["MessageGroupId"] == "k"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_anywhere_the_same_call_under_its_key_ends_in_one_message() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let publisher = house.publisher();
    let caller = caller();
    let with_key = |key: &str| {
        let mut message = house.dated("1", 3600);
        message.options.idempotency_key = Some(key.to_owned());
        message
    };
    let message = with_key("a");
    let first = publisher.publish(caller, &queue, message.clone()).await.unwrap();
    let again = publisher.publish(caller, &queue, message.clone()).await.unwrap();
    assert!(again.replayed && again.message_id == first.message_id && again.deliver_at == first.deliver_at);
    let mut other = message.clone();
    other.options.deliver_at = Some(house.in_secs(7200));
    let refused = publisher.publish(caller, &queue, other).await;
    assert!(matches!(refused, Err(PublishError::OtherBody)), "{refused:?}");

    // Killed behind the row; killed behind the entry; and both times tried again when the date has come.
    for (key, dies_after_entry) in [("b", false), ("c", true)] {
        let message = with_key(key);
        let row = IdempotencyKey { caller, queue: queue.id, key: key.to_owned() };
        let id = MessageId::new(house.hands.clock().now(), &mut rand::rng());
        let begun = house.messages.begin(&row, message.fingerprint(), id, 10).await.unwrap();
        assert_eq!(begun, Begun::New { message_id: id });
        if dies_after_entry {
            house.outbox.schedule(&scheduled(&house, id, &queue, &message)).await.unwrap();
            house.outbox.cancel(id).await.unwrap();
        }
        house.hands.turn_secs(3601);
        let again = publisher.publish(caller, &queue, message).await.unwrap();
        assert_eq!((again.message_id, again.engine_id), (id, None));
        house.sweep().await;
        // What was taken back in between stays so.
        let expect = if dies_after_entry { EntryState::Discarded } else { EntryState::Published };
        assert_eq!(house.state(&EntryKey::Scheduled(id)).await, expect);
    }
}

fn scheduled(house: &House, id: MessageId, queue: &domain::Queue, message: &NewMessage) -> OutboxEntry {
    OutboxEntry {
        key: EntryKey::Scheduled(id),
        message_id: id,
        queue: queue.id,
        body: message.payload.as_str().to_owned(),
        ordering_key: None,
        ordered: false,
        origin: None,
        round: 0,
        notes: Vec::new(),
        state: EntryState::Scheduled,
        failures: 0,
        lease: 0,
        committed_at: house.hands.clock().now(),
        next_attempt_at: message.options.deliver_at,
        reason: None,
        engine_id: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_may_have_messages_for_dates_and_for_now() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let large = format!("\"{}\"", "x".repeat(MAX_BODY_BYTES - 2));
    let messages = vec![house.dated(&large, 60), message("2", Options::default()), house.dated("3", -5)];
    let answers = house.publisher().publish_batch(caller(), &queue, messages).await;
    let told: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().engine_id.is_some()).collect();
    assert_eq!(told, [false, true, true]);
    assert_eq!(house.engine.bodies("events").len(), 2);
    house.hands.turn_secs(60);
    assert_eq!(house.sweep().await.sent, 1);
    assert_eq!(house.engine.bodies("events").pop().unwrap(), large);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_comes_in_the_midst_of_a_batch_is_kept_or_past_and_nothing_between() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    for millis in 1..12 {
        // Time goes on by a millisecond at each look.
        let (begin, looks) = (house.in_secs(0), AtomicI64::new(0));
        let ticking = Clock::new(move || {
            begin + SignedDuration::from_millis(looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
        });
        let mut dated = house.dated("1", 0);
        dated.options.deliver_at = Some(begin + SignedDuration::from_millis(millis));
        let messages = vec![dated, message("2", Options::default())];
        let answers = house.publisher_by(ticking).publish_batch(caller(), &queue, messages).await;
        let published = answers[0].as_ref().unwrap();
        assert_ne!(published.engine_id.is_some(), published.deliver_at.is_some(), "{millis} ms");
        assert!(answers[1].as_ref().unwrap().engine_id.is_some());
    }
}

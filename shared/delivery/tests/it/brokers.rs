//! Kafka and RabbitMQ: entries go the same way as to SQS, in the same order, with the same truth told.

use std::time::Duration;

use delivery::{EngineId, NewMessage, Options, PublishError, WriterError};
use domain::{Engine, EntryKey, EntryState, KeyId, LinkMode, MAX_BODY_BYTES, Payload, Queue, RecordId};
use jiff::Timestamp;
use tokio::time::timeout;
use zstorage::{OpenTable, WriteError};

use crate::engine::Mood;
use crate::house::{House, LONG, by, link, named, outbox_link, strict_link};
use crate::kafka::{Kafka, deserted, on_kafka, on_rabbitmq, own};

/// That a strict write is told at all. How soon is the writer's own to see to.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// A house, a topic `events` of its own Kafka, and a record of which `writes` were made.
async fn written(kafka: &Kafka, writes: usize) -> (House, OpenTable, RecordId, Vec<EntryKey>) {
    let house = House::beside(kafka.own()).await;
    let queue = house.queue_of("events", on_kafka).await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let (record, mut keys) = house.create(&table, "n1").await;
    for number in 2..=writes {
        keys.extend(house.rename(&table, record, &format!("n{number}")).await);
    }
    (house, table, record, keys)
}

fn in_order(writes: usize) -> Vec<String> {
    (1..=writes).map(|number| format!("\"n{number}\"")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_a_record_lie_on_their_topic_in_their_order_under_its_id() {
    let kafka = Kafka::start(&["events"]);
    let (house, _, record, keys) = written(&kafka, 10).await;
    let mut shuffled = keys.clone();
    shuffled.rotate_left(3);
    assert_eq!(house.ring(&shuffled).await, [0; 0]);
    let records = kafka.records("events");
    let bodies: Vec<_> = records.iter().map(|one| one.body.clone()).collect();
    assert_eq!(bodies, in_order(10));
    let id = record.to_string();
    assert!(records.iter().all(|one| one.key.as_deref() == Some(id.as_str())), "{records:?}");
    let headers: Vec<_> = records[1].headers.iter().map(|(name, _)| name.as_str()).collect();
    let beside = ["message-id", "round", "table", "record-id", "operation", "version", "link-depth"];
    assert_eq!(headers, beside);
    let entry = house.entry(&keys[9]).await;
    assert_eq!((entry.state, entry.engine_id.as_deref()), (EntryState::Published, Some("events-0-9")));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_away_entries_wait_in_their_order_and_no_other_queue_does() {
    let kafka = Kafka::start(&["events"]);
    let (house, table, record, first) = written(&kafka, 1).await;
    let courier = house.courier();
    courier.ring(house.seen(&first).await, LONG).await;
    kafka.is_away(true);
    let mut keys = house.rename(&table, record, "n2").await;
    keys.extend(house.rename(&table, record, "n3").await);
    let other = house.queue("other").await;
    let others = house.students(vec![outbox_link(1, &other)]).await;
    let (_, beside) = house.create(&others, "beside").await;
    let all = [keys.clone(), beside].concat();
    assert_eq!(courier.ring(house.seen(&all).await, LONG).await, [0; 0]);
    assert_eq!(house.engine.bodies("other"), ["\"beside\""]);
    assert_eq!(house.states(&keys).await, [EntryState::Due; 2]);
    assert_eq!((house.entry(&keys[0]).await.failures, house.entry(&keys[1]).await.failures), (1, 0));
    kafka.is_away(false);
    house.hands.turn_secs(122);
    // Another process: this one may have to wait before it connects again.
    assert_eq!(house.courier().sweep(LONG).await.sent, 2);
    assert_eq!(kafka.bodies("events"), in_order(3));
}

/// Of one key one message is on its way at a time; those of other records go beside it.
#[tokio::test(flavor = "multi_thread")]
async fn many_records_go_at_once_and_each_in_its_order() {
    let kafka = Kafka::start(&["events"]);
    let house = House::beside(kafka.own()).await;
    let queue = house.queue_of("events", on_kafka).await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let mut keys = Vec::new();
    for number in 0..30 {
        let (record, first) = house.create(&table, &format!("r{number} n1")).await;
        keys.extend(first);
        keys.extend(house.rename(&table, record, &format!("r{number} n2")).await);
    }
    keys.reverse();
    assert_eq!(house.ring(&keys).await, [0; 0]);
    let records = kafka.records("events");
    assert_eq!(records.len(), 60);
    for number in 0..30 {
        let of_record: Vec<_> =
            records.iter().filter(|one| one.body.starts_with(&format!("\"r{number} "))).collect();
        let bodies: Vec<_> = of_record.iter().map(|one| one.body.as_str()).collect();
        assert_eq!(bodies, [format!("\"r{number} n1\""), format!("\"r{number} n2\"")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_write_stands_once_its_record_lies_on_the_topic_and_without_it_not_at_all() {
    let kafka = Kafka::start(&["events"]);
    let house = House::beside(kafka.own()).await;
    let queue = house.queue_of("events", on_kafka).await;
    let table = house.students(vec![strict_link(1, &queue)]).await;
    let writer = house.writer();
    let made = writer.create(&table, &named("a"), &by(), false).await.unwrap();
    let told = made.messages[0].engine_id.clone();
    assert_eq!(told, Some(EngineId { engine: Engine::Kafka, id: "events-0-0".to_owned() }));
    let record = made.written.record;
    kafka.is_away(true);
    // So soon after another record librdkafka's counters do not tell the two apart; of the next one they do.
    assert!(writer.create(&table, &named("just gone"), &by(), false).await.is_err());
    let refused = timeout(TOLD_WITHIN, writer.update(&table, record.id, &named("b"), None, &by(), false))
        .await
        .unwrap();
    assert!(matches!(refused, Err(WriterError::Refused { .. })), "{refused:?}");
    assert_eq!(house.records.get(&table, record.id).await.unwrap(), Some(record.clone()));
    kafka.is_away(false);
    assert!(writer.update(&table, record.id, &named("c"), Some(1), &by(), false).await.is_ok());
    assert_eq!(kafka.bodies("events"), ["\"a\"", "\"c\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_write_that_kafka_does_not_answer_is_ended_by_the_sweeper() {
    let kafka = Kafka::start(&["events"]);
    let house = House::beside(kafka.own()).await;
    let queue = house.queue_of("events", on_kafka).await;
    let table = house.students(vec![strict_link(1, &queue)]).await;
    let writer = house.writer();
    let made = writer.create(&table, &named("a"), &by(), false).await.unwrap().written.record;
    kafka.answers_after(Duration::from_secs(6));
    let unknown =
        timeout(TOLD_WITHIN, writer.update(&table, made.id, &named("b"), None, &by(), false)).await.unwrap();
    let Err(WriterError::Unknown { message_id }) = unknown else { panic!("{unknown:?}") };
    let held = writer.update(&table, made.id, &named("c"), None, &by(), false).await;
    assert!(matches!(held, Err(WriterError::Write(WriteError::Held))), "{held:?}");
    kafka.answers_after(Duration::ZERO);
    house.hands.turn_secs(60);
    let swept = house.sweep().await;
    assert_eq!((swept.sent, swept.applied), (1, 1));
    assert_eq!(house.records.get(&table, made.id).await.unwrap().unwrap().version, 2);
    let id = ("message-id".to_owned(), message_id.to_string());
    assert!(kafka.records("events").last().unwrap().headers.contains(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waits_is_told_where_its_record_lies() {
    let kafka = Kafka::start(&["events"]);
    let house = House::beside(kafka.own()).await;
    let queue = house.queue_of("events", on_kafka).await;
    let table = house.students(vec![link(1, &queue, LinkMode::Outbox)]).await;
    let (writer, courier) = (house.writer(), house.courier());
    let (fields, by) = (named("a"), by());
    let waiting = writer.create(&table, &fields, &by, true);
    let sweeping = async {
        while courier.sweep(LONG).await.sent == 0 {
            house.hands.turn_secs(60);
        }
        std::future::pending::<()>().await;
    };
    // A create that fails is not swept for.
    let answer = tokio::select! {
        answer = waiting => answer,
        () = sweeping => unreachable!("it waits for the answer"),
    };
    let told = answer.unwrap().messages[0].engine_id.clone();
    assert_eq!(told, Some(EngineId { engine: Engine::Kafka, id: "events-0-0".to_owned() }));
}

/// Whoever cannot be reached, and why not: that is certain, so nothing of a strict write remains, and an entry waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cannot_be_reached_took_nothing_for_certain() {
    let house = House::beside(own(&format!("127.0.0.1:{}", deserted()))).await;
    let check = async |name: &str, change: &dyn Fn(&mut Queue), has_user: bool| {
        let mut queue = house.queue_of(name, change).await;
        if has_user {
            let before = queue.clone();
            queue.credentials = Some(house.seal(&before).await);
            house.catalog.update_queue(&before, &queue).await.unwrap();
        }
        let table = house.students(vec![strict_link(1, &queue)]).await;
        let refused = house.writer().create(&table, &named("a"), &by(), false).await;
        let is_refused =
            matches!(refused, Err(WriterError::Refused { .. } | WriterError::Write(WriteError::QueueDown)));
        assert!(is_refused, "{name}: {refused:?}");
        let table = house.students(vec![outbox_link(1, &queue)]).await;
        let (_, keys) = house.create(&table, "a").await;
        assert_eq!(house.ring(&keys).await, [0; 0]);
        let entry = house.entry(&keys[0]).await;
        assert_eq!((entry.state, entry.failures), (EntryState::Due, 1), "{name}");
    };
    check("topic", &on_kafka, false).await;
    check("rabbit", &|queue| on_rabbitmq(queue, deserted()), true).await;
    // Nobody said who we are there.
    check("nobody", &|queue| on_rabbitmq(queue, deserted()), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_that_was_refused_goes_out_later_under_its_id() {
    let kafka = Kafka::start(&["events"]);
    let house = House::beside(kafka.own()).await;
    let queue = house.queue_of("events", on_kafka).await;
    let publisher = house.publisher();
    assert_eq!(publisher.max_body_bytes(&queue).await, MAX_BODY_BYTES);
    let caller = KeyId::new(Timestamp::UNIX_EPOCH, &mut rand::rng());
    let message = || NewMessage {
        payload: Payload::parse(b"1", 10).unwrap(),
        options: Options { idempotency_key: Some("k".to_owned()), ..Options::default() },
    };
    kafka.is_away(true);
    let refused = publisher.publish(caller, &queue, message()).await;
    let Err(PublishError::Undelivered(undelivered)) = refused else { panic!("{refused:?}") };
    assert!(!undelivered.outcome_unknown, "{undelivered:?}");
    kafka.is_away(false);
    // Another process: the one before may have to wait until it connects again.
    let publisher = house.publisher();
    let accepted = publisher.publish(caller, &queue, message()).await.unwrap();
    assert_eq!(Some(accepted.message_id.to_string()), undelivered.letter);
    assert_eq!((accepted.engine, accepted.engine_id.as_deref()), (Engine::Kafka, Some("events-0-0")));
    house.engine.mood(Mood::Broken);
    let again = publisher.publish(caller, &queue, message()).await.unwrap();
    assert_eq!((again.engine_id, again.replayed), (Some("events-0-0".to_owned()), true));
    assert_eq!(kafka.bodies("events"), ["1"]);
}

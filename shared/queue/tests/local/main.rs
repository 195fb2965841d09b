//! The embedded Kafka, and receiving from it.
#![cfg(feature = "local")]
#![allow(clippy::unwrap_used, missing_docs, reason = "a test may panic, and is no library")]

use std::time::Duration;

use aws_credential_types::Credentials as AwsCredentials;
use aws_sdk_sqs::config::SharedCredentialsProvider;
use queue::Outgoing;
use queue::kafka::{KafkaPlace, KafkaProducers, KafkaSecurity};
use queue::local::{KafkaPartition, KafkaPoll, KafkaRecord, MockKafka, PollError, StampedBy};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::timeout;

/// Far longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(30);

const WINDOW: Duration = Duration::from_millis(50);

fn place(mock: &MockKafka, topic: &str) -> KafkaPlace {
    KafkaPlace {
        bootstrap: mock.bootstrap(),
        topic: topic.to_owned(),
        partition: None,
        security: KafkaSecurity::Plaintext,
    }
}

fn message(id: &str, key: &str) -> Outgoing {
    Outgoing {
        message_id: id.to_owned(),
        round: 0,
        body: format!("{{\"id\":\"{id}\"}}"),
        ordering_key: Some(key.to_owned()),
        delay_secs: 0,
        attributes: Vec::new(),
    }
}

async fn send(to: &KafkaPlace, messages: &[Outgoing]) {
    let nobody = AwsCredentials::new("nobody", "nothing", None, None, "tests");
    let guard = domain::Guard::operator().with_loopback(true);
    let producers = KafkaProducers::new(SharedCredentialsProvider::new(nobody), guard);
    for sent in producers.send_all(to, messages).await {
        sent.unwrap();
    }
}

/// The next `count` records of one partition.
async fn take(partition: &KafkaPartition, count: usize) -> Vec<KafkaRecord> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let batch = timeout(PATIENCE, partition.next(10, WINDOW)).await.expect("records").unwrap();
        assert!((1..=10).contains(&batch.len()));
        taken.extend(batch);
    }
    taken
}

fn ids(records: &[KafkaRecord]) -> Vec<String> {
    let id = |record: &KafkaRecord| {
        let found = record.headers.iter().find(|(name, _)| name == "message-id");
        String::from_utf8(found.unwrap().1.clone().unwrap()).unwrap()
    };
    records.iter().map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_does_not_come_again_and_all_else_does_from_the_oldest_on() {
    let mock = MockKafka::start().unwrap();
    mock.make_topic("orders", 1).unwrap();
    mock.make_topic("orders", 1).unwrap();
    let place = place(&mock, "orders");
    let messages: Vec<_> = (0..25).map(|n| message(&format!("m{n}"), "one")).collect();
    send(&place, &messages).await;
    let sent: Vec<String> = messages.iter().map(|message| message.message_id.clone()).collect();

    let mut first = KafkaPoll::new(&place, "group").unwrap();
    let partitions = first.partitions().await.unwrap();
    assert_eq!(partitions.iter().map(KafkaPartition::number).collect::<Vec<_>>(), [0]);
    assert!(first.partitions().await.unwrap().is_empty(), "each is given once");
    let records = take(&partitions[0], 25).await;
    assert_eq!(ids(&records), sent);
    assert_eq!(records[3].value.as_deref(), Some(messages[3].body.as_bytes()));
    assert_eq!(records[3].key.as_deref(), Some(&b"one"[..]));
    assert!(matches!(records[3].timestamp, Some((millis, StampedBy::Producer)) if millis > 0));
    partitions[0].commit(records[9].offset).await.unwrap();
    drop((first, partitions));

    let again = async |group: &str, left: usize| {
        let mut poll = KafkaPoll::new(&place, group).unwrap();
        let partitions = poll.partitions().await.unwrap();
        ids(&take(&partitions[0], left).await)
    };
    assert_eq!(again("group", 15).await, sent[10..]);
    assert_eq!(again("another group", 25).await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_partition_is_received_from_by_itself() {
    let mock = MockKafka::start().unwrap();
    mock.make_topic("wide", 4).unwrap();
    let place = place(&mock, "wide");
    let messages: Vec<_> = (0..200).map(|n| message(&format!("m{n}"), &format!("k{}", n % 20))).collect();
    let mut poll = KafkaPoll::new(&place, "group").unwrap();
    let partitions = poll.partitions().await.unwrap();
    send(&place, &messages).await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    for partition in partitions {
        let told = told.clone();
        tokio::spawn(async move {
            while let Ok(batch) = partition.next(10, WINDOW).await {
                let own = batch.iter().all(|record| record.partition == partition.number());
                if told.send((own, partition.number(), ids(&batch))).is_err() {
                    return;
                }
            }
        });
    }
    let (mut seen, mut numbers) = (Vec::new(), std::collections::BTreeSet::new());
    while seen.len() < messages.len() {
        let (own, number, ids) = timeout(PATIENCE, heard.recv()).await.expect("records").unwrap();
        assert!(own, "a record of another partition came from {number}");
        numbers.insert(number);
        seen.extend(ids);
    }
    assert!(numbers.len() > 1, "twenty keys fall on more than one partition");
    seen.sort();
    let mut sent: Vec<String> = messages.iter().map(|message| message.message_id.clone()).collect();
    sent.sort();
    assert_eq!(seen, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_and_headers_without_a_value_come_as_they_are() {
    let mock = MockKafka::start().unwrap();
    mock.make_topic("bare", 1).unwrap();
    let place = place(&mock, "bare");
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", mock.bootstrap()).create().unwrap();
    let headers = OwnedHeaders::new()
        .insert(Header { key: "none", value: None::<&str> })
        .insert(Header { key: "raw", value: Some(&[0xC3_u8, 0xAB][..]) });
    let record: FutureRecord<'_, str, str> = FutureRecord::to("bare").headers(headers);
    producer.send(record, PATIENCE).await.unwrap();
    let mut poll = KafkaPoll::new(&place, "group").unwrap();
    let partitions = poll.partitions().await.unwrap();
    let record = take(&partitions[0], 1).await.remove(0);
    assert_eq!((record.key, record.value), (None, None));
    assert_eq!(record.headers, [("none".to_owned(), None), ("raw".to_owned(), Some(vec![0xC3, 0xAB]))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_named_and_a_place_with_a_user_is_not_received_from() {
    let mock = MockKafka::start().unwrap();
    let mut poll = KafkaPoll::new(&place(&mock, "nowhere"), "group").unwrap();
    let told = poll.partitions().await.map(|_| ()).unwrap_err();
    assert!(matches!(&told, PollError::NoTopic(topic) if topic == "nowhere"), "{told:?}");
    mock.make_topic("nowhere", 2).unwrap();
    assert_eq!(poll.partitions().await.unwrap().len(), 2);
    let tls = KafkaPlace { security: KafkaSecurity::Tls, ..place(&mock, "nowhere") };
    assert!(KafkaPoll::new(&tls, "group").is_err());
}

use std::collections::HashSet;
use std::time::{Duration, Instant};

use queue::Outgoing;
use queue::kafka::{KafkaPlace, KafkaProducers};

use crate::broker::{kafka, producers};
use crate::brokers::message;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_lies_on_its_topic_as_it_was_sent() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let topic = kafka.topic(3, &[]).await;
    let mut sent = message("0BF1");
    sent.round = 2;
    sent.body = "{\"name\":\"João\"}\n".to_owned();
    sent.ordering_key = Some("ada".to_owned());
    sent.attributes = vec![("link-depth", "1".to_owned())];
    let accepted = producers().send(&kafka.place(&topic), &sent).await.unwrap();

    let records = kafka.records(&topic, 3).await;
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(accepted.engine_id, format!("{topic}-{}-{}", record.partition, record.offset));
    assert_eq!((&record.body, &record.key), (&sent.body, &sent.ordering_key));
    let headers = [("message-id", "0BF1"), ("round", "2"), ("link-depth", "1")];
    assert_eq!(record.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_ordering_key_is_one_partition_in_the_order_sent_and_many_keys_are_many() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let topic = kafka.topic(6, &[]).await;
    let (producers, place) = (producers(), kafka.place(&topic));
    let messages: Vec<_> = (0..30)
        .map(|number| {
            let ordering_key = Some(format!("key {}", number % 10));
            Outgoing { ordering_key, ..message(&format!("m{number}")) }
        })
        .collect();
    // As a caller does: on another thread of the runtime.
    let answers = tokio::spawn(async move { producers.send_all(&place, &messages).await }).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let records = kafka.records(&topic, 6).await;
    assert_eq!(records.len(), 30);
    for key in 0..10 {
        let of_key: Vec<_> =
            records.iter().filter(|one| one.key.as_deref() == Some(&format!("key {key}"))).collect();
        let ids: Vec<_> = of_key.iter().map(|one| one.headers["message-id"].clone()).collect();
        assert_eq!(ids, [0, 10, 20].map(|ten| format!("m{}", key + ten)));
        assert!(of_key.iter().all(|one| one.partition == of_key[0].partition), "{of_key:?}");
    }
    assert!(records.iter().map(|one| one.partition).collect::<HashSet<_>>().len() > 1, "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_one_partition_sends_nowhere_else() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let topic = kafka.topic(4, &[]).await;
    let (producers, mut place) = (producers(), kafka.place(&topic));
    place.partition = Some(2);
    for number in 0..8 {
        let mut message = message(&format!("m{number}"));
        message.ordering_key = Some(format!("key {number}"));
        let accepted = producers.send(&place, &message).await.unwrap();
        assert_eq!(accepted.engine_id, format!("{topic}-2-{number}"));
    }
    assert!(kafka.records(&topic, 4).await.iter().all(|record| record.partition == 2));
}

/// How long the first message of a new producer takes after `made_ready`: the shortest of five, for a busy machine makes one
/// late and none early.
async fn first_message(place: &KafkaPlace, made_ready: impl AsyncFn(&KafkaProducers)) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        let producers = producers();
        made_ready(&producers).await;
        let begun = Instant::now();
        producers.send(place, &message("first")).await.unwrap();
        shortest = shortest.min(begun.elapsed());
    }
    shortest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_producer_does_not_let_its_first_message_wait() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let place = kafka.place(&kafka.topic(1, &[]).await);
    let cold = first_message(&place, async |_| {}).await;
    let warm = first_message(&place, async |producers| producers.warm(&place).await.unwrap()).await;
    // Met without a word of any topic it has the cluster's number, too, and only asks for the topic.
    let meet = async |producers: &KafkaProducers| {
        producers.meet(&place.bootstrap, &place.security).await.unwrap();
    };
    let met = first_message(&place, meet).await;
    println!("first message: cold {cold:?}, warm {warm:?}, met {met:?}");
    assert!(warm < cold / 2, "cold {cold:?}, warm {warm:?}");
    assert!(met < cold / 2, "cold {cold:?}, met {met:?}");
}

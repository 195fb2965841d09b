//! The broker dies, freezes, or loses its connections while messages are on their way. What holds then: whatever was
//! accepted is there, whatever is called refused or unreachable is not, and everybody is answered in time.

use queue::kafka::{KafkaPlace, KafkaProducers};
use tokio::time::timeout;

use crate::broker::{Kafka, kafka, kafka_alone, producers};
use crate::brokers::proxy::{Mode, Proxy};
use crate::brokers::storm::{Storm, told_the_truth};
use crate::brokers::{ANSWERED_WITHIN, kind, message};

fn storm(callers: usize, producers: &KafkaProducers, place: &KafkaPlace) -> Storm {
    let (producers, place) = (producers.clone(), place.clone());
    Storm::begin(callers, move |id| {
        let (producers, place) = (producers.clone(), place.clone());
        async move { producers.send(&place, &message(&id)).await }
    })
}

async fn ids(kafka: &Kafka, topic: &str, partitions: i32) -> Vec<String> {
    let records = kafka.records(topic, partitions).await;
    records.into_iter().map(|record| record.headers["message-id"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_in_mid_publish_and_comes_back_loses_nothing_accepted() {
    let Some((kafka, _alone)) = kafka_alone().await else { return };
    let topic = kafka.topic(3, &[]).await;
    let (producers, place) = (producers(), kafka.place(&topic));
    let storm = storm(16, &producers, &place);
    storm.accepted(200).await;
    kafka.process.kill().await;
    // Beside this one others of the storm may still have been written; beside the next one none.
    let just_gone = producers.send(&place, &message("just gone")).await;
    let away = timeout(ANSWERED_WITHIN, producers.send(&place, &message("while away"))).await;
    kafka.start(&topic).await;
    let away = away.expect("answered in time");
    assert_eq!(kind(&away), "unreachable", "{away:?}");
    storm.accepted(200).await;
    let mut answers = storm.end().await;
    answers.push(("just gone".to_owned(), just_gone));
    answers.push(("while away".to_owned(), away));
    let told = told_the_truth(&answers, &ids(&kafka, &topic, 3).await);
    assert!(told["accepted"] >= 400, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_may_have_taken_what_it_was_sent_and_works_again_once_thawed() {
    let Some((kafka, _alone)) = kafka_alone().await else { return };
    let topic = kafka.topic(1, &[]).await;
    let (producers, place) = (producers(), kafka.place(&topic));
    producers.send(&place, &message("before")).await.unwrap();
    kafka.process.freezer().freeze().await;
    let first = timeout(ANSWERED_WITHIN, producers.send(&place, &message("into the ice"))).await;
    let storm = storm(4, &producers, &place);
    let second = producers.send(&place, &message("onto the ice")).await;
    kafka.process.thaw();
    let first = first.expect("answered in time");
    assert_eq!(kind(&first), "unanswered", "{first:?}");
    storm.accepted(50).await;
    let mut answers = storm.end().await;
    answers.push(("into the ice".to_owned(), first));
    answers.push(("onto the ice".to_owned(), second));
    told_the_truth(&answers, &ids(&kafka, &topic, 1).await);
}

/// One test, because there is one port where the broker says that it listens.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_after_the_append_gives_one_record_and_a_true_word() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let topic = kafka.topic(1, &[]).await;
    let (behind, says) = kafka.behind;
    let proxy = Proxy::open(says, behind).await;
    let place = KafkaPlace { bootstrap: format!("127.0.0.1:{says}"), ..kafka.place(&topic) };
    let producers = producers();
    producers.warm(&place).await.unwrap();
    producers.send(&place, &message("before")).await.unwrap();

    proxy.set(Mode::CutOnce);
    let retried = producers.send(&place, &message("retried")).await.unwrap();
    assert_eq!(retried.engine_id, format!("{topic}-0-1"));

    proxy.set(Mode::Cut);
    let cut = producers.send(&place, &message("cut off")).await;
    assert_eq!(kind(&cut), "unanswered", "{cut:?}");
    // No connection comes to stand, so nothing can be written.
    let later = producers.send(&place, &message("later")).await;
    assert_eq!(kind(&later), "unreachable", "{later:?}");
    proxy.set(Mode::Pass);
    producers.send(&place, &message("after")).await.unwrap();
    assert_eq!(ids(&kafka, &topic, 1).await, ["before", "retried", "cut off", "after"]);
}

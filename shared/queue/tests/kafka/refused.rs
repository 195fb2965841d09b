use std::time::{Duration, Instant};

use queue::SendError;
use queue::kafka::{KafkaPlace, KafkaSecurity};
use tokio::time::timeout;

use crate::broker::{kafka, producers};
use crate::brokers::{deserted, kind, message, user};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cluster_says_no_to_is_refused_and_is_not_there() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let topic = kafka.topic(1, &[("max.message.bytes", "2000")]).await;
    let producers = producers();
    let check = async |place: KafkaPlace, body: usize, expect: &str| {
        let mut message = message("refused");
        message.body = "x".repeat(body);
        let answer = timeout(Duration::from_millis(4700), producers.send(&place, &message)).await;
        let answer = answer.expect(expect);
        let Err(SendError::Refused { code, .. }) = &answer else { panic!("{expect}: {answer:?}") };
        assert_eq!(code, expect, "{answer:?}");
    };
    producers.send(&kafka.place(&topic), &message("accepted")).await.unwrap();
    check(kafka.place(&topic), 5_000, "MessageSizeTooLarge").await;
    check(kafka.place(&topic), 3_000_000, "MessageSizeTooLarge").await;
    check(KafkaPlace { partition: Some(7), ..kafka.place(&topic) }, 1, "UnknownPartition").await;
    check(kafka.place("no-such-topic"), 1, "UnknownTopicOrPartition").await;
    check(kafka.place("no such topic"), 1, "InvalidTopic").await;
    assert_eq!(kafka.records(&topic, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_opens_a_cluster_and_a_wrong_one_is_refused() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let topic = kafka.topic(1, &[]).await;
    let producers = producers();
    let place = |password: &str| KafkaPlace {
        bootstrap: kafka.sasl.clone(),
        security: KafkaSecurity::SaslPlain { credentials: user("ada", password), tls: false },
        ..kafka.place(&topic)
    };
    producers.send(&place("ada-secret"), &message("right")).await.unwrap();
    for _ in 0..2 {
        let answer = producers.send(&place("guessed"), &message("wrong")).await;
        let Err(SendError::Refused { code, message }) = &answer else { panic!("{answer:?}") };
        assert_eq!(code, "Authentication");
        assert!(!message.contains("guessed"), "{message}");
    }
    assert_eq!(
        producers.warm(&place("guessed")).await.map_err(|error| matches!(error, SendError::Refused { .. })),
        Err(true)
    );
    producers.send(&place("ada-secret"), &message("right again")).await.unwrap();
    assert_eq!(kafka.records(&topic, 1).await.len(), 2);
}

#[cfg(feature = "kafka-tls")]
#[tokio::test(flavor = "multi_thread")]
async fn scram_opens_a_cluster_too() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let topic = kafka.topic(1, &[]).await;
    let producers = producers();
    for hash in [domain::ScramHash::Sha256, domain::ScramHash::Sha512] {
        let place = |password: &str| KafkaPlace {
            bootstrap: kafka.sasl.clone(),
            security: KafkaSecurity::SaslScram { credentials: user("bob", password), hash, tls: false },
            ..kafka.place(&topic)
        };
        producers.send(&place("bob-secret"), &message("right")).await.unwrap();
        assert_eq!(kind(&producers.send(&place("guessed"), &message("wrong")).await), "refused");
    }
    assert_eq!(kafka.records(&topic, 1).await.len(), 2);
}

/// On a connection that stands: the cluster looks at the rights with each record.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_rights_are_taken_away_is_refused_from_then_on() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let topic = kafka.topic(1, &[]).await;
    let producers = producers();
    let place = KafkaPlace {
        bootstrap: kafka.sasl.clone(),
        security: KafkaSecurity::SaslPlain { credentials: user("ada", "ada-secret"), tls: false },
        ..kafka.place(&topic)
    };
    producers.send(&place, &message("with rights")).await.unwrap();
    kafka.acls(&["--add", "--deny-principal", "User:ada", "--operation", "Write", "--topic", &topic]);
    // The brokers learn of it a moment after it was written down.
    let (mut accepted, mut unanswered, end) = (1, 0, Instant::now() + Duration::from_secs(180));
    let code = loop {
        assert!(Instant::now() < end, "the rights were never taken away");
        match producers.send(&place, &message("without")).await {
            Ok(_) => accepted += 1,
            Err(SendError::Refused { code, .. }) => break code,
            // A busy broker may be late: what it was sent may be there.
            Err(SendError::Unanswered { .. }) => unanswered += 1,
            Err(SendError::Unreachable { .. }) => {}
        }
    };
    assert_eq!(code, "TopicAuthorizationFailed");
    let there = kafka.records(&topic, 1).await.len();
    assert!((accepted..=accepted + unanswered).contains(&there), "{there}, {accepted} and {unanswered}");
}

/// The broker listens without TLS there: nothing of the message may leave.
#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_encryption_is_never_sent_without() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let topic = kafka.topic(1, &[]).await;
    let place = KafkaPlace { security: KafkaSecurity::Tls, ..kafka.place(&topic) };
    let answer = producers().send(&place, &message("secret")).await;
    let expect = if cfg!(feature = "kafka-tls") { "unreachable" } else { "refused" };
    assert_eq!(kind(&answer), expect, "{answer:?}");
    assert!(kafka.records(&topic, 1).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_listens_nothing_was_written() {
    let place = KafkaPlace {
        bootstrap: format!("127.0.0.1:{}", deserted()),
        topic: "t".to_owned(),
        partition: None,
        security: KafkaSecurity::Plaintext,
    };
    let (producers, lost) = (producers(), message("lost"));
    let answer = timeout(Duration::from_millis(4500), producers.send(&place, &lost)).await;
    let answer = answer.expect("answered in time");
    assert_eq!(kind(&answer), "unreachable", "{answer:?}");
}

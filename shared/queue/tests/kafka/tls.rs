//! Over TLS. Whom to trust is said by `SSL_CERT_FILE`, which `tests/engines/with-kafka` sets.

use domain::ScramHash;
use queue::kafka::{KafkaPlace, KafkaSecurity};

use crate::broker::{kafka, producers};
use crate::brokers::{kind, message, user};

/// Where the broker listens encrypted.
struct Encrypted {
    open: String,
    /// With users.
    sasl: String,
    /// By one whom nobody vouches for.
    stranger: String,
}

#[allow(clippy::disallowed_methods, reason = "the engine's place is told to the test alone")]
fn encrypted() -> Encrypted {
    let both = std::env::var("QUEUELINK_KAFKA_TLS").unwrap();
    let (open, sasl) = both.split_once(' ').unwrap();
    let stranger = std::env::var("QUEUELINK_KAFKA_STRANGER").unwrap();
    Encrypted { open: open.to_owned(), sasl: sasl.to_owned(), stranger }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_travel_encrypted_to_a_cluster_that_an_authority_vouches_for() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let topic = kafka.topic(1, &[]).await;
    let (producers, at) = (producers(), encrypted());
    let ada = || user("ada", "ada-secret");
    let bob = || user("bob", "bob-secret");
    let ways = [
        (&at.open, KafkaSecurity::Tls),
        (&at.sasl, KafkaSecurity::SaslPlain { credentials: ada(), tls: true }),
        (&at.sasl, KafkaSecurity::SaslScram { credentials: bob(), hash: ScramHash::Sha256, tls: true }),
        (&at.sasl, KafkaSecurity::SaslScram { credentials: bob(), hash: ScramHash::Sha512, tls: true }),
    ];
    for (address, security) in ways {
        let way = format!("{security:?}");
        let place = KafkaPlace { bootstrap: address.clone(), security, ..kafka.place(&topic) };
        producers.send(&place, &message(&way)).await.unwrap_or_else(|error| panic!("{way}: {error}"));
    }
    let wrong = KafkaSecurity::SaslPlain { credentials: user("ada", "guessed"), tls: true };
    let wrong = KafkaPlace { bootstrap: at.sasl.clone(), security: wrong, ..kafka.place(&topic) };
    assert_eq!(kind(&producers.send(&wrong, &message("wrong")).await), "refused");
    assert_eq!(kafka.records(&topic, 1).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_to_a_cluster_that_nobody_vouches_for() {
    let Some((kafka, _in_use)) = kafka().await else { return };
    let topic = kafka.topic(1, &[]).await;
    let at = encrypted();
    for bootstrap in [at.open.replace("127.0.0.1", "localhost"), at.stranger] {
        let place = KafkaPlace { bootstrap, security: KafkaSecurity::Tls, ..kafka.place(&topic) };
        let answer = producers().send(&place, &message("secret")).await;
        assert_eq!(kind(&answer), "unreachable", "{}: {answer:?}", place.bootstrap);
        let said = format!("{answer:?}");
        assert!(said.contains("certificate"), "{}: it does not say why: {said}", place.bootstrap);
    }
    assert!(kafka.records(&topic, 1).await.is_empty());
}

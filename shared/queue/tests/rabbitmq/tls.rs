//! Over TLS. Whom to trust is said by `SSL_CERT_FILE`, which `tests/engines/with-rabbitmq` sets.

use queue::rabbitmq::RabbitPlace;

use crate::broker::{connections, rabbit};
use crate::brokers::{kind, message};

#[tokio::test(flavor = "multi_thread")]
async fn messages_travel_encrypted_to_a_broker_that_an_authority_vouches_for_and_to_no_other() {
    let Some((rabbit, _in_use)) = rabbit().await else { return };
    let queue = rabbit.queue("quorum", &[]).await;
    let place = RabbitPlace { port: rabbit.tls, tls: true, ..rabbit.place(&queue) };
    let connections = connections();
    connections.send(&place, &message("encrypted")).await.unwrap();
    // The certificate is for the address alone.
    let by_another_name = RabbitPlace { host: "localhost".to_owned(), ..place.clone() };
    let of_a_stranger = RabbitPlace { port: rabbit.stranger, ..place };
    for place in [by_another_name, of_a_stranger] {
        let answer = connections.send(&place, &message("secret")).await;
        assert_eq!(kind(&answer), "unreachable", "{answer:?}");
        let said = format!("{answer:?}");
        assert!(said.contains("certificate"), "it does not say why: {said}");
    }
    let ids: Vec<_> = rabbit.take(&queue).await.into_iter().map(|one| one.id).collect();
    assert_eq!(ids, ["encrypted"]);
}

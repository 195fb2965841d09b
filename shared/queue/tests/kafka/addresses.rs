//! Which brokers are connected to. In librdkafka's own imitation of a cluster: its brokers have addresses of their own.

use domain::Guard;
use queue::SendError;
use queue::kafka::{KafkaPlace, KafkaProducers, KafkaSecurity};
use rdkafka::mocking::MockCluster;

use crate::broker::{producers_by, role};
use crate::brokers::{kind, message};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_cluster_that_asks_for_it_elsewhere() {
    let cluster = MockCluster::new(2).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    let [asked, named] = bootstrap.split(',').collect::<Vec<_>>()[..] else { panic!("{bootstrap}") };
    let place = |bootstrap: &str| KafkaPlace {
        bootstrap: bootstrap.to_owned(),
        topic: "t".to_owned(),
        partition: None,
        security: KafkaSecurity::Plaintext,
    };
    let local = || Guard::operator().with_loopback(true);
    let check = async |guard: Guard, bootstrap: &str, expect: &str| {
        let answer = producers_by(guard).send(&place(bootstrap), &message("m")).await;
        let found = match &answer {
            Err(SendError::Refused { code, .. }) => code.as_str(),
            other => kind(other),
        };
        assert_eq!(found, expect, "{bootstrap}: {answer:?}");
    };
    check(Guard::operator(), asked, "ForbiddenAddress").await;
    check(local().without(&[asked.parse().unwrap()]), asked, "ForbiddenAddress").await;
    // It may be asked, but names one that may not.
    check(local().without(&[named.parse().unwrap()]), asked, "ForbiddenAddress").await;
    check(local(), asked, "accepted").await;
    check(local(), "no-such-name.invalid:9092", "unreachable").await;
    let meeting = KafkaProducers::new(role(), Guard::operator()).meet(asked, &KafkaSecurity::Plaintext).await;
    assert_eq!(kind(&meeting), "refused", "{meeting:?}");
}

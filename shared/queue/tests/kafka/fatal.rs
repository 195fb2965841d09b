use queue::kafka::{KafkaPlace, KafkaSecurity};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::broker::producers;
use crate::brokers::message;

/// In librdkafka's own imitation of a cluster, because a real one does not lose its memory when asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_met_a_fatal_error_is_replaced() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let place = KafkaPlace {
        bootstrap: cluster.bootstrap_servers(),
        topic: "t".to_owned(),
        partition: None,
        security: KafkaSecurity::Plaintext,
    };
    let producers = producers();
    assert_eq!(producers.send(&place, &message("before")).await.unwrap().engine_id, "t-0-0");
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );
    // By the same call: it was refused for certain, and there is time left.
    assert_eq!(producers.send(&place, &message("met it")).await.unwrap().engine_id, "t-0-1");
    for number in 0..3 {
        producers.send(&place, &message(&format!("after {number}"))).await.unwrap();
    }
}

use aws_sdk_cloudwatch::config::{BehaviorVersion, Region};
use aws_smithy_cbor::Encoder;
use domain::SqsQueue;
use queue::Ages;

use crate::engine::{Answer, Engine, credentials, http_client, sqs};

/// CloudWatch speaks CBOR: one result per entry, its id and its values.
fn results(entries: &[(&str, &[f64])]) -> Vec<u8> {
    let mut cbor = Encoder::new(Vec::new());
    cbor.begin_map().str("MetricDataResults").array(entries.len());
    for (id, values) in entries {
        cbor.map(2).str("Id").str(id).str("Values").array(values.len());
        for value in *values {
            cbor.double(*value);
        }
    }
    cbor.end();
    cbor.into_writer()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_queues_is_one_call_and_the_newest_figure_counts() {
    let engine = Engine::serve(|_, _| {
        Answer::Bytes(
            "application/cbor",
            results(&[("q0", &[42.0, 7.0]), ("q2", &[]), ("q1", &[0.4]), ("q9", &[1.0])]),
        )
    })
    .await;
    let config = aws_sdk_cloudwatch::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&engine.endpoint)
        .credentials_provider(credentials())
        .http_client(http_client());
    let ages = Ages::new(aws_sdk_cloudwatch::Client::from_conf(config.build()));
    let elsewhere = SqsQueue { region: "eu-west-1".into(), ..sqs("far") };
    let queues = [elsewhere, sqs("orders"), sqs("invoices"), sqs("idle")];
    let found = ages.oldest_age_secs(&queues).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[&sqs("orders")], found[&sqs("invoices")]), (42, 0));
    let asked = engine.asked();
    assert_eq!(asked.len(), 1);
    let raw = String::from_utf8_lossy(&asked[0].raw);
    assert!(raw.contains("orders") && raw.contains("idle") && !raw.contains("far"));
    assert!(ages.oldest_age_secs(&[]).await.unwrap().is_empty());
    assert_eq!(engine.asked().len(), 1);
}

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use std::time::Duration;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_sdk_lambda::types::FunctionResponseType;
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;
use crate::mapping::{Function, Functions};
use crate::testing::{ACCOUNT, Bench, REGION};

struct Desk {
    bench: Bench,
    address: String,
    lambda: aws_sdk_lambda::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
}

/// The config of a client of `$sdk` at `$endpoint`.
macro_rules! client {
    ($sdk:ident, $endpoint:expr) => {{
        use $sdk::config::{BehaviorVersion, Credentials, Region};
        let config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new("local", "local", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url($endpoint);
        $sdk::Client::from_conf(config.build())
    }};
}

async fn desk() -> Desk {
    let bench = Bench::new().await;
    let idle = |_: Value, _| async { Ok::<_, std::convert::Infallible>(Value::Null) };
    let mappings =
        bench.mappings(Functions::default().with("worker", Function::new(Duration::from_secs(10), idle)));
    let engine = bench.engine();
    let control = Control::new(
        REGION,
        ACCOUNT,
        mappings,
        move |queue: &str| engine.oldest_age_secs(queue),
        Clock::system(),
    )
    .with_function("ql-queue-admin", [("CATALOG_TABLE", "ql-Catalog".to_owned())]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, control.router()).await });
    let endpoint = format!("http://{address}");
    Desk {
        bench,
        lambda: client!(aws_sdk_lambda, &endpoint),
        cloudwatch: client!(aws_sdk_cloudwatch, &endpoint),
        address,
    }
}

impl Desk {
    fn create(
        &self,
        queue: &str,
    ) -> aws_sdk_lambda::operation::create_event_source_mapping::builders::CreateEventSourceMappingFluentBuilder
    {
        self.lambda
            .create_event_source_mapping()
            .event_source_arn(self.bench.arn(queue))
            .function_name("worker")
            .batch_size(10)
            .function_response_types(FunctionResponseType::ReportBatchItemFailures)
    }

    async fn state(&self, uuid: &str) -> Option<String> {
        self.lambda.get_event_source_mapping().uuid(uuid).send().await.unwrap().state
    }
}

#[tokio::test]
async fn the_lambda_client_makes_reads_pauses_resumes_and_deletes_a_mapping() {
    let desk = desk().await;
    desk.bench.queue("orders", &[]).await;
    let made = desk.create("orders").send().await.unwrap();
    let uuid = made.uuid.unwrap();
    assert_eq!(made.state.as_deref(), Some("Creating"));
    assert_eq!(made.event_source_arn, Some(desk.bench.arn("orders")));
    assert_eq!(made.function_arn.as_deref(), Some("arn:aws:lambda:eu-west-1:000000000000:function:worker"));

    let read = desk.lambda.get_event_source_mapping().uuid(&uuid).send().await.unwrap();
    assert_eq!((read.state.as_deref(), read.batch_size), (Some("Enabled"), Some(10)));
    assert_eq!(read.function_response_types.unwrap(), [FunctionResponseType::ReportBatchItemFailures]);
    assert!(read.last_modified.unwrap().secs() > 1_700_000_000);

    desk.lambda.update_event_source_mapping().uuid(&uuid).enabled(false).send().await.unwrap();
    desk.bench.until(|| async { desk.state(&uuid).await.as_deref() == Some("Disabled") }).await;
    desk.lambda.update_event_source_mapping().uuid(&uuid).enabled(true).batch_size(3).send().await.unwrap();
    assert_eq!(desk.state(&uuid).await.as_deref(), Some("Enabled"));

    let gone = desk.lambda.delete_event_source_mapping().uuid(&uuid).send().await.unwrap();
    assert_eq!((gone.state.as_deref(), gone.batch_size), (Some("Deleting"), Some(3)));
    let error =
        desk.lambda.get_event_source_mapping().uuid(&uuid).send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
}

#[tokio::test]
async fn refusals_are_the_modelled_ones() {
    let desk = desk().await;
    desk.bench.queue("orders", &[]).await;
    let uuid = desk.create("orders").send().await.unwrap().uuid.unwrap();
    let twice = desk.create("orders").send().await.unwrap_err().into_service_error();
    assert!(twice.is_resource_conflict_exception() && twice.to_string().contains("Conflict"), "{twice:?}");
    assert!(format!("{twice:?}").contains(&uuid), "{twice:?}");
    let nobody = desk.create("orders").function_name("nobody").send().await.unwrap_err().into_service_error();
    assert!(nobody.is_resource_not_found_exception(), "{nobody:?}");
    let absent = desk.create("absent").send().await.unwrap_err().into_service_error();
    assert!(absent.is_invalid_parameter_value_exception(), "{absent:?}");
    let window = desk
        .create("orders")
        .maximum_batching_window_in_seconds(1)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(window.is_invalid_parameter_value_exception(), "{window:?}");
    let missing =
        desk.lambda.update_event_source_mapping().uuid("x").send().await.unwrap_err().into_service_error();
    assert!(missing.is_resource_not_found_exception(), "{missing:?}");
    let no_arn = desk.lambda.create_event_source_mapping().function_name("worker").send().await.unwrap_err();
    assert_eq!(no_arn.into_service_error().code(), Some("InvalidRequestContentException"));
}

#[tokio::test]
async fn listings_are_filtered_and_paged() {
    let desk = desk().await;
    for name in ["a", "b", "c"] {
        desk.bench.queue(name, &[]).await;
        desk.create(name).enabled(false).send().await.unwrap();
    }
    let of_b =
        desk.lambda.list_event_source_mappings().event_source_arn(desk.bench.arn("b")).send().await.unwrap();
    assert_eq!(of_b.event_source_mappings().len(), 1);
    assert_eq!(of_b.event_source_mappings()[0].state(), Some("Disabled"));
    let of_none = desk.lambda.list_event_source_mappings().function_name("nobody").send().await.unwrap();
    assert!(of_none.event_source_mappings().is_empty());

    let mut seen = Vec::new();
    let mut pages = desk.lambda.list_event_source_mappings().max_items(2).into_paginator().send();
    while let Some(page) = pages.next().await {
        seen.extend(
            page.unwrap()
                .event_source_mappings()
                .iter()
                .map(|mapping| mapping.event_source_arn.clone().unwrap()),
        );
    }
    assert_eq!(seen, ["a", "b", "c"].map(|name| desk.bench.arn(name)));
}

#[tokio::test]
async fn the_lambda_client_reads_what_a_function_is_configured_with() {
    let desk = desk().await;
    let ask = |name: &str| desk.lambda.get_function_configuration().function_name(name).send();
    let answer = ask("ql-queue-admin").await.unwrap();
    assert_eq!(answer.environment.unwrap().variables.unwrap()["CATALOG_TABLE"], "ql-Catalog");
    let missing = ask("other-queue-admin").await.unwrap_err().into_service_error();
    assert!(missing.is_resource_not_found_exception(), "{missing:?}");
}

#[tokio::test]
async fn the_cloudwatch_client_reads_how_old_the_oldest_message_is() {
    let desk = desk().await;
    let old = desk.bench.queue("old", &[]).await;
    desk.bench.queue("empty", &[]).await;
    desk.bench.send(&old, "first").await;
    desk.bench.pass(90);
    desk.bench.send(&old, "second").await;

    let query = |id: &str, metric: &str, queue: &str| {
        let dimension = Dimension::builder().name("QueueName").value(queue).build();
        let metric = Metric::builder().namespace("AWS/SQS").metric_name(metric).dimensions(dimension).build();
        let stat = MetricStat::builder().metric(metric).period(60).stat("Maximum").build();
        MetricDataQuery::builder().id(id).metric_stat(stat).build()
    };
    let now = Timestamp::now().as_second();
    let answer = desk
        .cloudwatch
        .get_metric_data()
        .start_time(DateTime::from_secs(now - 300))
        .end_time(DateTime::from_secs(now))
        .metric_data_queries(query("q0", "ApproximateAgeOfOldestMessage", "old"))
        .metric_data_queries(query("q1", "ApproximateAgeOfOldestMessage", "empty"))
        .metric_data_queries(query("q2", "ApproximateAgeOfOldestMessage", "absent"))
        .metric_data_queries(query("q3", "NumberOfMessagesSent", "old"))
        .send()
        .await
        .unwrap();
    let results = answer.metric_data_results();
    assert_eq!(
        results.iter().map(|result| result.id().unwrap()).collect::<Vec<_>>(),
        ["q0", "q1", "q2", "q3"]
    );
    let age = results[0].values()[0];
    assert!((90.0..150.0).contains(&age), "{age}");
    assert_eq!(results[0].timestamps().len(), 1);
    assert!(results[1..].iter().all(|result| result.values().is_empty()), "{results:?}");

    let expression = MetricDataQuery::builder().id("e").expression("SEARCH('', 'Maximum')").build();
    let refused = desk.cloudwatch.get_metric_data().metric_data_queries(expression).send().await.unwrap_err();
    assert_eq!(refused.into_service_error().code(), Some("InvalidParameterValue"));
}

#[tokio::test]
async fn web_pages_and_foreign_names_are_refused() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let desk = desk().await;
    let address = &desk.address;
    let check = async |headers: String, expect: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET /2015-03-31/event-source-mappings/ HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expect}")), "{headers}: {answer}");
    };
    check(format!("Host: {address}\r\n"), "200").await;
    check(format!("Host: {address}\r\nOrigin: http://{address}\r\n"), "403").await;
    check("Host: evil.example\r\n".to_owned(), "403").await;
}

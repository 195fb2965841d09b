//! The outbox on this machine: its stream rings for `outbox-publisher`, the clock calls `outbox-sweeper`; as in the template.

use std::time::Duration;

use aws_sdk_dynamodbstreams::config::{BehaviorVersion, Region};
use bootstrap::{Aws, Environment, Metrics};
use delivery::{Courier, CourierParts};
use domain::Clock;
use outbox_publisher::OutboxPublisher;
use outbox_sweeper::OutboxSweeper;
use serde_json::Value;
use tokio::sync::watch;

use super::{OUTBOX, STACK, StartError};
use crate::folder::DataFolder;
use crate::mapping::{Filter, Function, Functions, StreamMapping, StreamSource, Streams};

/// The function that the stream feeds.
const PUBLISHER: &str = "outbox-publisher";

/// Its timeout, as in the template.
const PUBLISHER_TIMEOUT: Duration = Duration::from_secs(30);

/// The sweeper's timeout, as in the template.
const SWEEPER_TIMEOUT: Duration = Duration::from_secs(60);

/// The doorbell's filter, as in the template: marks, parts, and what waits for a date or an answer do not ring.
const RINGS: &str = r#"{"eventName":["INSERT"],"dynamodb":{"NewImage":{"state":{"S":["due"]}}}}"#;

/// As in the template: what the stream may give in one call, how often a record is tried again, and for how long.
const BATCH_SIZE: u16 = 100;
const RETRIES: u32 = 10;
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Feeds the publisher with what the outbox's stream tells, `writes` being news of it.
pub(super) fn streams(
    folder: &DataFolder,
    aws: &Aws,
    writes: watch::Receiver<u64>,
    parts: CourierParts,
) -> Result<Streams, StartError> {
    let publisher = OutboxPublisher { courier: Courier::new(parts) };
    let call = move |event: Value, remaining: Duration| {
        let publisher = publisher.clone();
        async move {
            let answer = publisher.handle(event, remaining).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(serde_json::to_value(answer)?)
        }
    };
    let functions = Functions::default().with(PUBLISHER, Function::new(PUBLISHER_TIMEOUT, call));
    let mut streams = Streams::open(
        folder.join("streams.json"),
        folder.join("stream-failures.jsonl"),
        StreamSource { client: client(aws), writes },
        functions,
        // Not the house's own, which a test may move: the engine stamps its stream records by the wall clock.
        Clock::system(),
    )?;
    streams.start(StreamMapping {
        table: OUTBOX.to_owned(),
        function: PUBLISHER.to_owned(),
        filter: Filter::parse(RINGS).map_err(StartError::part("the outbox's stream"))?,
        batch_size: BATCH_SIZE,
        bisects: true,
        retries: RETRIES,
        max_age: MAX_AGE,
        retry_pause: Duration::from_millis(160),
        idle: Duration::from_secs(1),
    });
    Ok(streams)
}

/// The sweeper as a function that a schedule can call.
pub(super) fn sweeper(parts: CourierParts) -> Function {
    // Nobody reads its numbers here: the environment of a Lambda function is what they are told in.
    let metrics = Metrics::new(
        &Environment::from_iter::<[(&str, &str); 0]>([]),
        outbox_sweeper::NAMESPACE,
        "Stack",
        STACK.to_owned(),
    );
    let sweeper = OutboxSweeper {
        outbox: parts.outbox.clone(),
        clock: parts.clock.clone(),
        courier: Courier::new(parts),
        metrics,
    };
    Function::new(SWEEPER_TIMEOUT, move |_event, remaining| {
        let sweeper = sweeper.clone();
        async move { serde_json::to_value(sweeper.handle(remaining).await) }
    })
}

/// A client of the streams, which the same engine serves as the tables.
fn client(aws: &Aws) -> aws_sdk_dynamodbstreams::Client {
    let endpoint = aws.endpoints.dynamodb.clone();
    aws.sqs(|region, _sqs, credentials, http_client| {
        let mut config = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(credentials)
            .http_client(http_client);
        config.set_endpoint_url(endpoint);
        aws_sdk_dynamodbstreams::Client::from_conf(config.build())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_wired_as_in_the_template() {
        let template = include_str!("../../../../template.yaml");
        let (_, function) = template.split_once("OutboxPublisherFunction:\n").unwrap_or_default();
        for line in [
            format!("Pattern: '{RINGS}'"),
            format!("BatchSize: {BATCH_SIZE}\n"),
            "BisectBatchOnFunctionError: true\n".to_owned(),
            format!("MaximumRetryAttempts: {RETRIES} "),
            format!("MaximumRecordAgeInSeconds: {}\n", MAX_AGE.as_secs()),
            format!("Timeout: {} ", PUBLISHER_TIMEOUT.as_secs()),
        ] {
            assert!(function.contains(&line), "{line}");
        }
    }
}

//! What the tests of several rooms stand on: the SQS engine on a free port with a clock that is moved by hand.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use domain::Clock;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::engines::sqs::SqsEngine;
use crate::mapping::{Functions, Mappings, Source};

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const ACCOUNT: &str = "000000000000";

/// Whatever is not so after this time never will be.
const PATIENCE: Duration = Duration::from_secs(150);

/// An SQS engine, its clock and a folder.
pub(crate) struct Bench {
    engine: SqsEngine,
    endpoint: String,
    moved_secs: Arc<AtomicI64>,
    folder: TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Bench {
        let folder = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let moved_secs = Arc::new(AtomicI64::new(0));
        let hand = Arc::clone(&moved_secs);
        let clock = Clock::new(move || {
            Timestamp::now() + Duration::from_secs(hand.load(Ordering::SeqCst).unsigned_abs())
        });
        let engine =
            SqsEngine::open(&folder.path().join("sqs.sqlite"), REGION, ACCOUNT, address, clock).unwrap();
        tokio::spawn(engine.clone().serve(listener, std::future::pending()));
        Bench { engine, endpoint: format!("http://{address}"), moved_secs, folder }
    }

    pub(crate) fn engine(&self) -> SqsEngine {
        self.engine.clone()
    }

    pub(crate) fn close_polls(&self) {
        self.engine.close();
    }

    /// Moves the engine's clock on.
    pub(crate) fn pass(&self, secs: i64) {
        self.moved_secs.fetch_add(secs, Ordering::SeqCst);
        self.engine.wake();
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new("local", "local", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(&self.endpoint);
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    pub(crate) fn source(&self) -> Source {
        Source { sqs: self.sqs(), endpoint: self.endpoint.clone() }
    }

    pub(crate) fn mappings_file(&self) -> PathBuf {
        self.folder.path().join("mappings.json")
    }

    pub(crate) fn mappings(&self, functions: Functions) -> Mappings {
        Mappings::open(self.mappings_file(), self.source(), functions, Clock::system()).unwrap()
    }

    pub(crate) fn arn(&self, queue: &str) -> String {
        format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
    }

    /// Makes a queue, answers its URL.
    pub(crate) async fn queue(&self, name: &str, attributes: &[(Attribute, &str)]) -> String {
        let attributes = attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        let made =
            self.sqs().create_queue().queue_name(name).set_attributes(Some(attributes)).send().await.unwrap();
        made.queue_url.unwrap()
    }

    pub(crate) async fn send(&self, url: &str, body: &str) {
        self.sqs().send_message().queue_url(url).message_body(body).send().await.unwrap();
    }

    /// Visible and in flight.
    pub(crate) async fn counts(&self, url: &str) -> [u32; 2] {
        let asked = self
            .sqs()
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(Attribute::All)
            .send()
            .await
            .unwrap();
        [Attribute::ApproximateNumberOfMessages, Attribute::ApproximateNumberOfMessagesNotVisible]
            .map(|name| asked.attributes().unwrap()[&name].parse().unwrap())
    }

    /// Waits until the queue holds so many visible and in flight.
    pub(crate) async fn until_counts(&self, url: &str, expect: [u32; 2]) {
        let mut last = [u32::MAX; 2];
        let reached = async {
            while last != expect {
                tokio::time::sleep(Duration::from_millis(10)).await;
                last = self.counts(url).await;
            }
        };
        let within = tokio::time::timeout(PATIENCE, reached).await;
        within.unwrap_or_else(|_| panic!("{url} never held {expect:?} but at last {last:?}"));
    }

    /// Waits until `what` is so.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, what: impl Fn() -> F) {
        let reached = async {
            while !what().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap();
    }
}

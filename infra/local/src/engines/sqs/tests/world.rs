//! An engine on a port of its own, a real SDK client, and a clock that stands still until it is turned.

use crate::engines::sqs::SqsEngine;
use aws_sdk_sqs::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    types::{Message, MessageSystemAttributeName as System, QueueAttributeName},
};
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use domain::Clock;
use jiff::Timestamp;
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tower::ServiceExt;

pub(super) const REGION: &str = "us-east-1";
pub(super) const ACCOUNT: &str = "000000000000";

pub(super) struct World {
    pub(super) client: Client,
    pub(super) engine: SqsEngine,
    now_ms: Arc<AtomicI64>,
    server: JoinHandle<()>,
    folder: TempDir,
}

impl World {
    pub(super) async fn start() -> World {
        let now_ms = Arc::new(AtomicI64::new(1_800_000_000_000));
        World::start_in(tempfile::tempdir().unwrap(), now_ms).await
    }

    async fn start_in(folder: TempDir, now_ms: Arc<AtomicI64>) -> World {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap();
        let hands = Arc::clone(&now_ms);
        let clock = Clock::new(move || Timestamp::from_millisecond(hands.load(Ordering::SeqCst)).unwrap());
        let engine = open(&folder.path().join("sqs.sqlite"), authority, clock);
        World { now_ms, ..World::around(engine, listener, folder) }
    }

    /// A world around an engine that keeps another clock.
    pub(super) fn around(engine: SqsEngine, listener: TcpListener, folder: TempDir) -> World {
        let authority = listener.local_addr().unwrap();
        let served = engine.clone();
        let server =
            tokio::spawn(async move { served.serve(listener, std::future::pending()).await.unwrap() });
        World { server, ..World::beside(engine, authority, folder) }
    }

    /// A world beside an engine that somebody else serves.
    pub(super) fn beside(engine: SqsEngine, authority: SocketAddr, folder: TempDir) -> World {
        let server = tokio::spawn(async {});
        World { client: client(authority), engine, now_ms: Arc::default(), server, folder }
    }

    /// Leaves the engine in mid-life and starts another on its files as they lie on the disk: what a kill leaves.
    pub(super) async fn killed_and_started_again(self) -> World {
        let folder = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(self.folder.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        self.server.abort();
        World::start_in(folder, Arc::clone(&self.now_ms)).await
    }

    pub(super) fn advance_secs(&self, secs: i64) {
        self.now_ms.fetch_add(secs * 1000, Ordering::SeqCst);
        self.engine.wake();
    }

    pub(super) async fn make(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        let mut request = self.client.create_queue().queue_name(name);
        for (name, value) in attributes {
            request = request.attributes(QueueAttributeName::from(*name), *value);
        }
        request.send().await.unwrap().queue_url.unwrap()
    }

    pub(super) async fn send(&self, url: &str, body: &str) {
        self.client.send_message().queue_url(url).message_body(body).send().await.unwrap();
    }

    /// Up to ten messages, at once.
    pub(super) async fn receive(&self, url: &str) -> Vec<Message> {
        let request = self.client.receive_message().queue_url(url).max_number_of_messages(10);
        let request = request.message_system_attribute_names(System::All).message_attribute_names("All");
        request.send().await.unwrap().messages.unwrap_or_default()
    }

    pub(super) async fn attribute(&self, url: &str, name: &str) -> String {
        let name = QueueAttributeName::from(name);
        let request = self.client.get_queue_attributes().queue_url(url).attribute_names(name.clone());
        let attributes = request.send().await.unwrap().attributes.unwrap_or_default();
        attributes.get(&name).cloned().unwrap_or_default()
    }

    /// A request past the SDK.
    pub(super) async fn call(
        &self,
        operation: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> (StatusCode, String, Value) {
        let mut request = Request::post("/").header("x-amz-target", format!("AmazonSQS.{operation}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let answer = self.engine.router().oneshot(request).await.unwrap();
        let status = answer.status();
        let code = answer.headers().get("x-amzn-query-error").map(|code| code.to_str().unwrap().to_owned());
        let bytes = to_bytes(answer.into_body(), 16 << 20).await.unwrap();
        (status, code.unwrap_or_default(), serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

pub(super) fn open(file: &Path, authority: SocketAddr, clock: Clock) -> SqsEngine {
    SqsEngine::open(file, REGION, ACCOUNT, authority, clock).unwrap()
}

pub(super) fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}

fn client(authority: SocketAddr) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(format!("http://{authority}"))
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use domain::{Clock, KeyId, MessageId, Queue, QueueId, SqsQueue, WorkerMode};
use jiff::Timestamp;
use tokio::net::TcpListener;
use zstorage::{Catalog, Messages, Outbox, TableNames, create_tables};

use crate::registered::queue_at;

/// What the tables of a house are called.
pub(crate) const NAMES: TableNames<'static> =
    TableNames { catalog: "catalog", messages: "messages", records: "records", outbox: "outbox" };

/// Hands of a clock that a test turns.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn new() -> Hands {
        // In 2096: DynamoDB Local takes away what has expired by its own clock.
        Hands(Arc::new(AtomicI64::new(4_000_000_000_000)))
    }

    pub(crate) fn turn_secs(&self, secs: i64) {
        self.0.fetch_add(secs * 1000, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = self.0.clone();
        Clock::new(move || Timestamp::from_millisecond(hands.load(Ordering::SeqCst)).unwrap())
    }
}

/// A DynamoDB of its own, with all tables.
pub(crate) struct House {
    pub(crate) client: Client,
    pub(crate) hands: Hands,
}

pub(crate) fn client_of(endpoint: String) -> Client {
    client_as("test", endpoint)
}

/// The real SDK, as `caller`. DynamoDB Local keeps a database of its own for each access key id.
fn client_as(caller: &str, endpoint: String) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(caller, "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

/// Where AWS's own DynamoDB Local listens, if these tests are to run against it: `tests/engines/with-dynamodb-local` says.
#[allow(clippy::disallowed_methods, reason = "a test's own setting is no configuration of ours")]
fn second_opinion() -> Option<String> {
    std::env::var("QUEUELINK_DYNAMODB_LOCAL").ok()
}

/// The embedded engine, in memory, for one test. It ends with the test's runtime.
async fn embedded() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let database = dynoxide::Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
    endpoint
}

impl House {
    pub(crate) async fn new() -> House {
        let client = match second_opinion() {
            Some(endpoint) => client_as(&key_id().to_string(), endpoint),
            None => client_of(embedded().await),
        };
        create_tables(&client, NAMES).await.unwrap();
        House { client, hands: Hands::new() }
    }

    /// As another process sees it: with caches of its own.
    pub(crate) fn catalog(&self) -> Catalog {
        Catalog::new(self.client.clone(), "catalog".into(), self.hands.clock())
    }

    pub(crate) fn messages(&self) -> Messages {
        Messages::new(self.client.clone(), "messages".into(), self.hands.clock())
    }

    pub(crate) fn outbox(&self) -> Outbox {
        Outbox::new(self.client.clone(), "outbox".into(), self.hands.clock())
    }

    pub(crate) async fn items(&self, table: &str) -> usize {
        let answer = self.client.scan().table_name(table).consistent_read(true).send().await.unwrap();
        answer.items().len()
    }
}

pub(crate) fn queue_id() -> QueueId {
    QueueId::new(Timestamp::now(), &mut rand::rng())
}

pub(crate) fn key_id() -> KeyId {
    KeyId::new(Timestamp::now(), &mut rand::rng())
}

pub(crate) fn message_id() -> MessageId {
    MessageId::new(Timestamp::now(), &mut rand::rng())
}

/// A queue over an SQS queue of the same name, with its worker attached.
pub(crate) fn queue(name: &str) -> Queue {
    let place = SqsQueue { region: "us-east-1".into(), account: "000000000000".into(), name: name.into() };
    Queue { worker: WorkerMode::Attached, owned: true, ..queue_at(name, place, Timestamp::UNIX_EPOCH) }
}

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, ConfigBag, Intercept, Region, RuntimeComponents, SharedCredentialsProvider,
};
use aws_sdk_dynamodb::error::BoxError;
use delivery::{Courier, CourierParts, Publisher, Swept, Writer};
use domain::{
    ApiName, Clock, EntryKey, EntryState, Field, FieldId, FieldKind, KeyId, Link, LinkId, LinkMode,
    LinkPayload, Operations, OutboxEntry, Queue, RawFields, RecordId, SqsQueue, Table, TablePrefix,
    TableSchema, TableState, TextRules,
};
use jiff::Timestamp;
use queue::{BrokersConfig, Engines, Queues, SqsConfig};
use tokio::net::TcpListener;
use zstorage::{
    By, Catalog, DataKeys, LinkQueues, Messages, OpenTable, Outbox, Records, Sealer, Seen, TableNames,
    create_tables,
};

use crate::engine::Engine;
use crate::registered::queue_at;

/// The time that a courier is given: more than any test needs, on a busy machine too.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// Hands of a clock that a test turns.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn turn_secs(&self, secs: i64) {
        self.0.fetch_add(secs * 1000, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = self.0.clone();
        Clock::new(move || Timestamp::from_millisecond(hands.load(Ordering::SeqCst)).unwrap())
    }
}

/// The operations that were asked of DynamoDB, and those that are to fail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<String>>>, Arc<Mutex<Option<(&'static str, usize)>>>);

impl Calls {
    /// After so many calls of this operation, the next one does not come through.
    pub(crate) fn fail_nth(&self, operation: &'static str, before: usize) {
        *self.1.lock().unwrap() = Some((operation, before));
    }

    /// Each with how often, since the last time.
    pub(crate) fn counted(&self) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        for operation in std::mem::take(&mut *self.0.lock().unwrap()) {
            *counted.entry(operation).or_default() += 1;
        }
        counted
    }
}

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "counts"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let mut failing = self.1.lock().unwrap();
        let fails = match &mut *failing {
            Some((failing, before)) if *failing == operation => match before.checked_sub(1) {
                Some(left) => {
                    *before = left;
                    false
                }
                None => true,
            },
            _ => false,
        };
        self.0.lock().unwrap().push(operation);
        match failing.take_if(|_| fails) {
            Some((operation, _)) => Err(format!("{operation} does not come through").into()),
            None => Ok(()),
        }
    }
}

/// All that delivery stands on, for one test.
pub(crate) struct House {
    pub(crate) engine: Engine,
    pub(crate) hands: Hands,
    pub(crate) calls: Calls,
    pub(crate) catalog: Catalog,
    pub(crate) outbox: Outbox,
    pub(crate) records: Records,
    pub(crate) messages: Messages,
    sealer: Sealer,
    queues: Queues,
    brokers: BrokersConfig,
    _files: tempfile::TempDir,
}

impl House {
    pub(crate) async fn start() -> House {
        House::beside(BrokersConfig::none()).await
    }

    /// With brokers of its own beside SQS.
    pub(crate) async fn beside(brokers: BrokersConfig) -> House {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let database = dynoxide::Database::memory().unwrap();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
        let calls = Calls::default();
        let client = client(endpoint, &calls);
        let names =
            TableNames { catalog: "catalog", messages: "messages", records: "records", outbox: "outbox" };
        create_tables(&client, names).await.unwrap();
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("key");
        Sealer::create_key_file(&file).unwrap();
        let hands = Hands(Arc::new(AtomicI64::new(1_700_000_000_000)));
        let engine = Engine::start().await;
        let outbox = Outbox::new(client.clone(), "outbox".into(), hands.clock());
        let queues = Queues::new(SqsConfig {
            region: "us-east-1".into(),
            endpoint: Some(engine.endpoint.clone()),
            credentials: SharedCredentialsProvider::new(Credentials::new(
                "OURS", "secret", None, None, "test",
            )),
            http_client: aws_smithy_http_client::Builder::new().build_http(),
        });
        House {
            catalog: Catalog::new(client.clone(), "catalog".into(), hands.clock()),
            records: Records::new(client.clone(), "records".into(), outbox.clone(), hands.clock()),
            messages: Messages::new(client, "messages".into(), hands.clock()),
            sealer: Sealer::from_key_file(&file).unwrap(),
            engine,
            hands,
            calls,
            outbox,
            queues,
            brokers,
            _files: files,
        }
    }

    /// Those of another process: what one has learnt of a broker, and its pauses before it connects again, are its own.
    fn engines(&self) -> Engines {
        Engines::new(self.queues.clone(), self.brokers.clone())
    }

    fn parts(&self) -> CourierParts {
        CourierParts {
            outbox: self.outbox.clone(),
            records: self.records.clone(),
            catalog: self.catalog.clone(),
            engines: self.engines(),
            sealer: self.sealer.clone(),
            clock: self.hands.clock(),
        }
    }

    /// One of another process: it has learnt nothing.
    pub(crate) fn courier(&self) -> Courier {
        Courier::new(self.parts())
    }

    pub(crate) fn writer(&self) -> Writer {
        Writer::new(self.parts())
    }

    /// An outbox that never answers.
    pub(crate) async fn deaf(&self) -> Outbox {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        // It stays open, and nobody takes from it.
        tokio::spawn(async move {
            let _listener = listener;
            std::future::pending::<()>().await
        });
        Outbox::new(client(endpoint, &self.calls), "outbox".into(), self.hands.clock())
    }

    /// One who writes, but whose looks at the outbox are never answered.
    pub(crate) async fn writer_that_cannot_look(&self) -> Writer {
        Writer::new(CourierParts { outbox: self.deaf().await, ..self.parts() })
    }

    pub(crate) fn publisher(&self) -> Publisher {
        self.publisher_by(self.hands.clock())
    }

    /// One that goes by another clock.
    pub(crate) fn publisher_by(&self, clock: Clock) -> Publisher {
        let (messages, outbox) = (self.messages.clone(), self.outbox.clone());
        Publisher::new(messages, outbox, self.engines(), self.sealer.clone(), clock)
    }

    /// A queue that is registered, and somewhere else than on SQS.
    pub(crate) async fn queue_of(&self, name: &str, change: impl FnOnce(&mut Queue)) -> Queue {
        let place =
            SqsQueue { region: "us-east-1".into(), account: "000000000000".into(), name: name.into() };
        let mut queue = queue_at(name, place, self.hands.clock().now());
        change(&mut queue);
        self.catalog.create_queue(&queue).await.unwrap();
        queue
    }

    pub(crate) async fn seal(&self, queue: &Queue) -> domain::Sealed {
        let credentials = domain::Credentials {
            username: domain::Secret::new("ada"),
            password: domain::Secret::new("foreign-secret"),
        };
        self.sealer.seal(queue.id, &credentials).await.unwrap()
    }

    /// A queue that is registered, and there. FIFO where its name ends so.
    pub(crate) async fn queue(&self, name: &str) -> Queue {
        let fifo = name.ends_with("-fifo");
        let place =
            SqsQueue { region: "us-east-1".into(), account: "000000000000".into(), name: name.into() };
        let queue = Queue { fifo, ..queue_at(name, place, self.hands.clock().now()) };
        self.engine.make(name, &[]);
        self.catalog.create_queue(&queue).await.unwrap();
        queue
    }

    /// A table of students with these links, in their order.
    pub(crate) async fn students(&self, links: Vec<Link>) -> OpenTable {
        let prefix = prefix();
        let (data_key, _) = self.sealer.new_data_key(prefix).await.unwrap();
        let text = |id, name: &str| Field {
            id: FieldId(id),
            api_name: ApiName::parse(name).unwrap(),
            label: None,
            kind: FieldKind::TextArea(TextRules::default()),
            required: false,
            default: None,
        };
        let next_link = u32::try_from(links.len()).unwrap() + 1;
        let table = Table {
            prefix,
            api_name: ApiName::parse("Student").unwrap(),
            label: None,
            fields: vec![text(1, "name"), text(2, "status")],
            next_field: 3,
            rules: Vec::new(),
            indexes: Vec::new(),
            next_index: 1,
            links,
            next_link,
            buckets: 4,
            data_key,
            state: TableState::Ready,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            version: 1,
        };
        let keys = DataKeys::new(self.sealer.clone()).of(&table).await.unwrap();
        let schema = Arc::new(TableSchema::compile(table).unwrap());
        OpenTable { schema, keys, queues: Arc::new(LinkQueues::default()) }
    }

    /// Makes a record through the writer, and gives the keys of its entries.
    pub(crate) async fn create(&self, table: &OpenTable, name: &str) -> (RecordId, Vec<EntryKey>) {
        let answer = self.writer().create(table, &named(name), &by(), false).await.unwrap();
        (answer.written.record.id, answer.messages.iter().map(|sent| sent.entry).collect())
    }

    /// Renames a record through the writer.
    pub(crate) async fn rename(&self, table: &OpenTable, id: RecordId, name: &str) -> Vec<EntryKey> {
        let answer = self.writer().update(table, id, &named(name), None, &by(), false).await.unwrap();
        answer.messages.iter().map(|sent| sent.entry).collect()
    }

    pub(crate) async fn entry(&self, key: &EntryKey) -> OutboxEntry {
        self.outbox.entry(key).await.unwrap().unwrap()
    }

    pub(crate) async fn state(&self, key: &EntryKey) -> EntryState {
        self.entry(key).await.state
    }

    pub(crate) async fn states(&self, keys: &[EntryKey]) -> Vec<EntryState> {
        let mut states = Vec::new();
        for key in keys {
            states.push(self.state(key).await);
        }
        states
    }

    /// What the stream shows of these entries.
    pub(crate) async fn seen(&self, keys: &[EntryKey]) -> Vec<Seen> {
        let mut seen = Vec::new();
        for key in keys {
            let entry = self.entry(key).await;
            seen.push(match entry.body.len() > 300 * 1024 {
                true => Seen::InParts(*key),
                false => Seen::Whole(entry),
            });
        }
        seen
    }

    /// The stream rings for these entries.
    pub(crate) async fn ring(&self, keys: &[EntryKey]) -> Vec<usize> {
        self.courier().ring(self.seen(keys).await, LONG).await
    }

    /// The schedule rings.
    pub(crate) async fn sweep(&self) -> Swept {
        self.courier().sweep(LONG).await
    }

    /// The `message-id`s on a queue, in the order they came.
    pub(crate) fn ids(&self, queue: &str) -> Vec<String> {
        let id = |message: &serde_json::Value| {
            message["MessageAttributes"]["message-id"]["StringValue"].as_str().unwrap().to_owned()
        };
        self.engine.messages(queue).iter().map(id).collect()
    }
}

fn client(endpoint: String, calls: &Calls) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .interceptor(calls.clone())
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

pub(crate) fn prefix() -> TablePrefix {
    TablePrefix::nth(77).unwrap()
}

/// A link to `queue`, at creates and updates, whose message is the record's name alone.
pub(crate) fn link(number: u32, queue: &Queue, mode: LinkMode) -> Link {
    Link {
        id: LinkId { table: prefix(), number },
        queue: queue.id,
        on: Operations::WRITES,
        mode,
        condition: None,
        only_fields: Vec::new(),
        handler: None,
        payload: LinkPayload::Template(r#""${new.name}""#.to_owned()),
        ordering_key: None,
        enabled: true,
    }
}

pub(crate) fn outbox_link(number: u32, queue: &Queue) -> Link {
    link(number, queue, LinkMode::Outbox)
}

pub(crate) fn strict_link(number: u32, queue: &Queue) -> Link {
    link(number, queue, LinkMode::Strict)
}

pub(crate) fn named(name: &str) -> RawFields {
    serde_json::from_str(&serde_json::json!({ "name": name }).to_string()).unwrap()
}

pub(crate) fn by() -> By {
    By { caller: KeyId::new(Timestamp::UNIX_EPOCH, &mut rand::rng()), idempotency: None, depth: 0 }
}

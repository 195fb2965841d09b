//! A worker on the bench: real handlers in a real sandbox, real AWS clients, a stand-in for AWS.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bootstrap::{Aws, Endpoints};
use domain::{
    Clock, Destination, Guard, HandlerName, KafkaTopic, Letter, PackageFiles, PackageName, Queue, QueueId,
    SqsQueue, WorkerMode,
};
use egress::{FetchPolicy, Fetcher, Mailer};
use handling::{
    BrokerHandling, Door, DoorParts, Handlers, HandlersParts, Handling, HandlingParts, LiveHandlers,
};
use jiff::SignedDuration;
use lua_host::{Bundle, SandboxConfig};
use queue::{Queues, RetryQueue, SqsConfig};
use serde_json::{Value, json};
use sqs_worker::SqsWorker;
use worker::Budget;
use zstorage::{Catalog, Messages, Outbox, Records, Sealer};

use crate::double::{Call, Double};
use crate::registered::queue_at;

/// What handlers do in these tests: what their name says.
const HANDLERS: &[(&str, &str)] = &[
    ("ack", "context.runtime.AckMessage()"),
    ("nothing", ""),
    ("throw", "context.log.warn('about to fail', { n = context.message.attempt }) error('boom')"),
    ("reject", "context.log.info('looked at it') context.runtime.RejectMessage('no such customer')"),
    (
        "waver",
        "if context.message.attributes.healed then context.runtime.AckMessage() else context.runtime.RejectMessage('no') end",
    ),
    ("retry", "context.runtime.RetryMessage(77)"),
    ("loop", "while true do end"),
    ("look", "require('@std/http').fetch(context.message.body.probe) context.runtime.AckMessage()"),
    ("obey", "if context.message.body.fails then error('told to') end context.runtime.AckMessage()"),
];

pub(crate) struct Bench {
    pub(crate) double: Double,
    pub(crate) worker: SqsWorker,
    /// What msk-worker and mq-worker handle by.
    pub(crate) broker: BrokerHandling,
    pub(crate) catalog: Catalog,
    pub(crate) records: Records,
    pub(crate) outbox: Outbox,
    /// Seals for this worker alone: another one has another key.
    pub(crate) sealer: Sealer,
    url: String,
    pub(crate) messages: Messages,
    /// How far the clock is on by which releases are looked for; otherwise it stands still.
    ahead_secs: Arc<AtomicI64>,
}

pub(crate) fn place(name: &str) -> SqsQueue {
    SqsQueue { region: "eu-west-1".to_owned(), account: "000000000000".to_owned(), name: name.to_owned() }
}

impl Bench {
    /// Nothing registered, the handlers of these tests, no mail.
    pub(crate) async fn new() -> Bench {
        Bench::of(bundle(), None).await
    }

    /// Another worker of the same stack, which starts now.
    pub(crate) async fn another(&self) -> Bench {
        Bench::beside((self.double.clone(), self.url.clone()), None, bundle(), None).await.awake().await
    }

    /// Makes these files the active release of `package`, unseen: nothing is compiled here.
    pub(crate) async fn release(&self, package: &str, files: &[(&str, &str)]) {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let files = PackageFiles::check(files).unwrap();
        let package = PackageName::parse(package).unwrap();
        self.catalog.release_package(&package, &files, None, true).await.unwrap();
    }

    pub(crate) async fn of(bundle: Bundle, mailer: Option<Mailer>) -> Bench {
        Bench::beside(Double::start().await, None, bundle, mailer).await.awake().await
    }

    /// A worker that starts while its store refuses to be read.
    pub(crate) async fn blind() -> Bench {
        let double = Double::start().await;
        double.0.refuse(&["GetItem"]);
        let source = "return function(context) context.runtime.AckMessage() end".to_owned();
        let bundle = Bundle::from_sources([("bench/ack.luau".to_owned(), source)]).unwrap();
        Bench::beside(double, None, bundle, None).await
    }

    /// The next batch looks for releases.
    pub(crate) fn later(&self) {
        self.ahead_secs.fetch_add(5, Ordering::SeqCst);
    }

    /// With its handlers at work, however long their sandbox takes to start.
    async fn awake(self) -> Bench {
        self.live().await;
        self
    }

    /// A worker whose DynamoDB is the engine at this endpoint.
    pub(crate) async fn over(dynamodb: String) -> Bench {
        Bench::beside(Double::start().await, Some(dynamodb), bundle(), None).await.awake().await
    }

    async fn beside(
        (double, url): (Double, String),
        dynamodb: Option<String>,
        bundle: Bundle,
        mailer: Option<Mailer>,
    ) -> Bench {
        let dynamodb = dynamodb.unwrap_or_else(|| url.clone());
        let endpoints =
            Endpoints { dynamodb: Some(dynamodb), sqs: Some(url.clone()), ..Endpoints::default() };
        let aws = Aws::local("eu-west-1", "000000000000", endpoints);
        let program = Path::new(env!("CARGO_BIN_EXE_sqs-worker"));
        let queues = Queues::new(aws.sqs(SqsConfig::new));
        // It stands still, so that what is known of a queue grows no older while a test runs.
        let began = Clock::system().now();
        let catalog = Catalog::new(aws.dynamodb(), "catalog".to_owned(), Clock::new(move || began));
        let messages = Messages::new(aws.dynamodb(), "messages".to_owned(), Clock::system());
        let outbox = Outbox::new(aws.dynamodb(), "outbox".to_owned(), Clock::system());
        let records = Records::new(aws.dynamodb(), "records".to_owned(), outbox.clone(), Clock::system());
        let files = tempfile::tempdir().unwrap();
        Sealer::create_key_file(&files.path().join("key")).unwrap();
        let sealer = Sealer::from_key_file(&files.path().join("key")).unwrap();
        let ahead_secs = Arc::new(AtomicI64::new(0));
        let hands = Arc::clone(&ahead_secs);
        let handlers = Handlers::start(HandlersParts {
            sandbox: SandboxConfig::new(program),
            shipped: bundle,
            catalog: catalog.clone(),
            sealer: sealer.clone(),
            clock: Clock::new(move || began + SignedDuration::from_secs(hands.load(Ordering::SeqCst))),
        });
        // The tests' own servers are on this machine.
        let guard = Guard::internet().with_loopback(true);
        let fetcher = Fetcher::new(FetchPolicy { guard, ..FetchPolicy::default() });
        let handling = Handling::new(HandlingParts {
            handlers: handlers.await.unwrap(),
            catalog: catalog.clone(),
            messages: messages.clone(),
            records: records.clone(),
            queues: queues.clone(),
            door: Door::new(DoorParts { mailer, fetcher }),
            clock: Clock::system(),
            config: json!({}),
            cpu_budget: Duration::from_millis(300),
        });
        let retry = RetryQueue::new(queues.clone(), place("stack-retry"));
        let broker = BrokerHandling::new(handling.clone(), retry);
        let worker = SqsWorker::new(handling, queues, place("stack-retry"));
        Bench { double, worker, broker, catalog, records, outbox, sealer, url, messages, ahead_secs }
    }

    /// A bench with one registered queue, `orders` or `orders.fifo`, with its dead-letter queue; `change` makes it special.
    pub(crate) async fn with_queue(sqs_name: &str, change: impl FnOnce(&mut Queue)) -> Bench {
        let bench = Bench::new().await;
        let fifo = sqs_name.ends_with(".fifo");
        let mut queue = Queue {
            fifo,
            worker: WorkerMode::Attached,
            dead_letter_queue: Some(place(if fifo { "orders-dead.fifo" } else { "orders-dead" })),
            owned: true,
            ..queue_at("orders", place(sqs_name), Clock::system().now())
        };
        change(&mut queue);
        bench.catalog.create_queue(&queue).await.unwrap();
        bench.double.calls();
        bench
    }

    /// A bench with the registered topic `orders`, whose dead letters go to the stack's queue for them.
    pub(crate) async fn with_topic(change: impl FnOnce(&mut Queue)) -> Bench {
        Bench::with_queue("orders", |queue| {
            queue.destination = Destination::Kafka(KafkaTopic { cluster: None, partition: None });
            queue.dead_letter_queue = Some(place("stack-retry-dead"));
            queue.owned = false;
            change(queue);
        })
        .await
    }

    /// Registers the topic `name`, with nowhere for its dead letters.
    pub(crate) async fn register(&self, name: &str) -> QueueId {
        let destination = Destination::Kafka(KafkaTopic { cluster: None, partition: None });
        let queue = Queue { destination, ..queue_at(name, place(name), Clock::system().now()) };
        self.catalog.create_queue(&queue).await.unwrap();
        queue.id
    }

    /// The handlers of now.
    pub(crate) async fn live(&self) -> Arc<LiveHandlers> {
        self.broker.handlers_for_batch(Duration::from_secs(60)).await.unwrap()
    }

    /// Gives the worker a batch; the ids it wants back, in the answer's own JSON.
    pub(crate) async fn run(&self, records: Vec<Value>) -> Vec<String> {
        let event = json!({ "Records": records });
        // A batch waits for what was released, on Lambda two seconds at most: here, however long a sandbox takes to start.
        let budget =
            Budget { look: Duration::from_secs(60), ..Budget::new(Instant::now(), Duration::from_secs(120)) };
        let answer = self.worker.handle_within(event, &budget).await.unwrap();
        let answer = serde_json::to_value(answer).unwrap();
        let failures = answer["batchItemFailures"].as_array().unwrap().iter();
        failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn letters(&self, message_id: &str) -> Vec<Letter> {
        self.messages.letters(message_id).await.unwrap()
    }
}

/// The handlers that ship with these tests.
fn bundle() -> Bundle {
    let sources = HANDLERS
        .iter()
        .map(|(name, body)| (format!("bench/{name}.luau"), format!("return function(context) {body} end")));
    Bundle::from_sources(sources).unwrap()
}

pub(crate) fn handler(name: &str) -> Option<HandlerName> {
    Some(HandlerName::parse(name).unwrap())
}

/// A record of `orders` for a handler, received `count` times.
pub(crate) fn record(id: &str, handler: &str, count: u32) -> Value {
    record_of("orders", id, &json!({ "handler": handler }).to_string(), count)
}

pub(crate) fn record_of(sqs_name: &str, id: &str, body: &str, count: u32) -> Value {
    json!({
        "messageId": id,
        "receiptHandle": format!("handle-{id}"),
        "body": body,
        "attributes": { "ApproximateReceiveCount": count.to_string(), "SentTimestamp": "1700000000000" },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": place(sqs_name).arn(),
        "awsRegion": "eu-west-1",
    })
}

/// The names of the calls, in order.
pub(crate) fn names(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|(name, _)| name.as_str()).collect()
}

/// Seconds until visible again by receipt handle, from the one call that sets them.
pub(crate) fn visibilities(calls: &[Call]) -> Vec<(String, i64)> {
    let sets: Vec<&Value> = calls
        .iter()
        .filter(|(name, _)| name == "ChangeMessageVisibilityBatch")
        .map(|(_, input)| input)
        .collect();
    assert!(sets.len() <= 1, "one call per batch, not {}", sets.len());
    let entries = sets.into_iter().flat_map(|input| input["Entries"].as_array().unwrap());
    let read = |entry: &Value| {
        (entry["ReceiptHandle"].as_str().unwrap().to_owned(), entry["VisibilityTimeout"].as_i64().unwrap())
    };
    entries.map(read).collect()
}

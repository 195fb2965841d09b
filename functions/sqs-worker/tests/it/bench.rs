//! A worker on the bench: real handlers in a real sandbox, real AWS clients, a stand-in for AWS.

use std::path::Path;
use std::time::Duration;

use bootstrap::{Aws, Endpoints};
use domain::{
    Clock, Destination, HandlerName, Letter, Queue, QueueId, QueueName, QueueState, SqsQueue, WorkerMode,
};
use egress::{FetchPolicy, Fetcher, Mailer};
use handling::{Door, DoorParts, Handling, HandlingParts};
use lua_host::{Bundle, Sandbox, SandboxConfig};
use queue::{Queues, SqsConfig};
use serde_json::{Value, json};
use sqs_worker::SqsWorker;
use zstorage::{Catalog, Messages};

use crate::double::{Call, Double};

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
    ("obey", "if context.message.body.fails then error('told to') end context.runtime.AckMessage()"),
];

pub(crate) struct Bench {
    pub(crate) double: Double,
    pub(crate) worker: SqsWorker,
    catalog: Catalog,
    messages: Messages,
}

pub(crate) fn place(name: &str) -> SqsQueue {
    SqsQueue { region: "eu-west-1".to_owned(), account: "000000000000".to_owned(), name: name.to_owned() }
}

impl Bench {
    /// Nothing registered, the handlers of these tests, no mail.
    pub(crate) async fn new() -> Bench {
        let sources = HANDLERS.iter().map(|(name, body)| {
            (format!("bench/{name}.luau"), format!("return function(context) {body} end"))
        });
        Bench::of(Bundle::from_sources(sources).unwrap(), None).await
    }

    pub(crate) async fn of(bundle: Bundle, mailer: Option<Mailer>) -> Bench {
        let (double, url) = Double::start().await;
        let endpoints = Endpoints { dynamodb: Some(url.clone()), sqs: Some(url), ..Endpoints::default() };
        let aws = Aws::local("eu-west-1", "000000000000", endpoints);
        let program = Path::new(env!("CARGO_BIN_EXE_sqs-worker"));
        let sandbox = Sandbox::start(SandboxConfig::new(program), bundle).await.unwrap();
        let parts = aws.sqs_parts();
        let queues = Queues::new(SqsConfig {
            region: parts.region,
            endpoint: parts.endpoint,
            credentials: parts.credentials,
            http_client: parts.http_client,
        });
        let catalog = Catalog::new(aws.dynamodb(), "catalog".to_owned(), Clock::system());
        let messages = Messages::new(aws.dynamodb(), "messages".to_owned(), Clock::system());
        let handling = Handling::new(HandlingParts {
            sandbox,
            catalog: catalog.clone(),
            messages: messages.clone(),
            queues: queues.clone(),
            door: Door::new(DoorParts { mailer, fetcher: Fetcher::new(FetchPolicy::default()) }),
            clock: Clock::system(),
            config: json!({}),
            cpu_budget: Duration::from_millis(300),
        });
        Bench { double, worker: SqsWorker::new(handling, queues), catalog, messages }
    }

    /// A bench with one registered queue, `orders` or `orders.fifo`, with its dead-letter queue; `change` makes it special.
    pub(crate) async fn with_queue(sqs_name: &str, change: impl FnOnce(&mut Queue)) -> Bench {
        let bench = Bench::new().await;
        let fifo = sqs_name.ends_with(".fifo");
        let now = Clock::system().now();
        let mut queue = Queue {
            id: QueueId::new(now, &mut rand::rng()),
            name: QueueName::parse("orders").unwrap(),
            destination: Destination::Sqs(place(sqs_name)),
            credentials: None,
            default_handler: None,
            schema: None,
            fifo,
            worker: WorkerMode::Attached,
            mapping: None,
            state: QueueState::Ready,
            max_failures: 3,
            dead_letter_queue: Some(place(if fifo { "orders-dead.fifo" } else { "orders-dead" })),
            owned: true,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        change(&mut queue);
        bench.catalog.create_queue(&queue).await.unwrap();
        bench.double.calls();
        bench
    }

    /// Gives the worker a batch; the ids it wants back, in the answer's own JSON.
    pub(crate) async fn run(&self, records: Vec<Value>) -> Vec<String> {
        let event = json!({ "Records": records });
        let answer = self.worker.handle(event, Duration::from_secs(20)).await.unwrap();
        let answer = serde_json::to_value(answer).unwrap();
        let failures = answer["batchItemFailures"].as_array().unwrap().iter();
        failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn letters(&self, message_id: &str) -> Vec<Letter> {
        self.messages.letters(message_id).await.unwrap()
    }
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

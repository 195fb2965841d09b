//! A worker of Kafka or RabbitMQ on the bench: real handlers in a real sandbox, real AWS clients, a stand-in for AWS.
#![allow(
    unreachable_pub,
    dead_code,
    reason = "each test binary includes this file by its path, and uses what it needs"
)]

use std::path::Path;
use std::time::Duration;

use bootstrap::{Aws, Endpoints};
use domain::{Clock, Destination, Guard, Letter, Queue, SqsQueue, WorkerMode};
use egress::{FetchPolicy, Fetcher};
use handling::{
    Body, BrokerHandling, Door, DoorParts, Handlers, HandlersParts, Handling, HandlingParts, Received, Source,
};
use lua_host::{Bundle, SandboxConfig};
use queue::{Queues, RetryBody, RetryMessage, RetryQueue, SqsConfig};
use serde_json::{Value, json};
use zstorage::{Catalog, Messages, Outbox, Records, Sealer};

use crate::double::{Call, Double};
use crate::registered::queue_at;

/// What handlers do in these tests: what their name says.
const HANDLERS: &[(&str, &str)] = &[
    ("ack", "context.runtime.AckMessage()"),
    ("throw", "error('boom')"),
    ("reject", "context.runtime.RejectMessage('no such customer')"),
    ("later", "context.runtime.RetryMessage(77)"),
    (
        "waver",
        "if context.message.attributes.healed then context.runtime.AckMessage() else context.runtime.RejectMessage('no') end",
    ),
    ("look", "require('@std/http').fetch(context.message.body.probe) context.runtime.AckMessage()"),
];

pub struct BrokerBench {
    pub double: Double,
    pub broker: BrokerHandling,
    pub catalog: Catalog,
    messages: Messages,
}

/// A message that was put on the retry queue: its id, the seconds until it is visible, its body, its attributes.
#[derive(Debug, Clone)]
pub struct PutOff {
    pub message_id: String,
    pub delay_secs: i64,
    pub body: String,
    attributes: Value,
}

impl PutOff {
    /// The message again, as it is received from the retry queue.
    pub fn received(&self) -> Received {
        let text = |(name, value): (&String, &Value)| {
            (name.clone(), value["StringValue"].as_str().unwrap().to_owned())
        };
        let attributes = self.attributes.as_object().unwrap().iter().map(text).collect();
        let message = RetryMessage::read(attributes, self.body.clone()).unwrap();
        let RetryBody::Text(body) = message.body else { panic!("its body lies elsewhere") };
        Received {
            engine_id: message.engine_id,
            source: Source::Retry { queue: message.queue, not_before: None },
            receive_count: 2,
            sent_at: None,
            group: message.ordering_key,
            message_id: Some(message.message_id),
            round: message.round,
            body: Body::Text(body),
            attributes: message.attributes,
        }
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes[name]["StringValue"].as_str()
    }
}

fn place(name: &str) -> SqsQueue {
    SqsQueue { region: "eu-west-1".to_owned(), account: "000000000000".to_owned(), name: name.to_owned() }
}

impl BrokerBench {
    /// Handlers of these tests in the sandbox that `program` is, too; nothing registered.
    pub async fn new(program: &str) -> BrokerBench {
        let (double, url) = Double::start().await;
        let endpoints = Endpoints { dynamodb: Some(url.clone()), sqs: Some(url), ..Endpoints::default() };
        let aws = Aws::local("eu-west-1", "000000000000", endpoints);
        let (dynamodb, clock) = (aws.dynamodb(), Clock::system());
        let queues = Queues::new(aws.sqs(SqsConfig::new));
        // It stands still: what is known of queues and releases grows no older while a test runs.
        let began = clock.now();
        let standing = Clock::new(move || began);
        let catalog = Catalog::new(dynamodb.clone(), "catalog".to_owned(), standing.clone());
        let messages = Messages::new(dynamodb.clone(), "messages".to_owned(), clock.clone());
        let outbox = Outbox::new(dynamodb.clone(), "outbox".to_owned(), clock.clone());
        let files = tempfile::tempdir().unwrap();
        Sealer::create_key_file(&files.path().join("key")).unwrap();
        let sources = HANDLERS.iter().map(|(name, body)| {
            (format!("bench/{name}.luau"), format!("return function(context) {body} end"))
        });
        let handlers = Handlers::start(HandlersParts {
            sandbox: SandboxConfig::new(Path::new(program)),
            shipped: Bundle::from_sources(sources).unwrap(),
            catalog: catalog.clone(),
            sealer: Sealer::from_key_file(&files.path().join("key")).unwrap(),
            clock: standing,
        });
        // The tests' own servers are on this machine.
        let guard = Guard::internet().with_loopback(true);
        let fetcher = Fetcher::new(FetchPolicy { guard, ..FetchPolicy::default() });
        let handling = Handling::new(HandlingParts {
            handlers: handlers.await.unwrap(),
            catalog: catalog.clone(),
            messages: messages.clone(),
            records: Records::new(dynamodb, "records".to_owned(), outbox, clock.clone()),
            queues: queues.clone(),
            door: Door::new(DoorParts { mailer: None, fetcher }),
            clock,
            config: json!({}),
            cpu_budget: Duration::from_millis(300),
        });
        let broker = BrokerHandling::new(handling, RetryQueue::new(queues, place("bench-retry")));
        // However long their sandbox takes to start.
        broker.handlers_for_batch(Duration::from_secs(60)).await.unwrap();
        BrokerBench { double, broker, catalog, messages }
    }

    /// With the queue `orders` at `destination`, as it is registered; `change` makes it special.
    pub async fn with_queue(
        program: &str,
        destination: Destination,
        change: impl FnOnce(&mut Queue),
    ) -> BrokerBench {
        let bench = BrokerBench::new(program).await;
        let mut queue = Queue {
            destination,
            worker: WorkerMode::Attached,
            dead_letter_queue: Some(place("bench-retry-dead")),
            ..queue_at("orders", place("orders"), Clock::system().now())
        };
        change(&mut queue);
        bench.catalog.create_queue(&queue).await.unwrap();
        bench.double.calls();
        bench
    }

    pub async fn letters(&self, message_id: &str) -> Vec<Letter> {
        self.messages.letters(message_id).await.unwrap()
    }

    /// What the calls since the last time put on the retry queue, by message id.
    pub fn put_off(&self) -> Vec<PutOff> {
        BrokerBench::put_off_in(&self.double.calls())
    }

    /// What these calls put on the retry queue, by message id.
    pub fn put_off_in(calls: &[Call]) -> Vec<PutOff> {
        let mut put: Vec<PutOff> = sends(calls, "bench-retry")
            .into_iter()
            .map(|(body, delay_secs, attributes)| PutOff {
                message_id: attributes["message-id"]["StringValue"].as_str().unwrap().to_owned(),
                delay_secs,
                body,
                attributes,
            })
            .collect();
        put.sort_by(|one, other| one.message_id.cmp(&other.message_id));
        put
    }
}

/// The bodies, delays and attributes of what was sent to a queue.
fn sends(calls: &[Call], queue: &str) -> Vec<(String, i64, Value)> {
    let to_it = |input: &&Value| input["QueueUrl"].as_str().unwrap().ends_with(&format!("/{queue}"));
    let sent = calls.iter().filter(|(name, _)| name == "SendMessage").map(|(_, input)| input).filter(to_it);
    let read = |input: &Value| {
        let body = input["MessageBody"].as_str().unwrap().to_owned();
        (body, input["DelaySeconds"].as_i64().unwrap_or(0), input["MessageAttributes"].clone())
    };
    sent.map(read).collect()
}

/// The names of the calls, in order.
pub fn names(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|(name, _)| name.as_str()).collect()
}

/// The bodies on the stack's dead-letter queue, in the order they came.
pub fn buried(calls: &[Call]) -> Vec<String> {
    sends(calls, "bench-retry-dead").into_iter().map(|(body, ..)| body).collect()
}

/// `tests/events/<name>.json`.
pub fn event(name: &str) -> Value {
    let path = format!("{}/../../tests/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

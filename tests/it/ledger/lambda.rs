//! What AWS does between the functions: queues feed the workers, the stream rings the publisher, a schedule wakes the sweeper.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use domain::Clock;
use jiff::Timestamp;
use queuelink::mapping::{
    Filter, Function, Functions, Mappings, NewMapping, Source, StreamMapping, StreamSource, Streams,
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::book::{Book, Due, Handled};
use super::cast::Actor;
use super::world::Plant;
use super::{ORDERED, PLAIN, STRICT};
use crate::support::clients;

const OUTBOX: &str = "local-Outbox";

/// A worker's process that was killed gives its messages back after this time, seconds.
const VISIBILITY_SECS: u64 = 30;

/// So often a minute, or ten hours, go by for what waits in the outbox. Whoever is at an entry at that moment meets a sweeper that
/// is too early, which the protocol has to bear.
const PASSES_EVERY: Duration = Duration::from_secs(8);

pub struct Parts {
    pub folder: PathBuf,
    pub dynamodb: String,
    pub sqs: String,
    pub publisher: Arc<Actor>,
    pub sweeper: Arc<Actor>,
    pub workers: Vec<Arc<Actor>>,
    pub book: Arc<Mutex<Book>>,
    pub plant: Plant,
}

pub struct Lambda {
    mappings: Mappings,
    streams: Streams,
    sqs: Client,
    endpoint: String,
    dynamodb: aws_sdk_dynamodb::Client,
    stopped: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Lambda {
    pub async fn start(parts: Parts) -> Lambda {
        let sqs = clients::sqs(&parts.sqs);
        let dynamodb = clients::dynamodb(&parts.dynamodb);
        let publisher = Arc::clone(&parts.publisher);
        let functions = Functions::default()
            .with(
                "sqs-worker",
                worker(parts.workers, parts.book, parts.plant, (sqs.clone(), parts.sqs.clone())),
            )
            .with(
                "outbox-publisher",
                Function::new(Duration::from_secs(30), move |event, _| {
                    let publisher = Arc::clone(&publisher);
                    async move { called(&publisher, event).await }
                }),
            );
        let stopped = Arc::new(AtomicBool::new(false));
        let source = Source { sqs: sqs.clone(), endpoint: parts.sqs.clone() };
        let file = parts.folder.join("ledger-mappings.json");
        let mappings = Mappings::open(file, source, functions.clone(), Clock::system()).unwrap();
        for queue in [PLAIN, ORDERED, STRICT] {
            until_up(async || {
                let set = sqs
                    .set_queue_attributes()
                    .queue_url(url(&parts.sqs, queue))
                    .attributes(QueueAttributeName::VisibilityTimeout, VISIBILITY_SECS.to_string());
                set.send().await.is_ok()
            })
            .await;
            let mapping = NewMapping {
                source_arn: format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
                function: "sqs-worker".to_owned(),
                enabled: true,
                batch_size: 10,
                reports_failures: true,
                maximum_concurrency: Some(2),
            };
            mappings.create(mapping).await.unwrap();
        }
        mappings.start().await;
        let (beat, writes) = watch::channel(0);
        let source = StreamSource { client: clients::streams(&parts.dynamodb), writes };
        let (places, failures) =
            (parts.folder.join("ledger-places.json"), parts.folder.join("ledger-failures.jsonl"));
        let mut streams = Streams::open(places, failures, source, functions, Clock::system()).unwrap();
        streams.start(StreamMapping {
            table: OUTBOX.to_owned(),
            function: "outbox-publisher".to_owned(),
            filter: Filter::parse(
                r#"{"eventName":["INSERT"],"dynamodb":{"NewImage":{"state":{"S":["due"]}}}}"#,
            )
            .unwrap(),
            batch_size: 100,
            bisects: true,
            retries: 10,
            max_age: Duration::from_secs(3600),
            retry_pause: Duration::from_millis(100),
            idle: Duration::from_secs(1),
        });
        let tasks = vec![
            tokio::spawn(ring(beat, Arc::clone(&stopped))),
            tokio::spawn(schedule(parts.sweeper, Arc::clone(&stopped))),
        ];
        Lambda { mappings, streams, sqs, endpoint: parts.sqs, dynamodb, stopped, tasks }
    }

    /// Whether nothing is on a queue and nothing waits in the outbox.
    pub async fn is_quiet(&self) -> bool {
        for queue in [PLAIN, ORDERED, STRICT] {
            let asked = self
                .sqs
                .get_queue_attributes()
                .queue_url(url(&self.endpoint, queue))
                .attribute_names(QueueAttributeName::All)
                .send()
                .await;
            let Ok(asked) = asked else { return false };
            let attributes = asked.attributes.unwrap_or_default();
            let count = |name| attributes.get(&name).is_some_and(|count| count != "0");
            if count(QueueAttributeName::ApproximateNumberOfMessages)
                || count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
                || count(QueueAttributeName::ApproximateNumberOfMessagesDelayed)
            {
                return false;
            }
        }
        waiting(&self.dynamodb).await.is_some_and(|waiting| waiting.is_empty())
    }

    pub async fn stop(self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.mappings.stop_polling().await;
        self.streams.stop();
        self.mappings.end(Duration::from_secs(5)).await;
        self.streams.end(Duration::from_secs(5)).await;
        futures::future::join_all(self.tasks).await;
    }
}

/// The worker as the mappings know it; what it has answered for goes into the book. A plant is made once.
fn worker(
    workers: Vec<Arc<Actor>>,
    book: Arc<Mutex<Book>>,
    plant: Plant,
    queue: (Client, String),
) -> Function {
    let turn = Arc::new(AtomicUsize::new(0));
    let planted = Arc::new(AtomicBool::new(plant == Plant::Nothing));
    Function::new(Duration::from_secs(VISIBILITY_SECS), move |mut event: Value, _| {
        let actor = Arc::clone(&workers[turn.fetch_add(1, Ordering::SeqCst) % workers.len()]);
        let (book, planted, queue) = (Arc::clone(&book), Arc::clone(&planted), queue.clone());
        async move {
            let records = event["Records"].as_array_mut().unwrap();
            let is_plain = records[0]["eventSourceARN"].as_str().unwrap().ends_with(PLAIN);
            if is_plain && !planted.swap(true, Ordering::SeqCst) {
                match plant {
                    // Answered for, and never given to the worker.
                    Plant::Loss => drop(records.remove(0)),
                    Plant::Double => send_again(&queue, &records[0]).await,
                    Plant::Nothing => {}
                }
            }
            if records.is_empty() {
                return Ok(json!({"batchItemFailures": []}));
            }
            let answer = called(&actor, event.clone()).await?;
            let failed: Vec<&str> = answer["batchItemFailures"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|failure| failure["itemIdentifier"].as_str())
                .collect();
            let records = event["Records"].as_array().into_iter().flatten();
            for record in records.filter(|record| !failed.contains(&record["messageId"].as_str().unwrap())) {
                book.lock().unwrap().handle(handled(record));
            }
            Ok::<_, String>(answer)
        }
    })
}

/// Puts a message on its queue once more, under another id.
async fn send_again((sqs, endpoint): &(Client, String), record: &Value) {
    let id = format!("{}-again", record["messageAttributes"]["message-id"]["stringValue"].as_str().unwrap());
    let id = MessageAttributeValue::builder().data_type("String").string_value(id).build().unwrap();
    let call =
        sqs.send_message().queue_url(url(endpoint, PLAIN)).message_body(record["body"].as_str().unwrap());
    call.message_attributes("message-id", id).send().await.unwrap();
}

/// What a message says it is about.
fn handled(record: &Value) -> Handled {
    let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
    let queue = record["eventSourceARN"].as_str().unwrap().rsplit(':').next().unwrap();
    let message_id = &record["messageAttributes"]["message-id"]["stringValue"];
    Handled {
        due: Due {
            queue: queue.to_owned(),
            record: body["record-id"].as_str().unwrap().to_owned(),
            version: body["version"].as_u64().unwrap(),
        },
        message_id: message_id.as_str().unwrap().to_owned(),
    }
}

async fn called(actor: &Actor, event: Value) -> Result<Value, String> {
    match actor.call(event).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_died) => Err("the process was killed".to_owned()),
    }
}

/// The engine is another process here, so nobody tells the poller of the stream that something was written.
async fn ring(beat: watch::Sender<u64>, stopped: Arc<AtomicBool>) {
    while !stopped.load(Ordering::SeqCst) {
        beat.send_modify(|beat| *beat += 1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The sweeper's schedule, faster than on AWS.
async fn schedule(sweeper: Arc<Actor>, stopped: Arc<AtomicBool>) {
    let event = json!({
        "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": [], "detail": {}
    });
    while !stopped.load(Ordering::SeqCst) {
        // What goes wrong, killed or not, is made good by the next run.
        let _ = called(&sweeper, event.clone()).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What would be due later is due now, again and again.
pub async fn let_time_pass(endpoint: String, stopped: Arc<AtomicBool>) {
    let client = clients::dynamodb(&endpoint);
    while !stopped.load(Ordering::SeqCst) {
        for entry in waiting(&client).await.unwrap_or_default() {
            let seen = entry["next-attempt-at"].clone();
            let now = Timestamp::now().as_millisecond();
            let later = seen.as_n().ok().and_then(|at| at.parse::<i64>().ok()).is_some_and(|at| at > now);
            if !later {
                continue;
            }
            let due = client
                .update_item()
                .table_name(OUTBOX)
                .key("pk", entry["pk"].clone())
                .key("sk", entry["sk"].clone())
                .update_expression("SET #next = :now")
                .condition_expression("#next = :seen")
                .expression_attribute_names("#next", "next-attempt-at")
                .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
                .expression_attribute_values(":seen", seen);
            // Somebody else was there first, or the engine is just being killed: the next round sees it again.
            let _ = due.send().await;
        }
        tokio::time::sleep(PASSES_EVERY).await;
    }
}

/// What waits in the outbox; `None` = the engine does not answer.
async fn waiting(
    client: &aws_sdk_dynamodb::Client,
) -> Option<Vec<std::collections::HashMap<String, AttributeValue>>> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = client
            .scan()
            .table_name(OUTBOX)
            // Nothing else is in it than what waits, or was given up.
            .index_name("due")
            .filter_expression("#state IN (:due, :held)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":due", AttributeValue::S("due".to_owned()))
            .expression_attribute_values(":held", AttributeValue::S("held".to_owned()))
            .set_exclusive_start_key(after)
            .send()
            .await
            .ok()?;
        found.extend(page.items.unwrap_or_default());
        after = page.last_evaluated_key;
        if after.is_none() {
            return Some(found);
        }
    }
}

fn url(endpoint: &str, queue: &str) -> String {
    format!("{endpoint}/000000000000/{queue}")
}

/// The engines' process has just begun.
async fn until_up(is_up: impl AsyncFn() -> bool) {
    crate::support::eventually("the engines answer", 150, async || is_up().await.then_some(())).await;
}

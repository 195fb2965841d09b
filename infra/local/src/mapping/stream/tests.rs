#![allow(clippy::unwrap_used, reason = "a test may panic")]
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};
use aws_sdk_dynamodbstreams::config::{BehaviorVersion, Credentials, Region};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::engines::dynamodb::{Durability, DynamoDbEngine};
use crate::mapping::function::Function;

const TABLE: &str = "Outbox";
/// Whatever has not come after so long hangs.
const PATIENCE: Duration = Duration::from_secs(150);

/// An engine with a table and its stream, a folder, and a clock that can be put forward.
struct Bench {
    folder: tempfile::TempDir,
    dynamodb: aws_sdk_dynamodb::Client,
    source: StreamSource,
    engine: DynamoDbEngine,
    forward_secs: Arc<AtomicI64>,
}

/// What the function is to do with a batch: `None` = throw.
type Answer = dyn Fn(&[String]) -> Option<Vec<String>> + Send + Sync;

impl Bench {
    async fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let engine = DynamoDbEngine::open(&folder.path().join("dynamodb.sqlite"), Durability::Fast).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(engine.clone().serve(listener, std::future::pending()));
        let http = aws_smithy_http_client::Builder::new().build_http();
        let credentials = Credentials::new("local", "local", None, None, "test");
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(credentials.clone())
            .http_client(http.clone())
            .endpoint_url(&endpoint);
        let streams = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(credentials)
            .http_client(http)
            .endpoint_url(&endpoint);
        let bench = Bench {
            folder,
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            source: StreamSource { client: Client::from_conf(streams.build()), writes: engine.writes() },
            engine,
            forward_secs: Arc::default(),
        };
        bench.make_table().await;
        bench
    }

    async fn make_table(&self) {
        let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap();
        let kind = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
        let stream =
            StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
        let request = self.dynamodb.create_table().table_name(TABLE).key_schema(key);
        let request = request.billing_mode(BillingMode::PayPerRequest);
        let request = request.attribute_definitions(kind.build().unwrap());
        request.stream_specification(stream.build().unwrap()).send().await.unwrap();
    }

    async fn put(&self, pk: &str, state: &str, more: &str) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let item = [("pk", text(pk)), ("state", text(state)), ("more", text(more))];
        let item: HashMap<String, AttributeValue> = item.map(|(name, value)| (name.to_owned(), value)).into();
        self.dynamodb.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }

    async fn puts(&self, range: std::ops::Range<u32>) {
        for n in range {
            self.put(&n.to_string(), "due", "").await;
        }
    }

    /// A function that tells of each call which pks it saw, and does as `answer` says.
    fn function(answer: Box<Answer>) -> (Functions, mpsc::UnboundedReceiver<Vec<String>>) {
        let (calls, called) = mpsc::unbounded_channel();
        let function = Function::new(PATIENCE, move |event: Value, _| {
            let records = event["Records"].as_array().unwrap().clone();
            let pks: Vec<String> = records
                .iter()
                .map(|record| record["dynamodb"]["NewImage"]["pk"]["S"].as_str().unwrap().to_owned())
                .collect();
            let answer = answer(&pks).map(|failed| {
                let number = |pk: &String| {
                    let at = pks.iter().position(|known| known == pk).unwrap();
                    json!({"itemIdentifier": records[at]["dynamodb"]["SequenceNumber"]})
                };
                json!({"batchItemFailures": failed.iter().map(number).collect::<Vec<_>>()})
            });
            calls.send(pks).unwrap();
            async move { answer.ok_or("thrown") }
        });
        (Functions::default().with("publisher", function), called)
    }

    fn mapping(&self) -> StreamMapping {
        let filter = r#"{"eventName":["INSERT"],"dynamodb":{"NewImage":{"state":{"S":["due"]}}}}"#;
        StreamMapping {
            table: TABLE.to_owned(),
            function: "publisher".to_owned(),
            filter: Filter::parse(filter).unwrap(),
            batch_size: 100,
            bisects: true,
            retries: 3,
            max_age: Duration::from_secs(3600),
            retry_pause: Duration::from_millis(1),
            idle: Duration::from_secs(1),
        }
    }

    fn streams(&self, functions: Functions, mapping: StreamMapping) -> Streams {
        let forward_secs = Arc::clone(&self.forward_secs);
        let clock = Clock::new(move || {
            Timestamp::now() + SignedDuration::from_secs(forward_secs.load(Ordering::SeqCst))
        });
        let file = |name: &str| self.folder.path().join(name);
        let source = self.source.clone();
        let mut streams =
            Streams::open(file("streams.json"), file("failures.jsonl"), source, functions, clock).unwrap();
        streams.start(mapping);
        streams
    }

    fn given_up(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("failures.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn all_well() -> Box<Answer> {
    Box::new(|_| Some(Vec::new()))
}

/// As `answer` the first time, then well.
fn once(answer: impl Fn(&[String]) -> Option<Vec<String>> + Send + Sync + 'static) -> Box<Answer> {
    let first = AtomicBool::new(true);
    Box::new(move |pks| if first.swap(false, Ordering::SeqCst) { answer(pks) } else { Some(Vec::new()) })
}

async fn next(called: &mut mpsc::UnboundedReceiver<Vec<String>>) -> Vec<String> {
    tokio::time::timeout(PATIENCE, called.recv()).await.expect("the function is called").unwrap()
}

#[tokio::test]
async fn a_failure_at_three_of_ten_comes_again_from_three() {
    let bench = Bench::new().await;
    bench.puts(0..10).await;
    // Two are named: the lowest counts, wherever it stands in the list.
    let (functions, mut called) = Bench::function(once(|_| Some(vec!["7".to_owned(), "3".to_owned()])));
    let streams = bench.streams(functions, bench.mapping());
    assert_eq!(next(&mut called).await.join(" "), "0 1 2 3 4 5 6 7 8 9");
    assert_eq!(next(&mut called).await.join(" "), "3 4 5 6 7 8 9");
    bench.put("end", "due", "").await;
    assert_eq!(next(&mut called).await.join(" "), "end");
    assert_eq!(bench.given_up(), Vec::<Value>::new());
    streams.end(PATIENCE).await;
}

#[tokio::test]
async fn only_new_due_entries_are_seen_in_order_and_in_hundreds() {
    let bench = Bench::new().await;
    bench.put("held", "held", "").await;
    bench.puts(0..130).await;
    bench.put("0", "due", "again, so it is no insert").await;
    let (functions, mut called) = Bench::function(all_well());
    let streams = bench.streams(functions, bench.mapping());
    let mut seen = Vec::new();
    while seen.len() < 130 {
        let call = next(&mut called).await;
        assert!(call.len() <= 100);
        seen.extend(call);
    }
    assert_eq!(seen, (0..130).map(|n| n.to_string()).collect::<Vec<_>>());
    bench.put("end", "due", "").await;
    assert_eq!(next(&mut called).await, ["end"]);
    streams.end(PATIENCE).await;
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_is_halved_until_the_bad_one_is_alone_and_given_up() {
    let bench = Bench::new().await;
    bench.puts(0..4).await;
    let (functions, mut called) =
        Bench::function(Box::new(|pks| (!pks.iter().any(|pk| pk == "2")).then(Vec::new)));
    let streams = bench.streams(functions, bench.mapping());
    // Halving is no attempt: alone it has its first and three retries.
    let mut calls: Vec<String> = Vec::new();
    while calls.last().is_none_or(|last| last != "3") {
        calls.push(next(&mut called).await.join(" "));
    }
    assert_eq!(calls, ["0 1 2 3", "0 1", "2 3", "2", "2", "2", "2", "3"]);
    streams.end(PATIENCE).await;
    let given_up = bench.given_up();
    assert_eq!(given_up.len(), 1);
    assert_eq!(given_up[0]["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(given_up[0]["requestContext"]["approximateInvokeCount"], 4);
    let info = &given_up[0]["DDBStreamBatchInfo"];
    assert_eq!(info["batchSize"], 1);
    assert_eq!(info["startSequenceNumber"], info["endSequenceNumber"]);
}

#[tokio::test]
async fn an_answer_that_names_the_first_record_for_ever_is_given_up_and_others_go_on() {
    let bench = Bench::new().await;
    bench.puts(0..3).await;
    let (functions, mut called) =
        Bench::function(Box::new(|pks| Some(pks.iter().filter(|pk| *pk == "1").cloned().collect())));
    let streams = bench.streams(functions, bench.mapping());
    let calls: Vec<String> =
        [next(&mut called).await, next(&mut called).await].map(|call| call.join(" ")).into();
    assert_eq!(calls, ["0 1 2", "1 2"]);
    for _ in 0..3 {
        assert_eq!(next(&mut called).await, ["1", "2"]);
    }
    bench.put("end", "due", "").await;
    assert_eq!(next(&mut called).await, ["end"]);
    streams.end(PATIENCE).await;
    // As on AWS everything behind the lowest failure goes with it: the sweeper heals it.
    assert_eq!(bench.given_up()[0]["DDBStreamBatchInfo"]["batchSize"], 2);
}

#[tokio::test]
async fn what_is_older_than_an_hour_is_given_up_unseen() {
    let bench = Bench::new().await;
    bench.puts(0..3).await;
    bench.forward_secs.store(3700, Ordering::SeqCst);
    let (functions, mut called) = Bench::function(all_well());
    let streams = bench.streams(functions, bench.mapping());
    while bench.given_up().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.forward_secs.store(0, Ordering::SeqCst);
    bench.put("end", "due", "").await;
    assert_eq!(next(&mut called).await, ["end"]);
    streams.end(PATIENCE).await;
    let given_up = bench.given_up();
    assert_eq!(given_up[0]["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(given_up[0]["DDBStreamBatchInfo"]["batchSize"], 3);
}

#[tokio::test]
async fn a_later_process_goes_on_where_the_last_batch_ended() {
    let bench = Bench::new().await;
    bench.puts(0..3).await;
    let (functions, mut called) = Bench::function(all_well());
    let streams = bench.streams(functions, bench.mapping());
    next(&mut called).await;
    streams.end(PATIENCE).await;
    // The second dies in the middle of a batch: it is stopped at a failure, and nothing of that batch is done with.
    bench.puts(3..6).await;
    let (functions, mut called) = Bench::function(Box::new(|_| None));
    let mapping = StreamMapping { retry_pause: Duration::from_secs(60), ..bench.mapping() };
    let streams = bench.streams(functions, mapping);
    assert_eq!(next(&mut called).await.join(" "), "3 4 5");
    streams.end(PATIENCE).await;

    let (functions, mut called) = Bench::function(all_well());
    let streams = bench.streams(functions, bench.mapping());
    assert_eq!(next(&mut called).await.join(" "), "3 4 5");
    streams.end(PATIENCE).await;
    assert_eq!(bench.given_up(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_place_that_the_stream_has_no_more_goes_on_at_its_oldest_record() {
    let bench = Bench::new().await;
    bench.puts(0..3).await;
    let (functions, mut called) = Bench::function(all_well());
    let streams = bench.streams(functions, bench.mapping());
    next(&mut called).await;
    streams.end(PATIENCE).await;
    bench.engine.trim_all_streams().unwrap();
    bench.puts(3..5).await;
    let (functions, mut called) = Bench::function(all_well());
    let streams = bench.streams(functions.clone(), bench.mapping());
    assert_eq!(next(&mut called).await.join(" "), "3 4");
    streams.end(PATIENCE).await;

    // The table is made anew: its stream has another ARN, and the place kept says nothing of it.
    bench.dynamodb.delete_table().table_name(TABLE).send().await.unwrap();
    // The engine leaves them where they are; AWS does not.
    bench.engine.trim_all_streams().unwrap();
    bench.make_table().await;
    bench.puts(7..9).await;
    let streams = bench.streams(functions, bench.mapping());
    assert_eq!(next(&mut called).await.join(" "), "7 8");
    streams.end(PATIENCE).await;
    let file = bench.folder.path().join("streams.json");

    // Kept by an engine that counted otherwise: the stream does not know what to make of it.
    for junk in ["7", "not a number but long enough"] {
        let mut kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        kept["Outbox -> publisher"]["sequence-number"] = json!(junk);
        std::fs::write(&file, kept.to_string()).unwrap();
        let (functions, mut called) = Bench::function(all_well());
        let streams = bench.streams(functions, bench.mapping());
        assert_eq!(next(&mut called).await.join(" "), "7 8", "{junk}");
        streams.end(PATIENCE).await;
    }
    for damage in ["", "{\"Outbox -> publisher\":{}}", "[]"] {
        std::fs::write(&file, damage).unwrap();
        let error = Places::open(file.clone()).unwrap_err().to_string();
        assert!(error.contains("streams.json is damaged"), "{error}");
    }
}

#[tokio::test]
async fn a_table_that_comes_later_is_followed_from_its_first_record() {
    let bench = Bench::new().await;
    bench.dynamodb.delete_table().table_name(TABLE).send().await.unwrap();
    let (functions, mut called) = Bench::function(all_well());
    let streams = bench.streams(functions, bench.mapping());
    bench.make_table().await;
    bench.puts(0..1).await;
    assert_eq!(next(&mut called).await, ["0"]);
    streams.end(PATIENCE).await;
}

#[tokio::test]
async fn no_call_is_larger_than_lambda_takes() {
    let bench = Bench::new().await;
    let large = "x".repeat(300_000);
    for n in 0..25 {
        bench.put(&n.to_string(), "due", &large).await;
    }
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let (functions, mut called) = Bench::function({
        let sizes = Arc::clone(&sizes);
        Box::new(move |pks| {
            sizes.lock().unwrap().push(pks.len());
            Some(Vec::new())
        })
    });
    let streams = bench.streams(functions, bench.mapping());
    let mut seen = 0;
    while seen < 25 {
        seen += next(&mut called).await.len();
    }
    streams.end(PATIENCE).await;
    assert_eq!(*sizes.lock().unwrap(), [20, 5]);
}

#[tokio::test]
async fn a_write_is_seen_at_once_and_not_by_the_next_question() {
    let bench = Bench::new().await;
    let (functions, mut called) = Bench::function(all_well());
    // Nobody waits for the next question that no write asks for.
    let streams =
        bench.streams(functions, StreamMapping { idle: Duration::from_secs(3600), ..bench.mapping() });
    let twenty = async {
        for n in 0..20 {
            bench.put(&n.to_string(), "due", "").await;
            assert_eq!(next(&mut called).await, [n.to_string()]);
        }
    };
    tokio::time::timeout(Duration::from_secs(15), twenty).await.expect("each within some milliseconds");
    streams.end(PATIENCE).await;
}

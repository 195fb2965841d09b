//! The real binaries, as Lambda runs them: real event JSON over the Runtime API.
//!
//! `QUEUELINK_BOOTSTRAPS` names a folder of other binaries (the release ones) to try instead of this build's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::counting::{Calls, proxy};
use crate::support::house::TestHouse;
use crate::support::recorder::Recorder;
use crate::support::runtime_api::Function;

fn binary(name: &str) -> PathBuf {
    #[allow(clippy::disallowed_methods, reason = "the release lane says by it which binaries to try")]
    match std::env::var_os("QUEUELINK_BOOTSTRAPS") {
        Some(folder) => PathBuf::from(folder).join(name),
        None => PathBuf::from(match name {
            "publish" => env!("CARGO_BIN_EXE_it-publish"),
            "queue-admin" => env!("CARGO_BIN_EXE_it-queue-admin"),
            "sqs-worker" => env!("CARGO_BIN_EXE_it-sqs-worker"),
            "msk-worker" => env!("CARGO_BIN_EXE_it-msk-worker"),
            "mq-worker" => env!("CARGO_BIN_EXE_it-mq-worker"),
            "job-worker" => env!("CARGO_BIN_EXE_it-job-worker"),
            "outbox-publisher" => env!("CARGO_BIN_EXE_it-outbox-publisher"),
            "outbox-sweeper" => env!("CARGO_BIN_EXE_it-outbox-sweeper"),
            "zstorage-read" => env!("CARGO_BIN_EXE_it-zstorage-read"),
            "zstorage-schema" => env!("CARGO_BIN_EXE_it-zstorage-schema"),
            "zstorage-write" => env!("CARGO_BIN_EXE_it-zstorage-write"),
            other => panic!("no function is called {other}"),
        }),
    }
}

/// The environment that template.yaml gives, pointed at the house's engines through counting proxies.
async fn environment(house: &TestHouse, calls: &Calls) -> Vec<(&'static str, String)> {
    let mut variables = house.function_environment();
    for (name, value) in &mut variables {
        if name.starts_with("AWS_ENDPOINT_URL_") {
            *value = proxy(value, calls).await;
        }
    }
    variables
}

/// `tests/events/<name>.json`, with its placeholders filled in.
pub(crate) fn event(name: &str, fill: &[(&str, &str)]) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(format!("{name}.json"));
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (placeholder, value) in fill {
        text = text.replace(placeholder, value);
    }
    assert!(!text.contains("\"@") && !text.contains(" @"), "{name} has a placeholder left");
    serde_json::from_str(&text).unwrap()
}

/// How one item of a table is read.
const LOOK: &str = "DynamoDB_20120810.GetItem";

/// Whether the last two cost exactly these calls, so that what is cached was used.
fn ends_with_two(costs: &[Vec<String>], calls: &[&str]) -> bool {
    costs.len() >= 2 && costs[costs.len() - 2..].iter().all(|cost| cost == calls)
}

fn body_of(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or(Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_publish_costs_exactly_one_aws_call() {
    let house = TestHouse::start().await;
    let queue = house.queue(json!({"name": "warm", "worker": "none"})).await;
    let calls = Calls::default();
    let environment = environment(&house, &calls).await;
    let mut publish = Function::start("publish", &binary("publish"), &environment).await;
    let key = [("@KEY@", house.admin_key.as_str())];
    let (mut costs, began) = (Vec::new(), Instant::now());
    while !ends_with_two(&costs, &["AmazonSQS.SendMessage"]) {
        assert!(costs.len() < 20, "it never costs one call alone: {costs:?}");
        let answer = publish.invoke(event("publish-by-name", &key)).await.unwrap();
        assert_eq!(answer["statusCode"], 200, "{answer}");
        assert_eq!(body_of(&answer)["queue-id"], queue.id.as_str());
        costs.push(calls.take());
    }
    // A queue is read anew after 10 s, a key after 60 s: on a machine that needs so long for these few, between them.
    let (looks, others): (Vec<&String>, Vec<&String>) =
        costs[1..].iter().flatten().partition(|call| *call == LOOK);
    assert_eq!(others, vec!["AmazonSQS.SendMessage"; costs.len() - 1], "{costs:?}");
    let secs = began.elapsed().as_secs() as usize;
    assert!(looks.len() <= secs / 10 + secs / 60, "{costs:?} in {secs} s");
    drop(publish);
    assert_eq!(house.depth(&queue).await, costs.len() as u64);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_answers_the_events_of_an_http_api() {
    let house = TestHouse::start().await;
    let queue = house.queue(json!({"name": "warm", "worker": "none"})).await;
    let environment = environment(&house, &Calls::default()).await;
    let mut publish = Function::start("publish", &binary("publish"), &environment).await;
    for (name, status) in
        [("publish-base64", 200), ("publish-not-json", 400), ("publish-without-key", 401), ("nowhere", 404)]
    {
        let answer = publish.invoke(event(name, &[("@KEY@", &house.admin_key)])).await.unwrap();
        assert_eq!(answer["statusCode"], status, "{name}: {answer}");
    }
    drop(publish);
    let message = house.receive_one(&queue).await;
    assert!(message.body().unwrap().starts_with("{\"handler\""), "base64 was undone: {message:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_admin_answers_the_events_of_an_http_api() {
    let house = TestHouse::start().await;
    let environment = environment(&house, &Calls::default()).await;
    let mut admin = Function::start("queue-admin", &binary("queue-admin"), &environment).await;
    for (name, status) in [("health", 200), ("list-queues", 200), ("nowhere", 404), ("publish-by-name", 404)]
    {
        let answer = admin.invoke(event(name, &[("@KEY@", &house.admin_key)])).await.unwrap();
        assert_eq!(answer["statusCode"], status, "{name}: {answer}");
    }
    drop(admin);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_worker_names_the_failed_messages_and_no_other() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    let plain = house.paused_queue(json!({"name": "lambda"})).await;
    let fifo = house.paused_queue(json!({"name": "ordered", "fifo": true})).await;
    let calls = Calls::default();
    let environment = environment(&house, &calls).await;
    let mut worker = Function::start("sqs-worker", &binary("sqs-worker"), &environment).await;
    let fill = |arn| [("@ARN@", arn), ("@RECORDER@", recorder.url.as_str())];
    for (name, arn, failed) in [
        ("batch-of-ten", &plain.arn, &[][..]),
        ("batch-two-of-ten-fail", &plain.arn, &["02", "05"]),
        ("batch-with-our-ids", &plain.arn, &[]),
        ("batch-fifo-groups", &fifo.arn, &["01", "02"]),
        ("batch-one-record-without-body", &plain.arn, &["01"]),
    ] {
        let answer = worker.invoke(event(name, &fill(arn))).await.unwrap();
        let found: Vec<String> = answer["batchItemFailures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|failure| {
                failure["itemIdentifier"].as_str().unwrap().replace("059f36b4-87a3-44ab-83d2-6619759700", "")
            })
            .collect();
        assert_eq!(found, failed, "{name}: {answer}");
    }
    // Lambda must be told that the whole batch failed: this record has no name to put into an answer.
    worker.invoke(event("batch-record-without-id", &fill(&plain.arn))).await.unwrap_err();
    calls.take();
    let (mut costs, began) = (Vec::new(), Instant::now());
    while !ends_with_two(&costs, &[]) {
        assert!(costs.len() < 20, "a warm batch that succeeds costs no AWS call at all: {costs:?}");
        worker.invoke(event("batch-of-ten", &fill(&plain.arn))).await.unwrap();
        costs.push(calls.take());
    }
    // One look at what is released in 5 s, whatever the number of batches, and one at the queue in 10 s.
    let (looks, others): (Vec<&String>, Vec<&String>) =
        costs.iter().flatten().partition(|call| *call == LOOK);
    assert!(others.is_empty(), "{costs:?}");
    let secs = began.elapsed().as_secs() as usize;
    assert!(looks.len() <= 2 + secs / 5 + secs / 10, "{costs:?} in {secs} s");
    worker.invoke(event("batch-two-of-ten-fail", &fill(&plain.arn))).await.unwrap();
    let seen = calls.take();
    let visibility = seen.iter().filter(|call| *call == "AmazonSQS.ChangeMessageVisibilityBatch").count();
    assert_eq!(visibility, 1, "one call for the whole batch: {seen:?}");
    drop(worker);
    house.stop().await;
}

/// Two of ten fail, which go to the retry queue, so that the batch is done; a record that no queue can be found for stays.
#[tokio::test(flavor = "multi_thread")]
async fn the_workers_of_brokers_answer_the_events_of_their_mappings() {
    // Nobody listens there: a worker is given its records, it does not fetch them.
    let amqp = Some(domain::Secret::new("amqp://queuelink:secret@127.0.0.1:1"));
    let house = TestHouse::start_with(|options| options.brokers.amqp = amqp).await;
    for queue in [
        json!({"name": "orders", "type": "kafka"}),
        json!({"name": "rabbits", "type": "rabbitmq"}),
        json!({"name": "elsewhere", "type": "kafka", "url": "127.0.0.1:1", "worker": "none"}),
    ] {
        let answer = house.post("queue", &queue).await;
        assert_eq!(answer.status, 201, "{queue}: {}", answer.body);
    }
    let handlers = tempfile::tempdir().unwrap();
    for (name, does) in [("ack", "context.runtime.AckMessage()"), ("throw", "error('boom')")] {
        let source = format!("return function(context) {does} end");
        std::fs::write(handlers.path().join(format!("{name}.luau")), source).unwrap();
    }
    let calls = Calls::default();
    let mut environment = environment(&house, &calls).await;
    environment.retain(|(name, _)| *name != "HANDLERS_DIR");
    environment.push(("HANDLERS_DIR", handlers.path().display().to_string()));
    environment.push(("REPORT_BATCH_ITEM_FAILURES", "true".to_owned()));
    let mut kafka = Function::start("msk-worker", &binary("msk-worker"), &environment).await;
    let mut rabbitmq = Function::start("mq-worker", &binary("mq-worker"), &environment).await;
    let put_off = || calls.take().iter().filter(|call| *call == "AmazonSQS.SendMessage").count();

    let two_fail = event("kafka-two-of-ten-fail", &[]);
    assert_eq!(kafka.invoke(two_fail.clone()).await.unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(put_off(), 2);
    for name in ["nowhere", "elsewhere", "rabbits"] {
        let not_ours = two_fail.to_string().replace("\"orders", &format!("\"{name}"));
        let stay = kafka.invoke(serde_json::from_str(&not_ours).unwrap()).await.unwrap();
        let first = json!({"itemIdentifier": {"partition": format!("{name}-0"), "offset": 100}});
        let failures = stay["batchItemFailures"].as_array().unwrap();
        assert_eq!((failures.len(), &failures[0]), (10, &first), "{name}");
        assert_eq!(put_off(), 0, "{name}");
    }

    let two_fail = event("rabbitmq-two-of-ten-fail", &[]).to_string();
    let of_queue =
        |name: &str| serde_json::from_str(&two_fail.replace("\"orders::", &format!("\"{name}::"))).unwrap();
    rabbitmq.invoke(of_queue("rabbits")).await.unwrap();
    assert_eq!(put_off(), 2);
    rabbitmq.invoke(of_queue("nowhere")).await.unwrap_err();
    assert_eq!(put_off(), 0);
    drop((kafka, rabbitmq));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_records_answer_the_events_of_an_http_api_and_jobs_those_of_a_queue() {
    let house = TestHouse::start().await;
    let environment = environment(&house, &Calls::default()).await;
    let mut schema = Function::start("zstorage-schema", &binary("zstorage-schema"), &environment).await;
    let mut write = Function::start("zstorage-write", &binary("zstorage-write"), &environment).await;
    let mut read = Function::start("zstorage-read", &binary("zstorage-read"), &environment).await;
    let mut jobs = Function::start("job-worker", &binary("job-worker"), &environment).await;
    let ask = |method: &str, path: &str, body: Value| {
        let path = format!("/api/v1/zstorage/{path}");
        let mut event = event("list-queues", &[("@KEY@", &house.admin_key)]);
        event["rawPath"] = json!(path);
        event["requestContext"]["http"]["path"] = json!(path);
        event["requestContext"]["http"]["method"] = json!(method);
        event["body"] = json!(body.to_string());
        event
    };
    let table = json!({"apiName": "T", "fields": [{"apiName": "n", "type": "integer"}]});
    let answer = schema.invoke(ask("POST", "table", table)).await.unwrap();
    assert_eq!(answer["statusCode"], 201, "{answer}");
    let record = json!({"apiName": "T", "fields": {"n": 7}});
    let made = write.invoke(ask("POST", "record/new", record)).await.unwrap();
    assert_eq!(made["statusCode"], 201, "{made}");
    let id = body_of(&made)["id"].as_str().unwrap().to_owned();
    let got = read.invoke(ask("GET", &format!("record/{id}"), Value::Null)).await.unwrap();
    assert_eq!((&got["statusCode"], &body_of(&got)["fields"]["n"]), (&json!(200), &json!(7)), "{got}");
    let refused = read.invoke(ask("POST", "record/new", json!({}))).await.unwrap();
    assert_eq!(refused["statusCode"], 405, "what reads serves no writes: {refused}");
    let nothing = json!({"Records": [{"messageId": "m", "body": "{}"}]});
    assert_eq!(jobs.invoke(nothing).await.unwrap(), json!({"batchItemFailures": []}));
    drop((schema, write, read, jobs));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_answers_the_events_of_its_stream_and_those_of_a_schedule() {
    let house = TestHouse::start().await;
    let queue = house.queue(json!({"name": "events", "worker": "none"})).await;
    let environment = environment(&house, &Calls::default()).await;
    let mut publisher = Function::start("outbox-publisher", &binary("outbox-publisher"), &environment).await;
    let mut sweeper = Function::start("outbox-sweeper", &binary("outbox-sweeper"), &environment).await;
    let now = jiff::Timestamp::now();
    let (at, ms) = (now.to_string(), now.as_millisecond().to_string());
    let due = (now.as_millisecond() + 60_000).to_string();
    let fill =
        [("@QUEUE@", queue.id.as_str()), ("@NOW@", at.as_str()), ("@NOW-MS@", &ms), ("@DUE-MS@", &due)];
    for name in [
        "stream-insert-due",
        "stream-insert-in-parts",
        "stream-insert-held",
        "stream-modify-and-remove",
        "stream-malformed-image",
        "stream-unknown-version",
    ] {
        let answer = publisher.invoke(event(name, &fill)).await.unwrap();
        assert_eq!(answer, json!({"batchItemFailures": []}), "{name}");
    }
    // What lies in parts is read from its row, and there is none.
    assert_eq!(house.depth(&queue).await, 7);
    publisher.invoke(event("stream-record-without-number", &fill)).await.unwrap_err();
    assert_eq!(house.depth(&queue).await, 7);

    let entry = come(queue.id.parse().unwrap(), now);
    outbox(&house).schedule(&entry).await.unwrap();
    let report = sweeper.invoke(event("every-minute", &[])).await.unwrap();
    assert_eq!((&report["left"], &report["postponed"]), (&json!(0), &json!(0)), "{report}");
    assert_eq!(report["standing"], json!({"lag-secs": 0, "due": 0, "held": 0, "scheduled": 0, "parked": 0}));
    assert_eq!(house.depth(&queue).await, 8);
    drop((publisher, sweeper));
    house.stop().await;
}

/// The house's outbox, as its functions know it.
fn outbox(house: &TestHouse) -> zstorage::Outbox {
    let environment = house.function_environment();
    let (_, endpoint) = environment.iter().find(|(name, _)| *name == "AWS_ENDPOINT_URL_DYNAMODB").unwrap();
    let client = crate::support::clients::dynamodb(endpoint);
    zstorage::Outbox::new(client, "local-Outbox".to_owned(), domain::Clock::system())
}

/// A message whose date has come.
fn come(queue: domain::QueueId, now: jiff::Timestamp) -> domain::OutboxEntry {
    let message_id = domain::MessageId::new(now, &mut rand::rng());
    domain::OutboxEntry {
        key: domain::EntryKey::Scheduled(message_id),
        message_id,
        queue,
        body: "{}".to_owned(),
        ordering_key: None,
        ordered: false,
        origin: None,
        round: 0,
        notes: Vec::new(),
        state: domain::EntryState::Scheduled,
        failures: 0,
        lease: 0,
        committed_at: now,
        next_attempt_at: Some(now),
        reason: None,
        engine_id: None,
    }
}

#[test]
fn a_function_that_cannot_start_says_why_in_one_plain_sentence() {
    let check = |name: &str, environment: &[(&str, &str)], said: &[&str]| {
        let output =
            Command::new(binary(name)).env_clear().envs(environment.iter().copied()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {told}");
        assert_eq!(told.lines().count(), 1, "{name}: {told}");
        assert!(told.starts_with(said[0]), "{name}: {told}");
        for part in said {
            assert!(told.contains(part), "{name} does not say {part}: {told}");
        }
        assert!(!told.contains("top-secret"), "{name} tells a secret: {told}");
    };
    let missing = "the environment is not complete: ";
    let half = [("AWS_REGION", "eu-west-1")];
    check("publish", &half, &[missing, "ACCOUNT_ID", "CATALOG_TABLE", "OUTBOX_TABLE", "KMS_KEY_ID"]);
    check("queue-admin", &half, &[missing, "OUTBOX_TABLE", "WORKER_FUNCTION", "STACK_NAME", "KMS_KEY_ID"]);
    check("sqs-worker", &half, &[missing, "CATALOG_TABLE", "MESSAGES_TABLE", "HANDLERS_DIR"]);
    check("msk-worker", &half, &[missing, "CATALOG_TABLE", "HANDLERS_DIR", "RECORDS_TABLE", "RETRY_QUEUE"]);
    check("mq-worker", &half, &[missing, "CATALOG_TABLE", "HANDLERS_DIR", "RECORDS_TABLE", "RETRY_QUEUE"]);
    check("zstorage-schema", &half, &[missing, "CATALOG_TABLE", "RECORDS_TABLE", "JOBS_QUEUE", "KMS_KEY_ID"]);
    check("zstorage-write", &half, &[missing, "CATALOG_TABLE", "RECORDS_TABLE", "KMS_KEY_ID"]);
    check("zstorage-read", &half, &[missing, "CATALOG_TABLE", "RECORDS_TABLE", "KMS_KEY_ID"]);
    check("job-worker", &half, &[missing, "MESSAGES_TABLE", "RECORDS_TABLE", "JOBS_QUEUE", "KMS_KEY_ID"]);
    check(
        "outbox-publisher",
        &half,
        &[missing, "CATALOG_TABLE", "OUTBOX_TABLE", "RECORDS_TABLE", "KMS_KEY_ID"],
    );
    check("outbox-sweeper", &half, &[missing, "OUTBOX_TABLE", "RECORDS_TABLE", "STACK_NAME", "KMS_KEY_ID"]);
    let brokers = [("KAFKA_LOGIN", "me"), ("RABBITMQ_URL", "amqps://queuelink:top-secret@")];
    check("publish", &brokers, &[missing, "KAFKA_LOGIN must be", "RABBITMQ_URL is wrong"]);
    check("publish", &[("LOG_LEVEL", "loud")], &["LOG_LEVEL is wrong: say error, warn"]);
    let whole = [
        ("AWS_REGION", "eu-west-1"),
        ("ACCOUNT_ID", "000000000000"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("CATALOG_TABLE", "catalog"),
        ("MESSAGES_TABLE", "messages"),
        ("OUTBOX_TABLE", "outbox"),
        ("KEY_FILE", "/no/such/file"),
    ];
    check("publish", &whole, &["the key file /no/such/file", ": No such file or directory"]);
}

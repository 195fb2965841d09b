//! The real binaries, as Lambda runs them: real event JSON over the Runtime API.
//!
//! `QUEUELINK_BOOTSTRAPS` names a folder of other binaries (the release ones) to try instead of this build's own.

use std::path::PathBuf;

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

/// An HTTP API event (payload format 2.0) as API Gateway sends it.
fn http_event(method: &str, path: &str, key: &str, body: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": format!("{method} {path}"), "rawPath": path, "rawQueryString": "",
        "headers": {"authorization": format!("Bearer {key}"), "content-type": "application/json", "host": "api.example.com"},
        "requestContext": {
            "accountId": "000000000000", "apiId": "api", "domainName": "api.example.com", "domainPrefix": "api",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"},
            "requestId": "JKJaXmPLvHcESHA=", "routeKey": format!("{method} {path}"), "stage": "$default",
            "time": "21/Nov/2026:10:00:00 +0000", "timiEpoch": 0, "timeEpoch": 1_795_255_200_000_u64
        },
        "body": body, "isBase64Encoded": false
    })
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
    let path = "/api/v1/zstorage/queue/a/warm/publish";
    for turn in 0..4 {
        let answer = publish.invoke(http_event("POST", path, &house.admin_key, "{\"n\":1}")).await.unwrap();
        assert_eq!(answer["statusCode"], 200, "{answer}");
        let body = body_of(&answer);
        assert_eq!(body["queue-id"], queue.id.as_str());
        let seen = calls.take();
        if turn > 0 {
            assert_eq!(seen, ["AmazonSQS.SendMessage"], "turn {turn}");
        }
    }
    assert_eq!(house.depth(&queue).await, 4);
    let answer = publish.invoke(http_event("POST", path, "ql_wrong", "{}")).await.unwrap();
    assert_eq!(answer["statusCode"], 401, "{answer}");
    drop(publish);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_admin_answers_health_and_a_problem_for_what_is_nowhere() {
    let house = TestHouse::start().await;
    let environment = environment(&house, &Calls::default()).await;
    let mut admin = Function::start("queue-admin", &binary("queue-admin"), &environment).await;
    let answer = admin.invoke(http_event("GET", "/api/v1/zstorage/health", "", "")).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let answer = admin.invoke(http_event("GET", "/nowhere", &house.admin_key, "")).await.unwrap();
    assert_eq!(answer["statusCode"], 404, "{answer}");
    let answer =
        admin.invoke(http_event("GET", "/api/v1/zstorage/queue", &house.admin_key, "")).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    drop(admin);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_worker_names_the_failed_messages_and_no_other() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    let queue = house.paused_queue(json!({"name": "lambda"})).await;
    let calls = Calls::default();
    let environment = environment(&house, &calls).await;
    let mut worker = Function::start("sqs-worker", &binary("sqs-worker"), &environment).await;
    let record = |n: usize, body: Value| {
        json!({
            "messageId": format!("059f36b4-87a3-44ab-83d2-66197597000{n}"), "receiptHandle": format!("handle-{n}"), "body": body.to_string(),
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1795255200000", "SenderId": "AIDAIENQZJOLO23YVJ4VO", "ApproximateFirstReceiveTimestamp": "1795255200001"},
            "messageAttributes": {}, "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs",
            "eventSourceARN": queue.arn, "awsRegion": "us-east-1"
        })
    };
    let done = |n: usize| json!({"handler": "done", "recorder": recorder.url, "name": n.to_string()});
    let fail = |n: usize| json!({"handler": "fail", "recorder": recorder.url, "name": n.to_string(), "how": "throw"});
    let answer = worker
        .invoke(json!({"Records": (0..10).map(|n| record(n, done(n))).collect::<Vec<_>>()}))
        .await
        .unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    calls.take();
    let answer = worker
        .invoke(json!({"Records": (0..10).map(|n| record(n, done(n))).collect::<Vec<_>>()}))
        .await
        .unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert_eq!(calls.take(), Vec::<String>::new(), "a warm batch that succeeds costs no AWS call at all");
    let records =
        (0..10).map(|n| record(n, if n == 2 || n == 5 { fail(n) } else { done(n) })).collect::<Vec<_>>();
    let answer = worker.invoke(json!({"Records": records})).await.unwrap();
    let failed: Vec<&str> = answer["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["itemIdentifier"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["059f36b4-87a3-44ab-83d2-661975970002", "059f36b4-87a3-44ab-83d2-661975970005"]);
    let seen = calls.take();
    let visibility = seen.iter().filter(|call| *call == "AmazonSQS.ChangeMessageVisibilityBatch").count();
    assert_eq!(visibility, 1, "one call for the whole batch: {seen:?}");
    drop(worker);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_with_half_its_environment_says_everything_that_is_missing() {
    let mut publish =
        Function::start("publish", &binary("publish"), &[("AWS_REGION", "eu-west-1".to_owned())]).await;
    assert_ne!(publish.exit_code().await, Some(0));
}

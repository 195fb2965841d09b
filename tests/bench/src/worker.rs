//! Messages per second through the whole house: published over HTTP, received in tens, handled, deleted.

use std::time::{Duration, Instant};

use queuelink::engines::dynamodb::Durability;
use queuelink::{House, Options};
use serde_json::{Value, json};

const MESSAGES: usize = 5000;

/// Fills a paused queue with batches of a hundred, then lets the worker at it.
pub(crate) async fn measure() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder for the house");
    let handlers = folder.path().join("handlers/bench");
    std::fs::create_dir_all(&handlers).expect("a folder for the handler");
    let handler = "return function(context) context.runtime.AckMessage() end";
    std::fs::write(handlers.join("tiny.luau"), handler).expect("a handler");
    let house = House::start(Options {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: folder.path().join("data"),
        handlers_dir: folder.path().join("handlers"),
        sandbox_program: std::env::current_exe().expect("this program has a path"),
        samples: false,
        durability: Durability::Fast,
        clock: domain::Clock::system(),
        sweep_every: std::time::Duration::from_secs(60),
        brokers: queuelink::BrokerOptions::default(),
    })
    .await
    .expect("the house starts");
    let client = reqwest::Client::new();
    let call = async |method: &str, path: &str, body: Value| -> Value {
        let url = format!("{}/api/v1/zstorage/{path}", house.api());
        let request =
            client.request(method.parse().expect("a method"), url).bearer_auth(house.admin_key().expose());
        let answer = request.body(body.to_string()).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or(Value::Null)
    };
    let queue = call("POST", "queue", json!({"name": "bench", "type": "sqs"})).await;
    let id = queue["id"].as_str().expect("an id").to_owned();
    call("POST", &format!("queue/{id}/pause"), json!({})).await;
    tokio::time::sleep(Duration::from_secs(3)).await;

    let begun = Instant::now();
    for _ in 0..MESSAGES / 100 {
        let messages: Vec<Value> =
            (0..100).map(|n| json!({"payload": {"handler": "tiny", "n": n}})).collect();
        call("POST", "queue/a/bench/publish/batch", json!({"messages": messages})).await;
    }
    println!(
        "published in batches of 100: {:.0} messages per second",
        MESSAGES as f64 / begun.elapsed().as_secs_f64()
    );

    call("POST", &format!("queue/{id}/resume"), json!({})).await;
    let begun = Instant::now();
    loop {
        let health = call("GET", &format!("queue/{id}"), json!({})).await["health"].clone();
        if health["visible"] == 0 && health["in-flight"] == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!(
        "handled in batches of ten: {:.0} messages per second",
        MESSAGES as f64 / begun.elapsed().as_secs_f64()
    );
    house.stop().await;
}

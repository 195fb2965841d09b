//! The brokers of a house, as one sees them at the terminal.

use std::path::Path;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::house::Client;
use crate::runner::{Runner, command};

/// A queue of the embedded Kafka whose messages become mails.
async fn mails_by_kafka(client: &Client) {
    let queue = json!({"name": "mails", "type": "kafka", "default-handler": "send_email"});
    let (status, answer) = client.call(Method::POST, "/queue", Some(queue)).await;
    assert_eq!(status, 201, "{answer}");
    assert!(answer["note"].as_str().unwrap().starts_with("in memory"), "{answer}");
}

async fn mail(client: &Client, subject: &str) {
    let body = json!({"to": "ana@example.com", "subject": subject, "contents": "olá"});
    let (status, answer) = client.call(Method::POST, "/queue/a/mails/publish", Some(body)).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["kafka-id"].as_str().unwrap().starts_with("mails-"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_kafka_is_named_at_every_start_and_a_later_one_makes_its_topics_anew() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let said = "Kafka is embedded at 127.0.0.1:";
    let first = Runner::start(&data, &["--no-samples"]);
    assert!(first.greeting.contains(said) && first.greeting.contains("in memory"), "{}", first.greeting);
    let client = Client::of(&first);
    mails_by_kafka(&client).await;
    mail(&client, "first").await;
    first.mails(1);
    first.kill();

    let second = Runner::start(&data, &[]);
    assert!(second.greeting.contains(said), "{}", second.greeting);
    mail(&Client::of(&second), "second").await;
    let mails = second.mails(2);
    assert!(mails.iter().any(|mail| mail.contains("Subject: second\r\n")), "{mails:?}");
    let (status, _) = second.interrupt();
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_a_broker_that_is_not_there_stands_nowhere() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    // Taken and let go again: nobody listens there.
    let deserted = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (amqp, kafka) = (format!("amqp://ada:s3cret-word@{deserted}/shop"), deserted.to_string());
    let arguments = ["--no-samples", "--kafka", &kafka, "--amqp", &amqp];
    let mut runner = command(&data, &arguments);
    runner.env("LOG_LEVEL", "warn");
    let runner = Runner::start_by(runner, &data);
    let client = Client::of(&runner);
    assert!(runner.greeting.contains(&format!("amqp://{deserted}/shop")), "{}", runner.greeting);
    assert!(!runner.greeting.contains("embedded"), "{}", runner.greeting);
    let mut seen = runner.greeting.clone();
    for kind in ["rabbitmq", "kafka"] {
        let (status, answer) =
            client.call(Method::POST, "/queue", Some(json!({"name": kind, "type": kind}))).await;
        assert_eq!(status, 201, "{answer}");
        seen += &answer.to_string();
        let path = format!("/queue/a/{kind}/publish");
        let (status, answer) = client.call(Method::POST, &path, Some(json!({"handler": "x"}))).await;
        assert_eq!(status, 503, "{answer}");
        seen += &answer.to_string();
    }
    let log = runner.log();
    assert!(log.contains("cannot receive from this"), "{log}");
    seen += &log;
    assert!(!seen.contains("s3cret-word"), "{seen}");
    search(&data, b"s3cret-word");
}

/// Makes sure that `canary` stands in no file below `folder`.
fn search(folder: &Path, canary: &[u8]) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, canary);
        } else {
            let found = std::fs::read(&path).unwrap().windows(canary.len()).any(|window| window == canary);
            assert!(!found, "it stands in {}", path.display());
        }
    }
}

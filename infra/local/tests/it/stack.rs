//! The commands for a stack, against a house that answers in AWS's place: its control endpoint knows `local-queue-admin`.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::house::Client;
use crate::runner::Runner;

const GET: reqwest::Method = reqwest::Method::GET;
const POST: reqwest::Method = reqwest::Method::POST;

/// `queuelink` with what a person has: credentials, and the house's endpoints in place of AWS's own.
fn command(data: &Path, runner: &Runner, arguments: &[&str]) -> Command {
    let ports: Value = serde_json::from_slice(&std::fs::read(data.join("ports.json")).unwrap()).unwrap();
    let runtime = runner.runtime();
    let mut command = Command::new(env!("CARGO_BIN_EXE_queuelink"));
    command.env_clear().env("LOG_LEVEL", "error").args(arguments).stdin(Stdio::null());
    command.env("AWS_ACCESS_KEY_ID", "mine").env("AWS_SECRET_ACCESS_KEY", "secret");
    command.env("AWS_ENDPOINT_URL_LAMBDA", format!("http://127.0.0.1:{}", ports["control"]));
    for (service, name) in [("DYNAMODB", "dynamodb"), ("SQS", "sqs")] {
        command.env(format!("AWS_ENDPOINT_URL_{service}"), runtime[name].as_str().unwrap());
    }
    command
}

fn run(data: &Path, runner: &Runner, arguments: &[&str]) -> Output {
    command(data, runner, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard error of a run that must fail: one sentence.
fn refusal(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("queuelink: ") && said.trim_end().lines().count() == 1, "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_for_a_stack_opens_its_api_as_far_as_its_scopes_go() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let runner = Runner::start(&data, &[]);
    let admin = Client::of(&runner);
    let create = ["key", "create", "--stack", "local", "--region", "us-east-1"];

    let output = run(&data, &runner, &create);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("first key") && said.contains("may: *"), "{said}");
    let all = Client { key: text(&output.stdout).trim_end().to_owned(), ..Client::of(&runner) };
    assert!(all.key.starts_with("ql_") && !said.contains(&all.key), "{}", all.key);
    assert_eq!(all.queues().await.len(), 2);

    let narrow = ["--label", "reader", "--scope", "queue:read:on-boarding", "--scope", "key:read"];
    let output = run(&data, &runner, &[&create[..], &narrow].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let reader = Client { key: text(&output.stdout).trim_end().to_owned(), ..Client::of(&runner) };
    let (status, _) = reader.call(GET, "/queue/a/on-boarding", None).await;
    assert_eq!(status, 200);
    let (status, _) = reader.call(POST, "/queue/a/on-boarding/publish", Some(json!({}))).await;
    assert_eq!(status, 403);
    let (_, keys) = admin.call(GET, "/key", None).await;
    let labels: Vec<_> =
        keys["keys"].as_array().unwrap().iter().map(|key| key["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["admin of this machine", "first key", "reader"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_command_from_a_stack_is_one_sentence_that_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let runner = Runner::start(&data, &["--no-samples"]);
    let with = |arguments: &[&str]| command(&data, &runner, arguments);

    let mut poor = with(&["key", "create", "--stack", "local"]);
    poor.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let said = refusal(poor);
    for part in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "export-credentials", "--region"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = refusal(with(&["destroy", "--stack", "other", "--region", "us-east-1"]));
    assert!(said.contains("no function other-queue-admin in us-east-1"), "{said}");
    let mut nobody = with(&["key", "create", "--stack", "local", "--region", "us-east-1"]);
    nobody.env("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9");
    let said = refusal(nobody);
    assert!(said.contains("local-queue-admin could not be looked at in us-east-1"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn destroy_removes_what_the_api_made_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let runner = Runner::start(&data, &[]);
    let client = Client::of(&runner);
    client.sqs(&runner, "CreateQueue", json!({"QueueName": "local-theirs"})).await;
    let url = format!("{}/000000000000/local-theirs", runner.runtime()["sqs"].as_str().unwrap());
    for theirs in [
        json!({"name": "theirs", "type": "sqs", "url": url, "worker": "none"}),
        json!({"name": "a-topic", "type": "kafka", "url": "broker.example.com:9092"}),
        json!({"name": "an-own-topic", "type": "kafka"}),
    ] {
        let (status, answer) = client.call(POST, "/queue", Some(theirs)).await;
        assert_eq!(status, 201, "{answer}");
    }
    let (status, answer) =
        client.call(POST, "/queue/a/etx-event-log/publish", Some(json!({"still": "here"}))).await;
    assert_eq!(status, 200, "{answer}");
    let names = async || {
        let mut names: Vec<_> =
            client.queues().await.iter().map(|queue| queue["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let arguments = ["destroy", "--stack", "local", "--region", "us-east-1"];

    let asked = run(&data, &runner, &arguments);
    let (out, said) = (text(&asked.stdout), text(&asked.stderr));
    assert_eq!(asked.status.code(), Some(1), "{said}");
    assert!(said.contains("nothing was removed") && said.contains("--yes"), "{said}");
    assert!(
        out.contains("etx-event-log  arn:aws:sqs:us-east-1:000000000000:local-etx-event-log, 1 messages")
    );
    let stays = out.split("They stay").nth(1).unwrap();
    assert!(stays.contains("theirs  arn:") && !stays.contains("on-boarding"), "{out}");
    assert!(stays.contains("a-topic  Kafka topic at broker.example.com:9092"), "{out}");
    assert!(stays.contains("an-own-topic  Kafka topic on the installation's own"), "{out}");
    assert_eq!(names().await, ["a-topic", "an-own-topic", "etx-event-log", "on-boarding", "theirs"]);

    let done = run(&data, &runner, &[&arguments[..], &["--yes"]].concat());
    let out = text(&done.stdout);
    assert!(done.status.success(), "{out}{}", text(&done.stderr));
    assert!(out.contains("removed on-boarding") && out.contains("removed etx-event-log"), "{out}");
    assert_eq!(names().await, ["a-topic", "an-own-topic", "theirs"]);
    let left = client.sqs(&runner, "ListQueues", json!({})).await;
    // Those of the jobs and of retries are the stack's own, as on AWS: they go with the stack.
    let own = ["jobs", "jobs-dead", "retry", "retry-dead", "theirs"];
    let urls = own.map(|name| url.replace("local-theirs", &format!("local-{name}")));
    assert_eq!(left["QueueUrls"], json!(urls));
    let mappings: Value =
        serde_json::from_slice(&std::fs::read(data.join("mappings.json")).unwrap()).unwrap();
    let fed: Vec<&str> = mappings["mappings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mapping| mapping["function"].as_str().unwrap())
        .collect();
    assert_eq!(fed, ["job-worker", "sqs-worker"]);

    let again = run(&data, &runner, &arguments);
    assert!(again.status.success() && text(&again.stdout).contains("made no queues"), "{again:?}");
}

//! What a 2xx acknowledged survives kill -9: the real `cargo run` binary, killed by its pid and started again.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::house::handlers;
use crate::support::recorder::Recorder;

pub(crate) struct Process {
    child: Child,
    runtime: Value,
    client: reqwest::Client,
}

fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_it-queuelink"));
    command.arg("--data-dir").arg(data).arg("--handlers-dir").arg(handlers("probe")).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    pub(crate) async fn start(data: &Path) -> Process {
        let old = std::fs::metadata(data.join("runtime.json")).and_then(|m| m.modified()).ok();
        let child = command(data, &["--listen", "127.0.0.1:0", "--no-samples"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut process = Process { child, runtime: Value::Null, client: crate::support::http_client() };
        process.runtime = eventually("the house says where it is", 30, || {
            let file = data.join("runtime.json");
            let fresh = std::fs::metadata(&file).and_then(|m| m.modified()).ok() != old;
            let runtime =
                std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            async move { runtime.filter(|_| fresh) }
        })
        .await;
        eventually("the house answers", 30, || {
            let request = process.client.get(process.url("health")).send();
            async move { request.await.ok().filter(|answer| answer.status() == 200) }
        })
        .await;
        process
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/zstorage/{path}", self.runtime["api"].as_str().unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let key = self.runtime["admin-key"].as_str().unwrap();
        let request = self.client.post(self.url(path)).bearer_auth(key).body(body.to_string());
        let answer = request.send().await.unwrap();
        (
            answer.status().as_u16(),
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null),
        )
    }

    /// SIGKILL, by pid: no destructor, no flush, no farewell.
    pub(crate) fn kill_9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_handled_after_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(1).await;
    let first = Process::start(data.path()).await;
    let (status, answer) = first.post("queue", &json!({"name": "kept", "type": "sqs"})).await;
    assert_eq!(status, 201, "{answer}");
    let id = answer["id"].as_str().unwrap().to_owned();
    let (status, answer) = first.post(&format!("queue/{id}/pause"), &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    for n in 0..20 {
        let payload = json!({"handler": "done", "recorder": recorder.url, "name": n.to_string()});
        let (status, answer) = first.post("queue/a/kept/publish", &payload).await;
        assert_eq!(status, 200, "{answer}");
    }
    first.kill_9();

    let second = Process::start(data.path()).await;
    let (status, answer) = second.post(&format!("queue/{id}/resume"), &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    eventually("all twenty are handled", 60, async || {
        (0..20).all(|n| recorder.count(&format!("done/{n}")) >= 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_flight_at_the_kill_comes_back_after_its_visibility() {
    let data = tempfile::tempdir().unwrap();
    // Nobody else comes to this meeting: the handler is in the middle of its work when the kill strikes.
    let recorder = Recorder::start(2).await;
    let first = Process::start(data.path()).await;
    let (status, answer) = first.post("queue", &json!({"name": "cut", "type": "sqs"})).await;
    assert_eq!(status, 201, "{answer}");
    let payload = json!({"handler": "meet", "recorder": recorder.url, "name": "first"});
    let (status, answer) = first.post("queue/a/cut/publish", &payload).await;
    assert_eq!(status, 200, "{answer}");
    eventually("the message is in flight", 20, async || {
        let (_, list) = first.get("queue").await;
        (list["queues"][0]["health"]["in-flight"] == 1).then_some(())
    })
    .await;
    first.kill_9();

    let second = Process::start(data.path()).await;
    let payload = json!({"handler": "meet", "recorder": recorder.url, "name": "second"});
    let (status, answer) = second.post("queue/a/cut/publish", &payload).await;
    assert_eq!(status, 200, "{answer}");
    eventually("the cut message is handled again", 100, async || {
        (recorder.count("met/first") >= 1).then_some(())
    })
    .await;
}

impl Process {
    async fn get(&self, path: &str) -> (u16, Value) {
        let key = self.runtime["admin-key"].as_str().unwrap();
        let answer = self.client.get(self.url(path)).bearer_auth(key).send().await.unwrap();
        (
            answer.status().as_u16(),
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null),
        )
    }
}

#[test]
fn what_keeps_it_from_starting_is_said_in_one_sentence() {
    let check = |prepare: &dyn Fn(&Path), arguments: &[&str], expect: &str| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        prepare(&data);
        let output = command(&data, arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{expect}: it started");
        assert!(said.contains(expect), "{expect} in:\n{said}");
        assert!(!said.contains("panicked") && said.lines().count() <= 3, "{said}");
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(&|_| {}, &["--listen", &address], &address);
    check(&|data| std::fs::write(data, "a file").unwrap(), &["--listen", "127.0.0.1:0"], "data");
    check(&|_| {}, &["--listen", "nonsense"], "nonsense");
    for file in ["key", "dynamodb.sqlite", "sqs.sqlite", "mappings.json", "ports.json", "runtime.json"] {
        let damage = |data: &Path| {
            std::fs::create_dir_all(data).unwrap();
            if file != "key" {
                zstorage::Sealer::create_key_file(&data.join("key")).unwrap();
            }
            std::fs::write(data.join(file), "this is no such file, but it is long enough to be looked at")
                .unwrap();
        };
        check(&damage, &["--listen", "127.0.0.1:0"], file);
    }
}

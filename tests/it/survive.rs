//! What a 2xx acknowledged survives kill -9: the real `cargo run` binary, killed by its pid and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

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
        process.runtime = eventually("the house says where it is", 150, || {
            let file = data.join("runtime.json");
            let fresh = std::fs::metadata(&file).and_then(|m| m.modified()).ok() != old;
            let runtime =
                std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            async move { runtime.filter(|_| fresh) }
        })
        .await;
        eventually("the house answers", 150, || {
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
        self.try_post(path, body).await.unwrap()
    }

    /// As [`Process::post`]; an error is a connection that ended, as it does when the house is killed.
    async fn try_post(&self, path: &str, body: &Value) -> Result<(u16, Value), reqwest::Error> {
        let key = self.runtime["admin-key"].as_str().unwrap();
        let request = self.client.post(self.url(path)).bearer_auth(key).body(body.to_string());
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or(Value::Null)))
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
    eventually("the mapping is paused", 150, async || {
        let (_, queue) = first.get(&format!("queue/{id}")).await;
        queue.to_string().contains("disabled").then_some(())
    })
    .await;
    for n in 0..20 {
        let payload = json!({"handler": "done", "recorder": recorder.url, "name": n.to_string()});
        let (status, answer) = first.post("queue/a/kept/publish", &payload).await;
        assert_eq!(status, 200, "{answer}");
    }
    first.kill_9();

    let second = Process::start(data.path()).await;
    let (status, answer) = second.post(&format!("queue/{id}/resume"), &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    eventually("all twenty are handled", 150, async || {
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
    eventually("the message is in flight", 150, async || {
        let (_, list) = first.get("queue").await;
        (list["queues"][0]["health"]["in-flight"] == 1).then_some(())
    })
    .await;
    first.kill_9();

    let second = Process::start(data.path()).await;
    let payload = json!({"handler": "meet", "recorder": recorder.url, "name": "second"});
    let (status, answer) = second.post("queue/a/cut/publish", &payload).await;
    assert_eq!(status, 200, "{answer}");
    eventually("the cut message is handled again", 150, async || {
        (recorder.count("met/first") >= 1).then_some(())
    })
    .await;
}

/// Killed while eight callers create records: every record that was acknowledged is there, whole, and its unique value is
/// taken; a value whose create got no answer is either taken by a record that can be read, or free.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_were_acknowledged_survive_a_kill_among_writes() {
    let data = tempfile::tempdir().unwrap();
    let mut first = Process::start(data.path()).await;
    let fields = json!([
        {"apiName": "email", "type": "email", "unique": true},
        {"apiName": "balance", "type": "decimal"},
    ]);
    let table = json!({"apiName": "Account", "fields": fields, "indexes": [{"fields": ["balance"]}]});
    let (status, answer) = first.post("table", &table).await;
    assert_eq!(status, 201, "{answer}");

    let account = |email: &str| json!({"apiName": "Account", "fields": {"email": email, "balance": "0.10"}});
    let acknowledged = Mutex::new(Vec::new());
    let unanswered = Mutex::new(Vec::new());
    let caller = async |caller: usize| {
        for n in 0..10_000 {
            let email = format!("c{caller}-{n}@example.com");
            match first.try_post("record/new", &account(&email)).await {
                Ok((201, answer)) => {
                    acknowledged.lock().unwrap().push((email, answer["id"].as_str().unwrap().to_owned()));
                }
                Ok((status, answer)) => panic!("{status} {answer}"),
                Err(_) => return unanswered.lock().unwrap().push(email),
            }
        }
    };
    let pid = first.child.id();
    let killer = async {
        eventually("some records are there", 150, async || {
            (acknowledged.lock().unwrap().len() >= 100).then_some(())
        })
        .await;
        kill_9(pid);
    };
    futures::future::join(futures::future::join_all((0..8).map(&caller)), killer).await;
    first.child.wait().unwrap();
    let (acknowledged, unanswered) = (acknowledged.into_inner().unwrap(), unanswered.into_inner().unwrap());
    assert!(!unanswered.is_empty(), "the kill came when nobody wrote: nothing was tried");

    let second = Process::start(data.path()).await;
    for (email, id) in &acknowledged {
        let (status, record) = second.get(&format!("record/{id}")).await;
        assert_eq!((status, &record["fields"]["email"]), (200, &json!(email)), "{record}");
        let (status, answer) = second.post("record/new", &account(email)).await;
        assert_eq!(status, 409, "{email} was given away: {answer}");
    }
    for email in &unanswered {
        let query = json!({"apiName": "Account", "filter": format!("email == '{email}'")});
        let (status, found) = second.post("record/query", &query).await;
        assert_eq!(status, 200, "{found}");
        let expect = if found["records"].as_array().unwrap().is_empty() { 201 } else { 409 };
        let (status, answer) = second.post("record/new", &account(email)).await;
        assert_eq!(status, expect, "{email}: found {found}, then {answer}");
    }
    let everything = json!({"apiName": "Account", "count": true, "limit": 1});
    let (_, counted) = second.post("record/query", &everything).await;
    let by_index = json!({"apiName": "Account", "filter": "balance == 0.1", "count": true, "limit": 1});
    let (_, counted_there) = second.post("record/query", &by_index).await;
    assert_eq!(counted["count"], counted_there["count"], "the index and the table hold the same records");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_acknowledged_writes_survive_a_kill_among_writes() {
    kill_among_linked_writes("outbox").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_acknowledged_strict_writes_survive_a_kill_among_writes() {
    kill_among_linked_writes("strict").await;
}

/// Killed while eight callers write to a table with a link: each write that was acknowledged has its message on the queue, under the
/// id that its answer told, and each message has its record. A message may lie there twice, under one id.
async fn kill_among_linked_writes(mode: &str) {
    let data = tempfile::tempdir().unwrap();
    let mut first = Process::start(data.path()).await;
    let made = async |path: &str, body: Value| {
        let (status, answer) = first.post(path, &body).await;
        assert_eq!(status, 201, "{answer}");
        answer
    };
    let queue = made("queue", json!({"name": "told", "type": "sqs", "worker": "none"})).await;
    made("table", json!({"apiName": "Account", "fields": [{"apiName": "name", "type": "text"}]})).await;
    made("table/Account/link", json!({"queue": "told", "on": ["create"], "mode": mode})).await;

    let acknowledged = Mutex::new(Vec::new());
    let unanswered = AtomicUsize::new(0);
    let caller = async |caller: usize| {
        // Half do not wait: theirs are the messages that the kill may find unsent.
        let query = if caller.is_multiple_of(2) { "?wait=published" } else { "" };
        for n in 0..10_000 {
            let account = json!({"apiName": "Account", "fields": {"name": format!("c{caller}-{n}")}});
            match first.try_post(&format!("record/new{query}"), &account).await {
                Ok((201, answer)) => acknowledged.lock().unwrap().push(answer),
                Ok((status, answer)) => panic!("{status} {answer}"),
                Err(_) => return unanswered.fetch_add(1, Ordering::SeqCst),
            }
        }
        0
    };
    let pid = first.child.id();
    let killer = async {
        eventually("some records are there", 150, async || {
            (acknowledged.lock().unwrap().len() >= 100).then_some(())
        })
        .await;
        kill_9(pid);
    };
    futures::future::join(futures::future::join_all((0..8).map(&caller)), killer).await;
    first.child.wait().unwrap();
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(unanswered.into_inner() > 0, "the kill came when nobody wrote: nothing was tried");

    let second = Process::start(data.path()).await;
    let sqs = crate::support::clients::sqs(second.runtime["sqs"].as_str().unwrap());
    let url = queue["url"].as_str().unwrap();
    let id_of = |answer: &Value| answer["id"].as_str().unwrap().to_owned();
    // Message ids by record. What the kill cut between send and mark comes once more, a minute after its commit.
    let told: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::default();
    eventually("every acknowledged write is told", 150, async || {
        let request = sqs.receive_message().queue_url(url).max_number_of_messages(10);
        let request = request.message_attribute_names("All").visibility_timeout(600);
        let messages = request.send().await.unwrap().messages.unwrap_or_default();
        let mut told = told.lock().unwrap();
        for message in messages {
            let body: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            let id = message.message_attributes.unwrap()["message-id"].string_value.clone().unwrap();
            told.entry(body["record-id"].as_str().unwrap().to_owned()).or_default().insert(id);
        }
        acknowledged.iter().all(|answer| told.contains_key(&id_of(answer))).then_some(())
    })
    .await;
    let told = told.into_inner().unwrap();
    for answer in &acknowledged {
        let ids = &told[&id_of(answer)];
        assert_eq!(ids.len(), 1, "two messages of one write: {ids:?}");
        if let Some(promised) = answer["messages"][0]["message-id"].as_str() {
            assert!(ids.contains(promised), "{ids:?} instead of {promised}");
        }
    }
    for (id, ids) in &told {
        // A strict write that the kill cut behind its send is rolled forward by the sweeper.
        eventually(&format!("the record of {ids:?}"), 150, async || {
            Some(second.get(&format!("record/{id}")).await).filter(|(status, _)| *status == 200)
        })
        .await;
    }
}

fn kill_9(pid: u32) {
    let killed = Command::new("kill").arg("-9").arg(pid.to_string()).status().unwrap();
    assert!(killed.success());
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

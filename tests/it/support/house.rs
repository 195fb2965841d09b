//! The whole house in this process, and a client of it that knows no more than a user does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_sqs::types::{Message, QueueAttributeName};
use queuelink::{House, Options};
use serde_json::{Value, json};

use super::eventually;

/// How long a batch may take: as long as its messages are out of sight. No handler is stopped because this machine is busy; one that runs
/// away is stopped for what it uses, not for how long it takes.
const WORKER_TIMEOUT: Duration = Duration::from_secs(60);

/// A running house with a data folder of its own.
pub struct TestHouse {
    house: House,
    data: tempfile::TempDir,
    client: reqwest::Client,
    /// The real SDK against the house's SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// A key that may do everything.
    pub admin_key: String,
}

/// A registered queue.
pub struct Queue {
    pub id: String,
    pub url: String,
    pub arn: String,
    dead_url: Option<String>,
}

/// One answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

/// A message of a dead-letter queue.
pub struct Dead {
    pub body: String,
    pub attributes: Vec<(String, String)>,
}

/// `tests/handlers/<part>`.
pub fn handlers(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("handlers").join(part)
}

/// The handlers that ship.
pub fn shipped_handlers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/handlers")
}

impl Answer {
    /// A string field of the answer.
    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("{field} in {self:?}"))
    }

    /// A header of the answer; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The faults of a problem document.
    pub fn errors(&self) -> &[Value] {
        self.body["errors"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// Makes sure that `canary` stands in no file below `folder`.
///
/// # Errors
/// A file that is gone before it is read.
fn search(folder: &Path, canary: &str) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, canary)?;
        } else {
            let found = std::fs::read(&path)?.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} stands in {}", path.display());
        }
    }
    Ok(())
}

impl TestHouse {
    /// A house with the probe handlers of `tests/handlers`.
    pub async fn start() -> TestHouse {
        TestHouse::start_with(|_| ()).await
    }

    /// A house whose options `change` may alter first.
    pub async fn start_with(change: impl FnOnce(&mut Options)) -> TestHouse {
        let data = tempfile::tempdir().unwrap();
        let mut options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: data.path().to_owned(),
            handlers_dir: handlers("probe"),
            sandbox_program: env!("CARGO_BIN_EXE_it-queuelink").into(),
            samples: false,
            durability: queuelink::engines::dynamodb::Durability::Fast,
            clock: domain::Clock::system(),
            sweep_every: Duration::from_secs(60),
            brokers: queuelink::BrokerOptions::default(),
        };
        change(&mut options);
        let house = House::start_with_timeout(options, WORKER_TIMEOUT).await.unwrap();
        let sqs = super::clients::sqs(house.sqs());
        let admin_key = house.admin_key().expose().to_owned();
        TestHouse { house, data, client: super::http_client(), sqs, admin_key }
    }

    /// The address of the API.
    pub fn api(&self) -> &str {
        self.house.api()
    }

    /// The address of the house's SQS.
    pub fn sqs_endpoint(&self) -> &str {
        self.house.sqs()
    }

    /// Stops in order.
    pub async fn stop(self) {
        self.house.stop().await;
    }

    /// Stops, and makes sure that `canary` stands nowhere in what was stored.
    pub async fn stop_and_search(self, canary: &str) {
        self.house.stop().await;
        // The last connection to a database folds its log into it and removes that: what a file that is gone had may lie
        // in one that was read already.
        super::eventually("the files stay as they are", 150, async || search(self.data.path(), canary).ok())
            .await;
    }

    /// One request, with the admin key unless `headers` has another `authorization` (empty = none).
    pub async fn send_bytes(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        headers: &[(&str, &str)],
    ) -> Answer {
        let url = format!("{}/api/v1/zstorage/{path}", self.house.api());
        let mut request = self.client.request(method.parse().unwrap(), url).body(body.to_vec());
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.bearer_auth(&self.admin_key);
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let content_type =
            headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let bytes = answer.bytes().await.unwrap();
        Answer { status, content_type, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    pub async fn send(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        self.send_bytes(method, path, body.as_bytes(), headers).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", &[]).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &body.to_string(), &[]).await
    }

    pub async fn post_text(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("POST", path, body, headers).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &body.to_string(), &[]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, "", &[]).await
    }

    /// Registers an SQS queue with these settings.
    pub async fn queue(&self, mut body: Value) -> Queue {
        body["type"] = json!("sqs");
        let answer = self.post("queue", &body).await;
        assert_eq!(answer.status, 201, "{body}: {}", answer.body);
        let url = answer.text("url").to_owned();
        let attributes = self
            .sqs
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await;
        let arn = attributes.unwrap().attributes.unwrap()[&QueueAttributeName::QueueArn].clone();
        let dead_url = answer.body["dead-letter-queue"].as_str().map(str::to_owned);
        Queue { id: answer.text("id").to_owned(), url, arn, dead_url }
    }

    /// Registers a queue and pauses its worker, so that several messages can lie in it before the first is received.
    pub async fn paused_queue(&self, body: Value) -> Queue {
        let queue = self.queue(body).await;
        let answer = self.post(&format!("queue/{}/pause", queue.id), &json!({})).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        eventually("the mapping is paused", 150, async || {
            let text = self.get(&format!("queue/{}", queue.id)).await.body.to_string();
            text.contains("disabled").then_some(())
        })
        .await;
        queue
    }

    /// Lets the worker receive again.
    pub async fn resume(&self, queue: &Queue) {
        let answer = self.post(&format!("queue/{}/resume", queue.id), &json!({})).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    /// A key with these scopes, as an `authorization` header.
    pub async fn key(&self, scopes: &[&str]) -> String {
        let answer = self.post("key", &json!({"label": "test", "scopes": scopes})).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        format!("Bearer {}", answer.text("key"))
    }

    /// Publishes and tells the message's id.
    pub async fn publish(&self, queue: &str, payload: &Value) -> String {
        let answer = self.post(&format!("queue/a/{queue}/publish"), payload).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.text("message-id").to_owned()
    }

    /// Messages in a queue: visible, in flight and delayed.
    pub async fn depth(&self, queue: &Queue) -> u64 {
        depth(&self.sqs, &queue.url).await
    }

    /// Waits until nothing is left in a queue.
    pub async fn empty(&self, queue: &Queue) {
        eventually("the queue is empty", 150, async || (self.depth(queue).await == 0).then_some(())).await;
    }

    /// Receives one message as a foreign consumer would, and deletes it.
    pub async fn receive_one(&self, queue: &Queue) -> Message {
        let message = eventually("a message", 150, async || receive(&self.sqs, &queue.url).await.pop()).await;
        let handle = message.receipt_handle().unwrap();
        self.sqs.delete_message().queue_url(&queue.url).receipt_handle(handle).send().await.unwrap();
        message
    }

    /// Waits until `count` messages have come to the dead-letter queue of `queue`, and takes them.
    pub async fn dead_letters(&self, queue: &Queue, count: usize) -> Vec<Dead> {
        let url = queue.dead_url.clone().expect("this queue has a dead-letter queue");
        eventually("dead letters", 150, async || {
            (depth(&self.sqs, &url).await >= count as u64).then_some(())
        })
        .await;
        let mut dead = Vec::new();
        loop {
            let messages = receive(&self.sqs, &url).await;
            if messages.is_empty() {
                return dead;
            }
            dead.extend(messages.into_iter().map(|message| {
                Dead {
                    body: message.body.unwrap_or_default(),
                    attributes: message
                        .message_attributes
                        .unwrap_or_default()
                        .into_iter()
                        .map(|(name, value)| (name, value.string_value.unwrap_or_default()))
                        .collect(),
                }
            }));
        }
    }

    /// Every mail in the mailbox, as text.
    pub fn mails(&self) -> Vec<String> {
        std::fs::read_dir(self.house.mailbox())
            .unwrap()
            .filter_map(|entry| entry.ok())
            .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "eml"))
            .map(|entry| std::fs::read_to_string(entry.path()).unwrap())
            .collect()
    }

    /// What template.yaml gives a function, with this house's engines in place of AWS.
    pub fn function_environment(&self) -> Vec<(&'static str, String)> {
        let key_file = self.data.path().join("key");
        vec![
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("ACCOUNT_ID", "000000000000".to_owned()),
            ("STACK_NAME", "local".to_owned()),
            ("CATALOG_TABLE", "local-Catalog".to_owned()),
            ("MESSAGES_TABLE", "local-Messages".to_owned()),
            ("RECORDS_TABLE", "local-Records".to_owned()),
            ("OUTBOX_TABLE", "local-Outbox".to_owned()),
            ("JOBS_QUEUE", "local-jobs".to_owned()),
            ("RETRY_QUEUE", "local-retry".to_owned()),
            ("KEY_FILE", key_file.display().to_string()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.house.dynamodb().to_owned()),
            ("AWS_ENDPOINT_URL_SQS", self.house.sqs().to_owned()),
            ("QUEUE_CREATION", "allowed".to_owned()),
            ("WORKER_FUNCTION", "sqs-worker".to_owned()),
            ("WORKER_TIMEOUT_SECS", "10".to_owned()),
            ("HANDLERS_DIR", handlers("probe").display().to_string()),
            ("ALLOW_LOOPBACK", "true".to_owned()),
        ]
    }
}

/// Messages in a queue: visible, in flight and delayed.
pub async fn depth(sqs: &aws_sdk_sqs::Client, url: &str) -> u64 {
    let answer = sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::All)
        .send()
        .await
        .unwrap();
    let attributes = answer.attributes.unwrap_or_default();
    [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ]
    .iter()
    .map(|name| attributes[name].parse::<u64>().unwrap())
    .sum()
}

async fn receive(sqs: &aws_sdk_sqs::Client, url: &str) -> Vec<Message> {
    let request =
        sqs.receive_message().queue_url(url).max_number_of_messages(10).message_attribute_names("All");
    request.send().await.unwrap().messages.unwrap_or_default()
}

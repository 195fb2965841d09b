//! From curl to a mail, over a restart and over a kill.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::runner::{Runner, command};

pub(crate) struct Client {
    pub(crate) api: String,
    pub(crate) key: String,
    pub(crate) http: reqwest::Client,
}

impl Client {
    pub(crate) fn of(runner: &Runner) -> Client {
        // The HTTP client wants to know its TLS even for plain HTTP; a second test finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = runner.runtime();
        let text = |name: &str| runtime[name].as_str().unwrap().to_owned();
        Client { api: text("api"), key: text("admin-key"), http: reqwest::Client::new() }
    }

    pub(crate) async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request =
            self.http.request(method, format!("{}/api/v1/zstorage{path}", self.api)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn mail(&self, subject: &str) -> Value {
        let body =
            json!({"handler": "send_email", "to": "ana@example.com", "subject": subject, "contents": "olá"});
        let (status, answer) =
            self.call(reqwest::Method::POST, "/queue/a/on-boarding/publish", Some(body)).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn mail_after(&self, secs: u32, subject: &str) {
        let body =
            json!({"handler": "send_email", "to": "ana@example.com", "subject": subject, "contents": "olá"});
        let request = self.http.post(format!("{}/api/v1/zstorage/queue/a/on-boarding/publish", self.api));
        let request = request.bearer_auth(&self.key).header("Deliver-After", secs).body(body.to_string());
        assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
    }

    /// A call of the SQS engine, in its own protocol.
    pub(crate) async fn sqs(&self, runner: &Runner, operation: &str, body: Value) -> Value {
        let endpoint = runner.runtime()["sqs"].as_str().unwrap().to_owned();
        let request = self.http.post(endpoint).header("x-amz-target", format!("AmazonSQS.{operation}"));
        let request = request.header("content-type", "application/x-amz-json-1.0").body(body.to_string());
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default()
    }

    pub(crate) async fn queues(&self) -> Vec<Value> {
        let (status, page) = self.call(reqwest::Method::GET, "/queue", None).await;
        assert_eq!(status, 200, "{page}");
        let list = page.as_object().unwrap().values().find_map(Value::as_array);
        list.unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_message_becomes_a_mail_now_and_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");

    let first = Runner::start(&data, &[]);
    let client = Client::of(&first);
    assert!(first.greeting.contains(&client.key), "{}", first.greeting);
    let names: Vec<_> =
        client.queues().await.iter().map(|queue| queue["name"].as_str().unwrap().to_owned()).collect();
    assert!(
        names.contains(&"on-boarding".to_owned()) && names.contains(&"etx-event-log".to_owned()),
        "{names:?}"
    );
    let answer = client.mail("first").await;
    assert!(answer["message-id"].as_str().unwrap().starts_with("0BF"), "{answer}");
    let mails = first.mails(1);
    assert!(
        mails[0].contains("Subject: first\r\n") && mails[0].contains("X-Envelope-To: ana@example.com\r\n"),
        "{}",
        mails[0]
    );
    let before = first.runtime();
    let (status, rest) = first.interrupt();
    assert!(status.success() && rest.contains("Stopping"), "{status} {rest}");

    // The address is a free one each time here; all else stays.
    let second = Runner::start(&data, &[]);
    assert!(!second.greeting.contains(&client.key), "{}", second.greeting);
    for kept in ["sqs", "dynamodb", "admin-key", "mailbox"] {
        assert_eq!(second.runtime()[kept], before[kept], "{kept}");
    }
    let client = Client::of(&second);
    assert_eq!(client.queues().await.len(), names.len());
    client.mail("second").await;
    let mails = second.mails(2);
    assert!(mails[1].contains("Subject: second\r\n"), "{}", mails[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let first = Runner::start(&data, &[]);
    let client = Client::of(&first);
    let queue = client.queues().await.into_iter().find(|queue| queue["name"] == "on-boarding").unwrap();
    // What is in work at the kill comes back after its visibility: a shorter one, so that the test need not wait a minute.
    let attributes = json!({"QueueUrl": queue["url"], "Attributes": {"VisibilityTimeout": "20"}});
    client.sqs(&first, "SetQueueAttributes", attributes).await;
    // One that waits in the queue, and one that is in work for seconds after its first mail.
    client.mail_after(20, "waiting").await;
    let publish = reqwest::Method::POST;
    let slow = json!({"handler": "slow", "to": "ana@example.com", "seconds": 5});
    let (status, answer) = client.call(publish, "/queue/a/on-boarding/publish", Some(slow)).await;
    assert_eq!(status, 200, "{answer}");
    first.mails(1);
    first.kill();

    let second = Runner::start(&data, &["--fast"]);
    let mails = second.mails(4);
    let with =
        |subject: &str| mails.iter().filter(|mail| mail.contains(&format!("Subject: {subject}\r\n"))).count();
    assert_eq!((with("started"), with("done"), with("waiting")), (2, 1, 1), "{mails:#?}");
}

/// What a killed start had made is taken up by the next one, whatever it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_killed_anywhere_is_gone_on_with() {
    for delay_ms in (5..125).step_by(10) {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        let mut first = command(&data, &[]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        first.kill().unwrap();
        first.wait().unwrap();
        let key_was_kept = data.join("runtime.json").exists();

        let second = Runner::start(&data, &[]);
        let client = Client::of(&second);
        assert!(key_was_kept || second.greeting.contains(&client.key), "{delay_ms} ms: {}", second.greeting);
        let ready = client.queues().await.iter().filter(|queue| queue["state"] == "ready").count();
        assert_eq!(ready, 2, "{delay_ms} ms");
        second.interrupt();
        let left: Vec<_> = std::fs::read_dir(&data).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_str().unwrap().ends_with(".new")), "{delay_ms} ms: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_samples_the_registry_is_empty_until_a_queue_is_registered() {
    let folder = TempDir::new().unwrap();
    let runner = Runner::start(&folder.path().join("data"), &["--no-samples"]);
    let client = Client::of(&runner);
    assert!(client.queues().await.is_empty());
    let queue = json!({"name": "on-boarding", "type": "sqs"});
    let (status, answer) = client.call(reqwest::Method::POST, "/queue", Some(queue)).await;
    assert_eq!(status, 201, "{answer}");
    client.mail("made by hand").await;
    runner.mails(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runtime_file_is_for_its_owner_and_has_the_promised_keys() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let runner = Runner::start(&data, &["--no-samples"]);
    let mode = std::fs::metadata(data.join("runtime.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let runtime = runner.runtime();
    let keys: Vec<_> = runtime.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["admin-key", "api", "dynamodb", "mailbox", "sqs"]);
    assert!(std::path::Path::new(runtime["mailbox"].as_str().unwrap()).is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_stops_at_once_and_the_message_comes_back() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let runner = Runner::start(&data, &[]);
    let client = Client::of(&runner);
    let slow = json!({"handler": "slow", "to": "ana@example.com", "seconds": 6});
    let (status, answer) =
        client.call(reqwest::Method::POST, "/queue/a/on-boarding/publish", Some(slow)).await;
    assert_eq!(status, 200, "{answer}");
    runner.mails(1);
    let mailbox = runner.mailbox();
    let (status, _) = runner.interrupt_twice();
    assert!(status.success(), "{status}");
    assert_eq!(std::fs::read_dir(mailbox).unwrap().count(), 1, "the handler was not waited for");
    let again = Runner::start(&data, &[]);
    let health = Client::of(&again).queues().await;
    let queue = health.iter().find(|queue| queue["name"] == "on-boarding").unwrap();
    assert_eq!(queue["health"]["in-flight"], json!(1), "{queue}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_open_to_others_says_so_and_tools_are_given_an_address_they_can_call() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let runner = Runner::start(&data, &["--no-samples", "--listen", "0.0.0.0:0"]);
    assert!(runner.greeting.contains("Careful: the API listens on 0.0.0.0:"), "{}", runner.greeting);
    let client = Client::of(&runner);
    assert!(client.api.starts_with("http://127.0.0.1:"), "{}", client.api);
    assert!(client.queues().await.is_empty());
}

/// Ctrl-C at a terminal goes to every process of the group, the sandbox of the handlers among them.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_lets_a_message_in_work_finish() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let runner = Runner::start(&data, &[]);
    let client = Client::of(&runner);
    let slow = json!({"handler": "slow", "to": "ana@example.com"});
    let (status, answer) =
        client.call(reqwest::Method::POST, "/queue/a/on-boarding/publish", Some(slow)).await;
    assert_eq!(status, 200, "{answer}");
    // The handler mails, sleeps, and mails again.
    runner.mails(1);
    let mailbox = runner.mailbox();
    let (status, _) = runner.interrupt_group();
    assert!(status.success(), "{status}");
    let mails = std::fs::read_dir(mailbox).unwrap().count();
    assert_eq!(mails, 2);
    let again = Runner::start(&data, &[]);
    let health = Client::of(&again).queues().await;
    let queue = health.iter().find(|queue| queue["name"] == "on-boarding").unwrap();
    assert_eq!(
        (&queue["health"]["visible"], &queue["health"]["in-flight"]),
        (&json!(0), &json!(0)),
        "{queue}"
    );
}

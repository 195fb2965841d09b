//! A stand-in for SQS, and for the one part of Lambda that administers mappings, on one loopback port: it answers as they do,
//! counts, and can be told to refuse, to fall silent or to break off.
#![allow(dead_code, unreachable_pub, reason = "each test binary that includes this file uses a part of it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What the engine does with sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Fine,
    /// Says no to every message.
    Refusing,
    /// Says of every message that just now it is one too many.
    Throttling,
    /// Takes the message and never answers.
    Silent,
    /// Says no to bodies that contain "poison".
    Choosy,
    /// Says of bodies that contain "poison" that they cannot be carried.
    Fussy,
    /// Says no to everything, administration included.
    Broken,
    /// Never answers anything.
    Mute,
    /// Makes no mappings.
    Unmapped,
}

/// Calls that are kept from being carried out.
struct Hold {
    /// How their operation begins.
    begins: &'static str,
    /// Whether it is every such call, or the first one alone.
    every: bool,
    /// By what the client knows the first one, once it is there.
    first: Option<String>,
    has_come: Arc<Notify>,
    gate: Arc<Notify>,
}

impl Hold {
    /// The gate before this call, if it is meant. A client that asks once more because the answer is long in coming calls it
    /// the same, and is not to get past the one that is held.
    fn gate_of(&mut self, operation: &str, invocation: &str) -> Option<Arc<Notify>> {
        let is_same = self.first.as_ref().is_none_or(|first| self.every || first == invocation);
        if !is_same || !operation.starts_with(self.begins) {
            return None;
        }
        if self.first.is_none() {
            self.first = Some(invocation.to_owned());
            self.has_come.notify_one();
        }
        Some(self.gate.clone())
    }
}

#[derive(Default)]
struct Inner {
    queues: BTreeMap<String, BTreeMap<String, String>>,
    messages: BTreeMap<String, Vec<Value>>,
    mappings: BTreeMap<String, (String, bool)>,
    calls: Vec<String>,
    mood: Option<Mood>,
    moods: BTreeMap<String, Mood>,
    stumbling: Vec<String>,
    held: Option<Hold>,
    next: usize,
}

#[derive(Clone, Default)]
pub struct Engine {
    inner: Arc<Mutex<Inner>>,
    pub endpoint: String,
}

impl Engine {
    pub async fn start() -> Engine {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine =
            Engine { endpoint: format!("http://{}", listener.local_addr().unwrap()), ..Engine::default() };
        let router = Router::new().fallback(answer).with_state(engine.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        engine
    }

    /// An address where nothing answers.
    pub async fn nowhere() -> Engine {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Engine { endpoint: format!("http://{}", listener.local_addr().unwrap()), ..Engine::default() }
    }

    pub fn mood(&self, mood: Mood) {
        self.inner.lock().unwrap().mood = Some(mood);
    }

    /// What it does with sends to one queue, whatever its mood else.
    pub fn mood_of(&self, queue: &str, mood: Mood) {
        self.inner.lock().unwrap().moods.insert(queue.to_owned(), mood);
    }

    /// The next message whose body contains `text` fails, for no fault of its own.
    pub fn stumble_at(&self, text: &str) {
        self.inner.lock().unwrap().stumbling.push(text.to_owned());
    }

    /// The next call whose operation begins so is not carried out before the answer is notified.
    pub fn hold_next(&self, operation: &'static str) -> Arc<Notify> {
        self.hold(operation, false)
    }

    /// No call whose operation begins so is carried out before the answer is notified.
    pub fn hold_every(&self, operation: &'static str) -> Arc<Notify> {
        self.hold(operation, true)
    }

    fn hold(&self, begins: &'static str, every: bool) -> Arc<Notify> {
        let (gate, has_come) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let hold = Hold { begins, every, first: None, has_come, gate: gate.clone() };
        self.inner.lock().unwrap().held = Some(hold);
        gate
    }

    /// Waits until a held call is there. To be asked once, before it is let go.
    pub async fn held(&self) {
        let has_come = self.inner.lock().unwrap().held.as_ref().unwrap().has_come.clone();
        tokio::time::timeout(Duration::from_secs(60), has_come.notified()).await.unwrap();
    }

    /// The gate was opened for one: now it is for all who wait there, and nobody waits there any more.
    fn let_go(&self, gate: &Arc<Notify>) {
        let mut inner = self.inner.lock().unwrap();
        if inner.held.as_ref().is_some_and(|hold| Arc::ptr_eq(&hold.gate, gate)) {
            inner.held = None;
        }
        gate.notify_one();
    }

    /// A mapping that nobody noted.
    pub fn map(&self, arn: &str) {
        self.inner.lock().unwrap().mappings.insert("uuid-lost".to_owned(), (arn.to_owned(), true));
    }

    /// A queue with attributes that differ from SQS's own.
    pub fn make(&self, name: &str, attributes: &[(&str, &str)]) {
        let attributes =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.inner.lock().unwrap().queues.insert(name.to_owned(), attributes);
    }

    pub fn remove(&self, name: &str) {
        self.inner.lock().unwrap().queues.remove(name);
    }

    pub fn queues(&self) -> Vec<String> {
        self.inner.lock().unwrap().queues.keys().cloned().collect()
    }

    /// ARN and whether it is enabled.
    pub fn mappings(&self) -> Vec<(String, bool)> {
        self.inner.lock().unwrap().mappings.values().cloned().collect()
    }

    /// What lies on a queue, as it was sent.
    pub fn messages(&self, queue: &str) -> Vec<Value> {
        self.inner.lock().unwrap().messages.get(queue).cloned().unwrap_or_default()
    }

    pub fn bodies(&self, queue: &str) -> Vec<String> {
        self.messages(queue)
            .iter()
            .map(|message| message["MessageBody"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The operations asked for since the last time.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().calls)
    }
}

type Refusal = (&'static str, String);

async fn answer(
    State(engine): State<Engine>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let signature = headers.get("authorization").and_then(|text| text.to_str().ok()).unwrap_or_default();
    if asked.get("MessageBody").is_some() {
        let (_, signer) = signature.split_once("Credential=").unwrap_or_default();
        asked["signed-by"] = json!(signer.split('/').next());
    }
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).map(str::to_owned);
    let operation = match &target {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => format!("{method} {}", uri.path()),
    };
    let invocation = headers.get("amz-sdk-invocation-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let gate = {
        let mut inner = engine.inner.lock().unwrap();
        inner.calls.push(operation.clone());
        inner.held.as_mut().and_then(|hold| hold.gate_of(&operation, invocation))
    };
    if let Some(gate) = gate {
        gate.notified().await;
        engine.let_go(&gate);
    }
    let (answer, silent) = {
        let mut inner = engine.inner.lock().unwrap();
        let queue = asked["QueueUrl"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let mood = inner.moods.get(queue).copied().or(inner.mood).unwrap_or(Mood::Fine);
        let answer = match &target {
            _ if mood == Mood::Broken => Err(("AccessDenied", "broken".to_owned())),
            Some(_) => inner.sqs(&engine.endpoint, &operation, &asked, mood),
            None if mood == Mood::Unmapped && method == Method::POST => {
                Err(("AccessDenied", "no mappings today".to_owned()))
            }
            None => inner.mapping(&method, &uri, &asked),
        };
        (answer, mood == Mood::Mute || (mood == Mood::Silent && operation.starts_with("SendMessage")))
    };
    if silent {
        std::future::pending::<()>().await;
    }
    match answer {
        Ok(value) => (StatusCode::OK, [("content-type", "application/x-amz-json-1.0")], value.to_string())
            .into_response(),
        Err((code, message)) => {
            let body = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": message });
            let status = if code == "ResourceNotFoundException" {
                StatusCode::NOT_FOUND
            } else {
                StatusCode::BAD_REQUEST
            };
            (
                status,
                [("x-amzn-errortype", code), ("content-type", "application/x-amz-json-1.0")],
                body.to_string(),
            )
                .into_response()
        }
    }
}

impl Inner {
    fn sqs(&mut self, endpoint: &str, operation: &str, asked: &Value, mood: Mood) -> Result<Value, Refusal> {
        let url = asked["QueueUrl"].as_str().unwrap_or_default();
        let name = url.rsplit('/').next().unwrap_or_default().to_owned();
        if !matches!(operation, "CreateQueue" | "GetQueueUrl") && !self.queues.contains_key(&name) {
            return Err(("QueueDoesNotExist", "The specified queue does not exist.".to_owned()));
        }
        match operation {
            "CreateQueue" => {
                let name = asked["QueueName"].as_str().unwrap().to_owned();
                let attributes = asked["Attributes"].as_object().cloned().unwrap_or_default();
                let attributes =
                    attributes.into_iter().map(|(k, v)| (k, v.as_str().unwrap_or_default().to_owned()));
                self.queues.entry(name.clone()).or_default().extend(attributes);
                Ok(json!({ "QueueUrl": format!("{endpoint}/000000000000/{name}") }))
            }
            "DeleteQueue" => {
                self.queues.remove(&name);
                Ok(json!({}))
            }
            "GetQueueAttributes" => {
                let waiting = self.messages.get(&name).map_or(0, Vec::len);
                let mut attributes: BTreeMap<String, String> = [
                    ("ApproximateNumberOfMessages", waiting.to_string().as_str()),
                    ("ApproximateNumberOfMessagesNotVisible", "0"),
                    ("ApproximateNumberOfMessagesDelayed", "0"),
                    ("MaximumMessageSize", "1048576"),
                    ("VisibilityTimeout", "30"),
                ]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
                attributes.extend(self.queues[&name].clone());
                Ok(json!({ "Attributes": attributes }))
            }
            "SendMessage" => self.take(&name, asked, mood),
            "SendMessageBatch" => {
                let (mut successful, mut failed) = (Vec::new(), Vec::new());
                for entry in asked["Entries"].as_array().unwrap() {
                    match self.take(&name, entry, mood) {
                        Ok(mut taken) => {
                            taken["Id"] = entry["Id"].clone();
                            successful.push(taken);
                        }
                        Err((code, message)) => failed.push(
                            json!({ "Id": entry["Id"], "Code": code, "Message": message, "SenderFault": true }),
                        ),
                    }
                }
                Ok(json!({ "Successful": successful, "Failed": failed }))
            }
            other => Err(("UnsupportedOperation", other.to_owned())),
        }
    }

    fn take(&mut self, queue: &str, message: &Value, mood: Mood) -> Result<Value, Refusal> {
        let poison = message["MessageBody"].as_str().unwrap().contains("poison");
        if mood == Mood::Refusing || (mood == Mood::Choosy && poison) {
            return Err(("AccessDenied", "arn:aws:sts::000000000000:role may not".to_owned()));
        }
        if mood == Mood::Throttling {
            return Err(("RequestThrottled", "slower".to_owned()));
        }
        if mood == Mood::Fussy && poison {
            return Err(("InvalidMessageContents", "a character that may not be".to_owned()));
        }
        let body = message["MessageBody"].as_str().unwrap();
        if let Some(at) = self.stumbling.iter().position(|text| body.contains(text)) {
            self.stumbling.remove(at);
            return Err(("InternalError", "it stumbled".to_owned()));
        }
        self.next += 1;
        self.messages.entry(queue.to_owned()).or_default().push(message.clone());
        Ok(json!({ "MessageId": format!("sqs-{}", self.next), "MD5OfMessageBody": "" }))
    }

    fn mapping(&mut self, method: &Method, uri: &Uri, asked: &Value) -> Result<Value, Refusal> {
        let shown = |uuid: &str, (arn, enabled): &(String, bool)| {
            let state = if *enabled { "Enabled" } else { "Disabled" };
            json!({ "UUID": uuid, "EventSourceArn": arn, "State": state, "BatchSize": 10,
                "FunctionResponseTypes": ["ReportBatchItemFailures"] })
        };
        if !uri.path().contains("event-source-mappings") {
            // CloudWatch: it has no metric yet.
            return Err(("InternalServiceFault", "not here".to_owned()));
        }
        let uuid = uri.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        if *method == Method::POST {
            let arn = asked["EventSourceArn"].as_str().unwrap().to_owned();
            if self.mappings.values().any(|(known, _)| *known == arn) {
                return Err(("ResourceConflictException", "there is one".to_owned()));
            }
            self.next += 1;
            let uuid = format!("uuid-{}", self.next);
            self.mappings.insert(uuid.clone(), (arn, true));
            return Ok(shown(&uuid, &self.mappings[&uuid]));
        }
        if uuid == "event-source-mappings" {
            let all: Vec<Value> = self.mappings.iter().map(|(uuid, mapping)| shown(uuid, mapping)).collect();
            return Ok(json!({ "EventSourceMappings": all }));
        }
        let Some(mapping) = self.mappings.get_mut(&uuid) else {
            return Err(("ResourceNotFoundException", "no such mapping".to_owned()));
        };
        if let (&Method::PUT, Some(enabled)) = (method, asked["Enabled"].as_bool()) {
            mapping.1 = enabled;
        }
        let shown = shown(&uuid, mapping);
        if *method == Method::DELETE {
            self.mappings.remove(&uuid);
        }
        Ok(shown)
    }
}

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials as AwsCredentials;
use aws_sdk_sqs::config::{SharedCredentialsProvider, SharedHttpClient};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use domain::SqsQueue;
use queue::{Outgoing, Queues, SqsConfig, SqsPlace};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The action (`SendMessage`), or method and path of a REST service.
    pub(crate) action: String,
    pub(crate) body: Value,
    pub(crate) raw: Bytes,
    pub(crate) signed_by: String,
}

/// What the engine does with a request.
pub(crate) enum Answer {
    Json(u16, Value),
    Bytes(&'static str, Vec<u8>),
    /// Never.
    Silence,
    /// The connection breaks in the midst of the answer's body.
    HangUp,
}

/// A server that keeps what it was asked.
pub(crate) struct Engine {
    pub(crate) endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Engine {
    /// Answers each request by `answer`, which is given the request and how many came before it.
    pub(crate) async fn serve(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Engine {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (keeping, answer) = (asked.clone(), Arc::new(answer));
        let fallback = async move |method: Method, uri: Uri, headers: HeaderMap, raw: Bytes| {
            let header =
                |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
            let action = match header("x-amz-target").rsplit('.').next() {
                Some(action) if !action.is_empty() => action.to_owned(),
                _ => format!("{method} {uri}"),
            };
            let signed_by = header("authorization").split(['=', ',']).nth(1).unwrap_or_default().to_owned();
            let body = serde_json::from_slice(&raw).unwrap_or(Value::Null);
            let request = Asked { action, body, raw, signed_by };
            let before = {
                let mut asked = keeping.lock().unwrap();
                asked.push(request.clone());
                asked.len() - 1
            };
            respond(answer(&request, before)).await
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(fallback);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Engine { endpoint, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn queues(&self) -> Queues {
        queues_at(&self.endpoint)
    }
}

async fn respond(answer: Answer) -> Response {
    match answer {
        Answer::Json(status, body) => {
            let head = [("content-type", "application/x-amz-json-1.0")];
            (StatusCode::from_u16(status).unwrap(), head, body.to_string()).into_response()
        }
        Answer::Bytes(kind, bytes) => {
            ([("content-type", kind), ("smithy-protocol", "rpc-v2-cbor")], bytes).into_response()
        }
        Answer::Silence => std::future::pending().await,
        // Fewer bytes than promised.
        Answer::HangUp => ([("content-length", "100")], "{").into_response(),
    }
}

pub(crate) fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

pub(crate) fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(AwsCredentials::new("OURS", "secret", None, None, "test"))
}

pub(crate) fn queues_at(endpoint: &str) -> Queues {
    Queues::new(SqsConfig {
        region: "us-east-1".into(),
        endpoint: Some(endpoint.to_owned()),
        credentials: credentials(),
        http_client: http_client(),
    })
}

/// An address of ours where nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// An address where connections are never answered, and what keeps it so.
pub(crate) async fn deaf() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("http://{}", listener.local_addr().unwrap()), listener)
}

/// That a call ends. How soon is asserted over its limits, where they stand: they follow one another, and a busy machine takes
/// its own time between them.
pub(crate) const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// That the one attempt ends by its own limit, the only one that it has.
pub(crate) const SEND_ONCE_BUDGET: Duration = Duration::from_secs(4);

pub(crate) fn sqs(name: &str) -> SqsQueue {
    SqsQueue { region: "us-east-1".into(), account: "000000000000".into(), name: name.into() }
}

pub(crate) fn standard() -> SqsPlace {
    SqsPlace { queue: sqs("orders"), credentials: None, fifo: false }
}

pub(crate) fn fifo() -> SqsPlace {
    SqsPlace { queue: sqs("orders.fifo"), credentials: None, fifo: true }
}

pub(crate) fn message(id: usize, key: Option<&str>) -> Outgoing {
    Outgoing {
        message_id: format!("0BF{id:026}"),
        round: 0,
        body: format!(r#"{{"number":{id}}}"#),
        ordering_key: key.map(str::to_owned),
        delay_secs: 0,
        attributes: Vec::new(),
    }
}

pub(crate) fn taken(id: &str) -> Answer {
    Answer::Json(200, json!({"MessageId": id, "MD5OfMessageBody": "x"}))
}

pub(crate) fn refused(status: u16, code: &str) -> Answer {
    Answer::Json(status, json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "as told"}))
}

/// A batch answer: for each entry its fate by `fate`, which is given the entry: `Ok`, or code and whether the sender is at fault.
pub(crate) fn batch(asked: &Asked, fate: impl Fn(&Value) -> Result<(), (&'static str, bool)>) -> Answer {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in asked.body["Entries"].as_array().unwrap() {
        let id = &entry["Id"];
        match fate(entry) {
            Ok(()) => successful.push(json!({"Id": id, "MessageId": format!("sqs-{}", entry["MessageBody"].as_str().unwrap()), "MD5OfMessageBody": "x"})),
            Err((code, sender_fault)) => {
                failed.push(json!({"Id": id, "Code": code, "Message": "as told", "SenderFault": sender_fault}));
            }
        }
    }
    // The order of an answer says nothing.
    successful.reverse();
    Answer::Json(200, json!({"Successful": successful, "Failed": failed}))
}

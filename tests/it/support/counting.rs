//! A loopback proxy that counts the calls going through it: how many AWS calls a thing really costs.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

/// The operations seen, in order, such as `AmazonSQS.SendMessage`.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    /// What was called since the last time this was asked.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[derive(Clone)]
struct Proxy {
    calls: Calls,
    target: String,
    client: reqwest::Client,
}

/// Serves a proxy to `target` and tells its address.
pub async fn proxy(target: &str, calls: &Calls) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let state = Proxy { calls: calls.clone(), target: target.to_owned(), client: super::http_client() };
    let router = Router::new().fallback(forward).with_state(state);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn forward(State(proxy): State<Proxy>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let operation = head.headers.get("x-amz-target").and_then(|v| v.to_str().ok()).unwrap_or(head.uri.path());
    proxy.calls.0.lock().unwrap().push(operation.to_owned());
    let url = format!("{}{}", proxy.target, head.uri);
    // Queue URLs in the body name this proxy; the engine looks at their path only.
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let mut headers = head.headers;
    headers.remove("host");
    match proxy.client.request(head.method, url).headers(headers).body(body).send().await {
        Ok(answer) => {
            let status = answer.status();
            let mut headers = HeaderMap::new();
            for name in ["content-type", "x-amzn-requestid", "x-amz-crc32"] {
                if let Some(value) = answer.headers().get(name) {
                    headers.insert(name, value.clone());
                }
            }
            (status, headers, Body::from(answer.bytes().await.unwrap())).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

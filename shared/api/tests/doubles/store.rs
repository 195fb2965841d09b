//! What tests of routes stand on: a catalog in an embedded DynamoDB, keys, and a call of a served router.
#![allow(dead_code, unreachable_pub, reason = "each test binary that includes this file uses a part of it")]

use axum::Router;
use axum::body::Body;
use bootstrap::{Aws, Endpoints};
use domain::{ApiKey, ApiKeyText, Clock, KeyId, KeySecret};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt;
use zstorage::{Catalog, Jobs, Messages, Outbox, TableNames};

pub const REGION: &str = "eu-west-1";
pub const ACCOUNT: &str = "000000000000";

/// Tables in memory behind a loopback endpoint; they end with the runtime of the test.
pub struct Store {
    pub catalog: Catalog,
    pub messages: Messages,
    pub jobs: Jobs,
    pub outbox: Outbox,
    pub endpoint: String,
    pub clock: Clock,
}

impl Store {
    pub async fn start() -> Store {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let database = dynoxide::Database::memory().unwrap();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
        let client = client(&endpoint);
        let names =
            TableNames { catalog: "catalog", messages: "messages", records: "records", outbox: "outbox" };
        zstorage::create_tables(&client, names).await.unwrap();
        let clock = Clock::system();
        Store {
            catalog: Catalog::new(client.clone(), "catalog".into(), clock.clone()),
            jobs: Jobs::new(client.clone(), "messages".into(), clock.clone()),
            outbox: Outbox::new(client.clone(), "outbox".into(), clock.clone()),
            messages: Messages::new(client, "messages".into(), clock.clone()),
            endpoint,
            clock,
        }
    }

    /// A key with these scopes, as a caller presents it.
    pub async fn key(&self, scopes: &[&str]) -> String {
        self.key_until(scopes, |_| {}).await
    }

    /// A key with these scopes and some changes.
    pub async fn key_until(&self, scopes: &[&str], change: impl FnOnce(&mut ApiKey)) -> String {
        let now = self.clock.now();
        let text =
            ApiKeyText { id: KeyId::new(now, &mut rand::rng()), secret: KeySecret::new(&mut rand::rng()) };
        let mut key = ApiKey {
            id: text.id,
            label: "test".into(),
            scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
            secret_hashes: vec![text.secret.hash()],
            created_at: now,
            expires_at: None,
            revoked_at: None,
        };
        change(&mut key);
        self.catalog.create_key(&key).await.unwrap();
        text.reveal().expose().to_owned()
    }
}

pub fn client(endpoint: &str) -> aws_sdk_dynamodb::Client {
    let endpoints = Endpoints { dynamodb: Some(endpoint.to_owned()), ..Endpoints::default() };
    Aws::local(REGION, ACCOUNT, endpoints).dynamodb()
}

/// What a router answered.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// The paths of a problem's faults with their codes, in order.
    pub fn faults(&self) -> Vec<(String, String)> {
        let document = self.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        document["errors"].as_array().unwrap().iter().map(|e| (text(&e["path"]), text(&e["code"]))).collect()
    }

    /// Checks that this is a whole problem document; answers its status.
    pub fn problem(&self) -> u16 {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
        let document = self.json();
        for member in ["type", "title", "detail"] {
            assert!(document[member].is_string(), "{member}: {document}");
        }
        assert_eq!(document["status"], self.status);
        assert!(document["errors"].is_array(), "{document}");
        self.status
    }
}

/// One request to `router`: `line` is `METHOD /path`, the path beneath the API's base.
pub async fn call(router: &Router, key: &str, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(format!("{}{path}", api::BASE));
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(router, request.body(Body::from(body.to_vec())).unwrap()).await
}

pub async fn send(router: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

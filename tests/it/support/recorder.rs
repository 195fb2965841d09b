//! A small HTTP server that handlers under test tell what they did, where ten of them can meet, and with a gate where they can wait.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::sync::Barrier;

/// What was told, the barrier and the gate. Listens on loopback for as long as the test lives.
#[derive(Clone)]
pub struct Recorder {
    /// Its address, for a message's `recorder` field.
    pub url: String,
    told: Arc<Mutex<Vec<String>>>,
    gate: Arc<Mutex<Gate>>,
}

/// Closed at first.
#[derive(Default)]
struct Gate {
    is_open: bool,
    /// Who has asked to be let through.
    asked: BTreeSet<String>,
}

#[derive(Clone)]
struct Desk {
    told: Arc<Mutex<Vec<String>>>,
    barrier: Arc<Barrier>,
    gate: Arc<Mutex<Gate>>,
}

impl Recorder {
    /// A recorder whose barrier lets `meeting` handlers through at a time.
    pub async fn start(meeting: usize) -> Recorder {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let gate: Arc<Mutex<Gate>> = Arc::default();
        let barrier = Arc::new(Barrier::new(meeting));
        let desk = Desk { told: Arc::clone(&told), barrier, gate: Arc::clone(&gate) };
        let router = Router::new()
            .route("/barrier/{name}", get(arrive))
            .route("/gate/{name}", get(pass))
            .route("/echo", post(echo))
            .route("/{what}/{name}", get(note))
            .with_state(desk);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Recorder { url, told, gate }
    }

    /// Everything told so far, in order: `done/a`, `fail/b` ...
    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// How many handlers have come to the gate.
    pub fn waiting(&self) -> usize {
        self.gate.lock().unwrap().asked.len()
    }

    /// Opens the gate for good.
    pub fn open(&self) {
        self.gate.lock().unwrap().is_open = true;
    }

    /// How often exactly this was told.
    pub fn count(&self, what: &str) -> usize {
        self.told().iter().filter(|told| *told == what).count()
    }
}

async fn arrive(State(desk): State<Desk>, Path(name): Path<String>) -> &'static str {
    desk.barrier.wait().await;
    desk.told.lock().unwrap().push(format!("met/{name}"));
    "all here"
}

/// Whoever is told no asks again: no request is kept waiting, as a handler's requests are cut off after 10 s.
async fn pass(State(desk): State<Desk>, Path(name): Path<String>) -> StatusCode {
    let mut gate = desk.gate.lock().unwrap();
    gate.asked.insert(name);
    if gate.is_open { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn note(State(desk): State<Desk>, Path((what, name)): Path<(String, String)>) -> &'static str {
    desk.told.lock().unwrap().push(format!("{what}/{name}"));
    "noted"
}

async fn echo(State(desk): State<Desk>, body: String) -> &'static str {
    desk.told.lock().unwrap().push(body);
    "noted"
}

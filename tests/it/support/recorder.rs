//! A small HTTP server that handlers under test tell what they did, and where ten of them can meet.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use tokio::sync::Barrier;

/// What was told, and the barrier. Listens on loopback for as long as the test lives.
#[derive(Clone)]
pub struct Recorder {
    /// Its address, for a message's `recorder` field.
    pub url: String,
    told: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
struct Desk {
    told: Arc<Mutex<Vec<String>>>,
    barrier: Arc<Barrier>,
}

impl Recorder {
    /// A recorder whose barrier lets `meeting` handlers through at a time.
    pub async fn start(meeting: usize) -> Recorder {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let desk = Desk { told: Arc::clone(&told), barrier: Arc::new(Barrier::new(meeting)) };
        let router = Router::new()
            .route("/barrier/{name}", get(arrive))
            .route("/echo", post(echo))
            .route("/{what}/{name}", get(note))
            .with_state(desk);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Recorder { url, told }
    }

    /// Everything told so far, in order: `done/a`, `fail/b` ...
    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
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

async fn note(State(desk): State<Desk>, Path((what, name)): Path<(String, String)>) -> &'static str {
    desk.told.lock().unwrap().push(format!("{what}/{name}"));
    "noted"
}

async fn echo(State(desk): State<Desk>, body: String) -> &'static str {
    desk.told.lock().unwrap().push(body);
    "noted"
}

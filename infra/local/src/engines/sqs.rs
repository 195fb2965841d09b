//! SQS on this machine: the queue service's own rules over one SQLite file.
//!
//! **The file is the only truth.** A message is one row; whether it is visible, delayed or in flight follows from
//! its columns and the time, so nothing has to be written when a deadline passes, and a process killed at any line
//! leaves exactly what it had answered for. Each operation is one transaction, committed before its answer.
//!
//! Deadlines of messages are read from the [`Clock`] that is handed in. How long a poll waits is real time.
//!
//! Not imitated: request signatures, the 60 seconds after a deletion in which a name is blocked, limits on messages
//! in flight, KMS, and the older Query (XML) protocol.

mod attributes;
mod batch;
mod bells;
mod content;
mod gateway;
mod queues;
mod receive;
mod redrive;
mod refusal;
mod send;
mod settle;
mod store;
mod stored;
#[cfg(test)]
mod tests;

use super::EngineError;
use crate::guard;
use axum::{Router, extract::DefaultBodyLimit, middleware};
use bells::Bells;
use domain::Clock;
use std::{future::Future, net::SocketAddr, path::Path, sync::Arc};
use store::{Place, Store};
use tokio::{net::TcpListener, sync::watch};

/// The name this engine goes by in errors and logs.
const ENGINE: &str = "SQS";

/// Bodies of requests: 1 MiB of messages may be six times as long once JSON has escaped it.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// An open SQS engine. Clones share the same file, clock and waiting polls.
#[derive(Clone)]
pub struct SqsEngine {
    store: Arc<Store>,
    bells: Arc<Bells>,
    closed: Arc<watch::Sender<bool>>,
}

impl SqsEngine {
    /// Opens `file`, making it if it is absent. `region` and `account` go into ARNs, `authority` into queue URLs,
    /// which are built at each answer and never stored.
    ///
    /// # Errors
    /// [`EngineError::Damaged`], [`EngineError::Foreign`] and [`EngineError::Unusable`] name the file.
    pub fn open(
        file: &Path,
        region: &str,
        account: &str,
        authority: SocketAddr,
        clock: Clock,
    ) -> Result<SqsEngine, EngineError> {
        let place = Place { region: region.to_owned(), account: account.to_owned(), authority };
        let store = Store::open(file, place, clock)?;
        Ok(SqsEngine {
            store: Arc::new(store),
            bells: Arc::new(Bells::default()),
            closed: Arc::new(watch::Sender::new(false)),
        })
    }

    /// The HTTP surface: AWS JSON 1.0, guarded against browsers.
    pub fn router(&self) -> Router {
        Router::new()
            .fallback(gateway::answer)
            .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
            .layer(middleware::from_fn(guard::refuse_browsers))
            .with_state(self.clone())
    }

    /// Serves on `listener` until `stop` resolves; waiting polls are then answered at once, empty.
    ///
    /// # Errors
    /// [`EngineError::Serving`] if the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), EngineError> {
        let router = self.router();
        let stopped = async move {
            stop.await;
            self.close();
        };
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped).await;
        served.map_err(|source| EngineError::Serving { engine: ENGINE, source })
    }

    /// Lets every waiting poll look again. Needed only after a clock that is not the wall clock was moved.
    pub fn wake(&self) {
        self.bells.ring_all();
    }

    /// Ends the waiting polls, now and from now on: each is answered with what is there.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// How long the oldest message of a queue has been there, in seconds: what CloudWatch calls
    /// `ApproximateAgeOfOldestMessage`. `None`: no such queue, or it is empty.
    ///
    /// # Errors
    /// [`EngineError::Unusable`] if the file cannot be read.
    pub fn oldest_age_secs(&self, queue: &str) -> Result<Option<u64>, EngineError> {
        self.store.oldest_age_secs(queue)
    }
}

//! DynamoDB and its streams on this machine: dynoxide over one SQLite file, behind a guard of ours.
//!
//! Dynoxide's own HTTP server is not used: it answers every web page (`access-control-allow-origin: *`), cannot be
//! wrapped, and waits for the disk on the async threads. Its library calls are public, so `operations` maps each
//! API operation onto one of them.
//!
//! Four things are mended from outside, through a second connection to the same file:
//! - stream records get an index: without it each write scans all of them;
//! - stream records older than 24 hours are removed, as AWS does;
//! - the TTL sweep, which dynoxide offers but never starts, runs on a timer;
//! - a table whose making was broken off by a kill is forgotten at the next start, so that it can be made.

mod house;
mod operations;
#[cfg(test)]
mod tests;

use super::{EngineError, file};
use crate::guard;
use axum::{Router, extract::DefaultBodyLimit, middleware, routing::post};
use std::{future::Future, path::Path};
use tokio::{net::TcpListener, sync::watch};

/// The name this engine goes by in errors and logs.
const ENGINE: &str = "DynamoDB";

/// DynamoDB takes request bodies up to 16 MiB.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// What an acknowledged write has to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A loss of power: each commit waits for the disk (about 260 a second on a laptop).
    Safe,
    /// A killed process, not a loss of power (about 10,000 commits a second).
    Fast,
}

/// An open DynamoDB engine. Clones share the same file and state.
#[derive(Clone)]
pub struct DynamoDbEngine {
    database: dynoxide::Database,
    house: house::House,
    writes: watch::Sender<u64>,
}

impl DynamoDbEngine {
    /// Opens `file`, making it if it is absent, and mends what dynoxide leaves open.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] and [`EngineError::Unusable`] name the file.
    pub fn open(file: &Path, durability: Durability) -> Result<DynamoDbEngine, EngineError> {
        drop(file::open(ENGINE, file)?);
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| EngineError::Unusable {
            engine: ENGINE,
            file: file.to_owned(),
            source,
        };
        let path = file.to_str().ok_or_else(|| unusable("its path is not UTF-8".into()))?;
        let database = dynoxide::Database::new(path).map_err(|error| unusable(error.into()))?;
        if durability == Durability::Fast {
            // Despite its name this sets `synchronous = NORMAL`; dynoxide has no other switch for it.
            database.disable_bulk_loading().map_err(|error| unusable(error.into()))?;
        }
        let house = house::House::open(file)?;
        Ok(DynamoDbEngine { database, house, writes: watch::Sender::new(0) })
    }

    /// The HTTP surface: DynamoDB and DynamoDB Streams in AWS JSON 1.0, guarded against browsers.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", post(operations::answer))
            .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
            .layer(middleware::from_fn(guard::refuse_browsers))
            .with_state(operations::Desk { database: self.database.clone(), writes: self.writes.clone() })
    }

    /// Counts the writes that were asked for by HTTP: whoever reads a stream need not ask again and again whether there is
    /// news. What expires is not counted.
    pub fn writes(&self) -> watch::Receiver<u64> {
        self.writes.subscribe()
    }

    /// Removes every stream record, as a day does.
    #[cfg(test)]
    pub(crate) fn trim_all_streams(&self) -> rusqlite::Result<usize> {
        self.house.trim_streams(i64::MAX)
    }

    /// Serves on `listener` until `stop` resolves, and keeps house meanwhile: expired items (each 10 s) and
    /// stream records older than 24 hours (each minute) are removed.
    ///
    /// # Errors
    /// [`EngineError::Serving`] if the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), EngineError> {
        let housekeeping = tokio::spawn(house::keep(self.house.clone(), self.database.clone()));
        let served = axum::serve(listener, self.router()).with_graceful_shutdown(stop).await;
        housekeeping.abort();
        served.map_err(|source| EngineError::Serving { engine: ENGINE, source })
    }
}

/// Opens `file` and serves it on `listener` until `stop` resolves: [`DynamoDbEngine::open`], then
/// [`DynamoDbEngine::serve`]. A caller that wants to know of a damaged file before it goes on calls the two itself.
///
/// # Errors
/// Those of the two calls.
pub async fn serve(
    listener: TcpListener,
    file: &Path,
    durability: Durability,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), EngineError> {
    DynamoDbEngine::open(file, durability)?.serve(listener, stop).await
}

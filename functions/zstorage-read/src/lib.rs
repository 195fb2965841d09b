//! `zstorage-read`: records read and found over HTTP, with the price shown.
//!
//! **Nothing here writes**, and the function's role on AWS could not.

mod explain;
mod problems;
mod query;
mod single;
mod start;
mod wanted;

use api::{BASE, Tables};
use axum::Router;
use axum::routing::{get, post};
use zstorage::Records;

pub use start::start;

/// What the routes stand on.
#[derive(Clone)]
pub struct ReadState {
    /// Where tables are found.
    pub tables: Tables,
    /// What reads.
    pub records: Records,
}

/// The routes `GET record/{id}` and `POST record/query`; without authentication and fallback, which `api::serve` adds.
pub fn router(state: ReadState) -> Router {
    Router::new()
        .route(&format!("{BASE}/record/{{id}}"), get(single::read))
        .route(&format!("{BASE}/record/query"), post(query::query))
        .with_state(state)
}

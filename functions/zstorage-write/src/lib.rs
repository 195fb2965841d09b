//! `zstorage-write`: records made, changed and removed over HTTP, each write one transaction.
//!
//! **What is refused changes nothing, and every fault of a record is named at once.** Reading is `zstorage-read`'s, whose
//! role cannot write.
//!
//! Messages of links are committed with the record. Those of a strict link are on their queue before the answer; the others can
//! be waited for (`?wait=published`), and are never sent from here.

mod batch;
mod given;
mod messages;
mod operation;
mod options;
mod problems;
mod single;
mod start;

use api::{BASE, Tables};
use axum::Router;
use axum::routing::{post, put};
use delivery::Writer;

pub use start::start;

/// What the routes stand on.
#[derive(Clone)]
pub struct WriteState {
    /// Where tables are found.
    pub tables: Tables,
    /// What writes.
    pub writer: Writer,
}

/// The routes `POST record/new`, `PUT` and `DELETE record/{id}`, `POST record/batch`; without authentication and fallback,
/// which `api::serve` adds.
pub fn router(state: WriteState) -> Router {
    Router::new()
        .route(&format!("{BASE}/record/new"), post(single::create))
        .route(&format!("{BASE}/record/{{id}}"), put(single::update).delete(single::delete))
        .route(&format!("{BASE}/record/batch"), post(batch::batch))
        .with_state(state)
}

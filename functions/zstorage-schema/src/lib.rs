//! `zstorage-schema`: tables over HTTP, with their fields, rules, indexes and links, and the pages of the backoffice.
//!
//! **What does not compile is not saved**: every change is compiled whole and each expression of it tried on a sample first.
//! A change never rewrites records; what has to (an index, a deletion) is left to a job.

mod answers;
mod change;
mod design;
mod documents;
mod fields;
mod indexes;
mod link_test;
mod links;
mod pages;
mod rules;
mod start;
mod tables;
mod wanted;
mod would_fail;

use api::BASE;
use axum::Router;
use axum::routing::{get, post, put};
use domain::Clock;
use queue::JobsQueue;
use zstorage::{Catalog, DataKeys, Jobs, Records, Sealer};

pub use start::{TRIAL_RECORDS, start};

/// What the routes stand on.
#[derive(Clone)]
pub struct SchemaState {
    /// Tables and pages, and the queues that links point to.
    pub catalog: Catalog,
    /// What is in the tables.
    pub records: Records,
    /// Jobs that were started.
    pub jobs: Jobs,
    /// What lets them run.
    pub jobs_queue: JobsQueue,
    /// Makes the tables' keys.
    pub sealer: Sealer,
    /// The tables' keys, opened.
    pub keys: DataKeys,
    /// The time.
    pub clock: Clock,
    /// How long after a change a job begins, seconds: by then every process knows the change, and what it began before
    /// is over.
    pub job_delay_secs: u32,
    /// Records that a rule is tried on, at most.
    pub trial_records: usize,
}

/// The routes, without authentication and fallback, which `api::serve` adds.
pub fn router(state: SchemaState) -> Router {
    let at = |path: &str| format!("{BASE}{path}");
    Router::new()
        .route(&at("/table"), post(tables::create).get(tables::list))
        .route(&at("/table/{apiName}"), get(tables::read).put(tables::change).delete(tables::remove))
        .route(&at("/table/{apiName}/field"), post(fields::add))
        .route(&at("/table/{apiName}/field/{name}"), put(fields::change).delete(fields::remove))
        .route(&at("/table/{apiName}/rule"), post(rules::add))
        .route(&at("/table/{apiName}/rule/would-fail"), post(would_fail::would_fail))
        .route(&at("/table/{apiName}/rule/{name}"), put(rules::change).delete(rules::remove))
        .route(&at("/table/{apiName}/index"), post(indexes::add))
        .route(&at("/table/{apiName}/index/{id}"), get(indexes::read).delete(indexes::remove))
        .route(&at("/table/{apiName}/link"), post(links::add).get(links::list))
        .route(&at("/link/{id}"), get(links::read).put(links::change).delete(links::remove))
        .route(&at("/link/{id}/test"), post(link_test::test))
        .route(&at("/page"), post(pages::create).get(pages::list))
        .route(&at("/page/{name}"), get(pages::read).put(pages::change).delete(pages::remove))
        .with_state(state)
}

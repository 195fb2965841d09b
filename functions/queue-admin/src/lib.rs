//! `queue-admin`: the registry of queues over HTTP, with pause and resume, API keys, packages of handlers, dead letters,
//! the outbox and health.
//!
//! **A secret goes in and never comes out**: passwords are sealed before they are kept, and of API keys only a hash is.

mod brokers;
mod changes;
mod create;
mod documents;
mod health;
mod jobs;
mod keys;
mod letters;
mod outbox;
mod packages;
mod problems;
mod queues;
mod remove;
mod settings;
mod start;
mod wanted;

use api::BASE;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use domain::Clock;
use queue::{Ages, Mappings, Queues};
use serde_json::{Value, json};
use zstorage::{Catalog, Jobs, Messages, Outbox, Sealer};

pub use brokers::{Brokers, OwnBroker, Received};
pub use remove::RemoveError;
pub use settings::Settings;
pub use start::start;

/// What the routes stand on.
#[derive(Clone)]
pub struct AdminState {
    /// Queues, keys and packages.
    pub catalog: Catalog,
    /// Letters.
    pub messages: Messages,
    /// How far jobs are.
    pub jobs: Jobs,
    /// What is to be sent, and what was given up.
    pub outbox: Outbox,
    /// The queues themselves.
    pub queues: Queues,
    /// What feeds the worker.
    pub mappings: Mappings,
    /// How long the oldest message has waited.
    pub ages: Ages,
    /// Seals foreign credentials, and secrets of packages.
    pub sealer: Sealer,
    /// The time.
    pub clock: Clock,
    /// What this installation allows.
    pub settings: Settings,
}

/// The routes, without authentication and fallback, which `api::serve` adds.
pub fn router(state: AdminState) -> Router {
    let at = |path: &str| format!("{BASE}{path}");
    Router::new()
        .route(&at("/health"), get(alive))
        .route(&at("/queue"), post(create::create).get(queues::list))
        .route(&at("/queue/{id}"), get(queues::by_id).put(changes::change).delete(remove::remove))
        .route(&at("/queue/a/{name}"), get(queues::by_name))
        .route(&at("/queue/{id}/pause"), post(queues::pause))
        .route(&at("/queue/{id}/resume"), post(queues::resume))
        .route(&at("/key"), post(keys::create).get(keys::list))
        .route(&at("/key/{id}"), get(keys::read).delete(keys::revoke))
        .route(&at("/key/{id}/rotate"), post(keys::rotate))
        .route(&at("/key/{id}/secret/previous"), delete(keys::drop_previous))
        .route(&at("/package"), get(packages::list))
        .route(&at("/package/{name}"), get(packages::read).delete(packages::remove))
        .route(&at("/package/{name}/release"), post(packages::create_release))
        .route(&at("/package/{name}/release/{n}"), get(packages::release))
        .route(&at("/package/{name}/active"), put(packages::activate))
        .route(
            &at("/package/{name}/secret/{secret}"),
            put(packages::set_secret).delete(packages::forget_secret),
        )
        .route(&at("/job/{id}"), get(jobs::read))
        .route(&at("/dead-letter/{message-id}"), get(letters::read))
        .route(&at("/outbox"), get(outbox::list))
        .route(&at("/outbox/{entry}"), get(outbox::read))
        .route(&at("/outbox/{entry}/redrive"), post(outbox::redrive))
        .route(&at("/outbox/{entry}/discard"), post(outbox::discard))
        .route(&at("/message/{id}"), get(outbox::read_message).delete(outbox::cancel))
        .with_state(state)
}

/// Open to everybody, so it says nothing but that the process answers.
async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

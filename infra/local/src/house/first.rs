//! What the first start makes: the key file, the admin API key, the samples.

use std::path::Path;

use api::BASE;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use domain::{ApiKeyText, Clock, Scope, Scopes, Secret};
use serde_json::{Value, json};
use tower::ServiceExt;
use zstorage::{Catalog, CatalogError, Sealer};

use super::StartError;
use crate::key;

/// The sample table.
const STUDENTS: &str = "Estudante";

/// Answers of our own API are small.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// The key that seals credentials of queues. It is made once, before the tables; tables without it are a sign of loss,
/// and a new key would hide that.
pub(super) fn sealer(key_file: &Path, tables_exist: bool) -> Result<Sealer, StartError> {
    if !key_file.exists() {
        if tables_exist {
            return Err(StartError::KeyMissing(key_file.to_owned()));
        }
        Sealer::create_key_file(key_file).map_err(StartError::KeyUnmade)?;
    }
    remove_copies(key_file);
    Sealer::from_key_file(key_file).map_err(StartError::Key)
}

/// A start that was killed while it made the key leaves it, or another one, in a file beside it.
fn remove_copies(key_file: &Path) {
    let (Some(folder), Some(name)) = (key_file.parent(), key_file.file_name().and_then(|name| name.to_str()))
    else {
        return;
    };
    let beside = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for file in beside {
        let copy = file
            .file_name()
            .to_str()
            .and_then(|file| file.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".new"));
        if copy && let Err(error) = std::fs::remove_file(file.path()) {
            tracing::warn!(%error, file.path = %file.path().display(), "a copy of the key file could not be removed");
        }
    }
}

/// The admin key of an earlier start if it still opens, else a new one, which nobody has seen yet.
pub(super) enum AdminKey {
    /// Shown at an earlier start.
    Kept(Secret),
    /// To be shown.
    New(Secret),
}

/// Reads or makes the admin key.
pub(super) async fn admin_key(
    catalog: &Catalog,
    kept: Option<Secret>,
    clock: &Clock,
) -> Result<AdminKey, CatalogError> {
    let now = clock.now();
    if let Some(kept) = kept
        && let Ok(text) = ApiKeyText::parse(kept.expose())
        && catalog.key(text.id).await?.is_some_and(|key| key.opens(&text.secret, now))
    {
        return Ok(AdminKey::Kept(kept));
    }
    let scopes = Scopes::from_iter([Scope::Everything]);
    Ok(AdminKey::New(key::create(catalog, "admin of this machine", scopes, now).await?))
}

/// The sample queues, and the table whose records become messages: made through our own API as a user would. What is there
/// already is left as it is.
pub(super) async fn samples(api: &Router, admin_key: &Secret) -> Result<(), StartError> {
    let ask = async |method: Method, path: &str, body: Option<&Value>| {
        ask(api, admin_key, method, path, body).await
    };
    let made = [
        ("queue", json!({ "name": "on-boarding", "type": "sqs", "default-handler": "send_email" })),
        ("queue", json!({ "name": "etx-event-log", "type": "sqs", "worker": "none" })),
        (
            "table",
            json!({
                "apiName": STUDENTS,
                "label": "Estudantes",
                "fields": [
                    { "apiName": "nome", "type": "text", "required": true },
                    { "apiName": "email", "type": "email" },
                    { "apiName": "status", "type": "picklist", "values": ["new", "paid"], "default": "new" },
                ],
            }),
        ),
    ];
    for (path, body) in &made {
        ask(Method::POST, path, Some(body)).await?;
    }
    let links = format!("table/{STUDENTS}/link");
    let known = ask(Method::GET, &links, None).await?;
    // A first start that was killed may have made it.
    if known["links"].as_array().is_none_or(Vec::is_empty) {
        ask(Method::POST, &links, Some(&json!({ "queue": "etx-event-log", "on": ["create", "update"] })))
            .await?;
    }
    Ok(())
}

/// One request to our own API. That something is there already is no error.
async fn ask(
    api: &Router,
    admin_key: &Secret,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, StartError> {
    let request = Request::builder()
        .method(&method)
        .uri(format!("{BASE}/{path}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-api-key", admin_key.expose())
        .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
        .expect("method, path and headers are well formed");
    let Ok(answer) = api.clone().oneshot(request).await;
    let status = answer.status();
    let bytes = to_bytes(answer.into_body(), MAX_ANSWER_BYTES).await.unwrap_or_default();
    let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status.is_success() || status == StatusCode::CONFLICT {
        return Ok(document);
    }
    let message = format!("{method} {path} was answered {status}: {}", document["detail"]);
    Err(StartError::part("the samples")(message))
}

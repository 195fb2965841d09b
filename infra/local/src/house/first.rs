//! What the first start makes: the key file, the admin API key, the samples.

use std::path::Path;

use api::BASE;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use domain::{ApiKeyText, Clock, Scope, Scopes, Secret};
use serde_json::{Value, json};
use tower::ServiceExt;
use zstorage::{Catalog, CatalogError, Sealer};

use super::StartError;
use crate::key;

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

/// The sample queues, made through our own API as a user would. One that is there already is left as it is.
pub(super) async fn samples(api: &Router, admin_key: &Secret) -> Result<(), StartError> {
    let samples = [
        json!({ "name": "on-boarding", "type": "sqs", "default-handler": "send_email" }),
        json!({ "name": "etx-event-log", "type": "sqs", "worker": "none" }),
    ];
    for sample in samples {
        let request = Request::post(format!("{BASE}/queue"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-api-key", admin_key.expose())
            .body(Body::from(sample.to_string()))
            .expect("method, path and headers are well formed");
        let Ok(answer) = api.clone().oneshot(request).await;
        if !answer.status().is_success() && answer.status() != StatusCode::CONFLICT {
            let status = answer.status();
            let body = to_bytes(answer.into_body(), MAX_ANSWER_BYTES).await.unwrap_or_default();
            let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
            let message =
                format!("the queue {} was answered {status}: {}", sample["name"], problem["detail"]);
            return Err(StartError::part("the samples")(message));
        }
    }
    Ok(())
}

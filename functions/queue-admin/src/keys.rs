use std::sync::Arc;

use api::{Caller, Given, JsonObject, Kind, PathText, Problem, QueryText};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{ApiKey, ApiKeyText, Fault, KeyId, KeySecret, MAX_LIVE_SECRETS, Scope, Scopes};
use http::StatusCode;
use http::header::{CACHE_CONTROL, LOCATION};
use jiff::Timestamp;
use serde_json::{Value, json};
use zstorage::CatalogError;

use crate::{AdminState, documents, queues};

/// A label has at most this many characters.
const MAX_LABEL: usize = 200;

/// A key has at most this many scopes.
const MAX_SCOPES: usize = 100;

/// A lost race is run again at most so often.
const TRIES: usize = 5;

/// `POST key`: a new key, within the caller's own scopes; its text is shown this once.
pub(crate) async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    body: JsonObject,
) -> Result<Response, Problem> {
    caller.require(&Scope::KeyWrite)?;
    let now = state.clock.now();
    let (label, scopes, expires_at) = read_wanted(&body, now)?;
    within_own(&caller, &scopes)?;
    let text = ApiKeyText { id: KeyId::new(now, &mut rand::rng()), secret: KeySecret::new(&mut rand::rng()) };
    let key = ApiKey {
        id: text.id,
        label,
        scopes,
        secret_hashes: vec![text.secret.hash()],
        created_at: now,
        expires_at,
        revoked_at: None,
    };
    state.catalog.create_key(&key).await?;
    let location = format!("{}/key/{}", api::BASE, key.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], shown_once(&key, &text)).into_response())
}

/// `GET key`: a page of all keys, those revoked too.
pub(crate) async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    query: QueryText,
) -> Result<Json<Value>, Problem> {
    caller.require(&Scope::KeyRead)?;
    let (limit, cursor) = queues::page::<KeyId>(query, &["limit", "cursor"])?;
    let page = state.catalog.list_keys(limit, cursor.as_ref()).await?;
    let keys: Vec<Value> = page.items.iter().map(documents::of_key).collect();
    Ok(Json(json!({ "keys": keys, "cursor": page.next.map(|cursor| cursor.to_string()) })))
}

/// `GET key/{id}`
pub(crate) async fn read(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<Json<Value>, Problem> {
    caller.require(&Scope::KeyRead)?;
    Ok(Json(documents::of_key(&*state.key(&id).await?)))
}

/// `POST key/{id}/rotate`: one more secret, shown this once. The newest two are live; the one before them is dropped.
pub(crate) async fn rotate(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<Response, Problem> {
    let secret = KeySecret::new(&mut rand::rng());
    let hash = secret.hash();
    let key = state
        .change_key(&caller, &id, |key| {
            alive(key, state.clock.now())?;
            let mut hashes = key.secret_hashes.clone();
            hashes.push(hash);
            hashes.drain(..hashes.len().saturating_sub(MAX_LIVE_SECRETS));
            Ok(ApiKey { secret_hashes: hashes, ..key.clone() })
        })
        .await?;
    Ok(shown_once(&key, &ApiKeyText { id: key.id, secret }).into_response())
}

/// `DELETE key/{id}/secret/previous`: only the newest secret opens the key from here on.
pub(crate) async fn drop_previous(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<StatusCode, Problem> {
    let only_newest = |key: &ApiKey| {
        let newest = key.secret_hashes.last().copied();
        Ok(ApiKey { secret_hashes: newest.into_iter().collect(), ..key.clone() })
    };
    state.change_key(&caller, &id, only_newest).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE key/{id}`: revokes it; within 60 s no process takes it any more. The last key that may do everything stays: nobody
/// could make another.
pub(crate) async fn revoke(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<StatusCode, Problem> {
    caller.require(&Scope::KeyWrite)?;
    for _ in 0..TRIES {
        let key = state.key(&id).await?;
        within_own(&caller, &key.scopes)?;
        let now = state.clock.now();
        let revoked = ApiKey { revoked_at: key.revoked_at.or(Some(now)), ..key.as_ref().clone() };
        let done = if alive(&key, now).is_ok() && key.scopes.cover(&Scope::Everything) {
            let Some(other) = state.other_master(key.id, now).await? else {
                let detail = "this is the last key with the scope *; make another one first, or nobody can make keys any more";
                return Err(Problem::new(Kind::Conflict, detail));
            };
            // In one transaction with the look at the other: it may be on its way out by the same road.
            state.catalog.update_key_beside(&key, &revoked, &other).await
        } else {
            state.catalog.update_key(&key, &revoked).await
        };
        match done {
            Err(CatalogError::Conflict) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return Ok(StatusCode::NO_CONTENT),
        }
    }
    Err(CatalogError::Conflict.into())
}

fn read_wanted(body: &JsonObject, now: Timestamp) -> Result<(String, Scopes, Option<Timestamp>), Problem> {
    let mut fields = body.fields()?;
    let label = match fields.text("label") {
        Given::Is(text)
            if text.trim().is_empty()
                || text.chars().count() > MAX_LABEL
                || text.chars().any(char::is_control) =>
        {
            let message =
                format!("a label has 1 to {MAX_LABEL} characters, none of them a control character");
            fields.wrong("label", "length", message)
        }
        given => given,
    };
    let label = fields.required("label", label);
    let scopes = fields.texts("scopes");
    let scopes = fields.required("scopes", scopes).map(|texts| {
        if texts.is_empty() || texts.len() > MAX_SCOPES {
            fields.faults.add("scopes", "count", format!("a key has 1 to {MAX_SCOPES} scopes"));
        }
        let parsed = texts.iter().take(MAX_SCOPES).enumerate().filter_map(|(at, text)| {
            let scope = text.parse::<Scope>();
            fields
                .faults
                .take(scope.map_err(|error| Fault::new(format!("scopes/{at}"), "scope", error.to_string())))
        });
        parsed.collect::<Scopes>()
    });
    let expires_at = fields.parsed("expires-at", |text| match text.parse::<Timestamp>() {
        Ok(at) if at > now => Ok(at),
        Ok(_) => Err(Fault::new("expires-at", "past", "'expires-at' must be in the future")),
        Err(_) => Err(Fault::new("expires-at", "date", "'expires-at' is a date as in 2027-01-31T12:00:00Z")),
    });
    fields.refuse_unknown(&["label", "scopes", "expires-at"]);
    fields.faults.into_result()?;
    Ok((label.unwrap_or_default(), scopes.unwrap_or_default(), expires_at.value()))
}

/// A key grants only scopes it holds; that goes for the keys it makes, rotates and revokes.
fn within_own(caller: &Caller, scopes: &Scopes) -> Result<(), Problem> {
    let missing: Vec<String> = caller.scopes.missing(scopes).into_iter().map(ToString::to_string).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let detail =
        format!("this API key does not hold {}, so it can neither grant nor touch it", missing.join(", "));
    Err(Problem::new(Kind::Forbidden, detail))
}

fn alive(key: &ApiKey, now: Timestamp) -> Result<(), Problem> {
    if key.revoked_at.is_some() || key.expires_at.is_some_and(|end| end <= now) {
        return Err(Problem::new(Kind::Conflict, "this key is revoked or expired; make a new one"));
    }
    Ok(())
}

/// A key with its text. No cache on the way may keep it.
fn shown_once(key: &ApiKey, text: &ApiKeyText) -> impl IntoResponse + use<> {
    let mut document = documents::of_key(key);
    document["key"] = json!(text.reveal().expose());
    ([(CACHE_CONTROL, "no-store")], Json(document))
}

impl AdminState {
    /// The key of an id as it is stored now. Whoever asks has a right over all keys, so 404 tells nothing new.
    async fn key(&self, id: &str) -> Result<Arc<ApiKey>, Problem> {
        let found = match id.parse::<KeyId>() {
            Ok(id) => self.catalog.fresh_key(id).await?,
            Err(_no_id_of_ours) => None,
        };
        found.ok_or_else(|| Problem::new(Kind::NotFound, "there is no key of this id"))
    }

    async fn change_key(
        &self,
        caller: &Caller,
        id: &str,
        change: impl Fn(&ApiKey) -> Result<ApiKey, Problem> + Send + Sync,
    ) -> Result<ApiKey, Problem> {
        caller.require(&Scope::KeyWrite)?;
        for _ in 0..TRIES {
            let old = self.key(id).await?;
            within_own(caller, &old.scopes)?;
            let new = change(&old)?;
            match self.catalog.update_key(&old, &new).await {
                Err(CatalogError::Conflict) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => return Ok(new),
            }
        }
        Err(CatalogError::Conflict.into())
    }

    /// Another live key than `but` that may do everything.
    async fn other_master(&self, but: KeyId, now: Timestamp) -> Result<Option<ApiKey>, Problem> {
        let mut cursor = None;
        loop {
            let page = self.catalog.list_keys(100, cursor.as_ref()).await?;
            let master = |key: &ApiKey| {
                key.id != but && key.scopes.cover(&Scope::Everything) && alive(key, now).is_ok()
            };
            if let Some(other) = page.items.into_iter().find(master) {
                return Ok(Some(other));
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(None);
            }
        }
    }
}

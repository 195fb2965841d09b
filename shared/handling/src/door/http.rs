use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use egress::{FetchError, FetchRequest, Fetcher};
use lua_host::HostError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bug, outage, told};

/// What `http.fetch` is called with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fetch {
    url: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    headers: Headers,
    body: Option<String>,
    /// Seconds.
    timeout: Option<f64>,
}

/// Names and values. Lua has one empty table, which may arrive as an empty list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    Named(BTreeMap<String, String>),
    Empty([(); 0]),
}

impl Default for Headers {
    fn default() -> Headers {
        Headers::Empty([])
    }
}

/// Makes a request and answers `{ status, headers, body }` for every status; a body that is not UTF-8 comes as `body_base64` instead.
///
/// What brought no answer is thrown: as retryable where the same request may succeed later.
pub(super) async fn fetch(fetcher: &Fetcher, call: Fetch) -> Result<Value, HostError> {
    let timeout = match call.timeout.map(Duration::try_from_secs_f64) {
        None => None,
        Some(Ok(timeout)) => Some(timeout),
        Some(Err(_)) => return Err(bug("bad-argument", "a timeout is a number of seconds, 0 or more")),
    };
    let headers = match call.headers {
        Headers::Named(headers) => headers.into_iter().collect(),
        Headers::Empty(_) => Vec::new(),
    };
    let body = call.body.map(String::into_bytes);
    let request = FetchRequest { url: call.url, method: call.method, headers, body, timeout };
    let response = fetcher.fetch(request).await.map_err(|error| {
        let code = match &error {
            FetchError::Invalid(_) => "bad-argument",
            FetchError::Forbidden(_) => "address-forbidden",
            FetchError::Unresolved(_) => "unknown-host",
            FetchError::TooLarge { .. } => "answer-too-large",
            FetchError::Timeout(_) => "timeout",
            FetchError::Connection(_) => "connection-failed",
        };
        if error.is_retryable() { outage(code, told(&error)) } else { bug(code, told(&error)) }
    })?;
    let mut answer = json!({ "status": response.status, "headers": response.headers });
    match String::from_utf8(response.body) {
        Ok(text) => answer["body"] = text.into(),
        Err(bytes) => answer["body_base64"] = STANDARD.encode(bytes.into_bytes()).into(),
    }
    Ok(answer)
}

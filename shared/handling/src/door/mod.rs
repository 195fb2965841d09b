//! What handlers may ask of the world, one call at a time. A call that is not listed here is refused.

mod crypto;
mod http;
mod mail;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use egress::{Fetcher, Mailer};
use futures::FutureExt;
use futures::future::BoxFuture;
use lua_host::{Host, HostCall, HostError};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Passwords hashed side by side: each takes 19 MiB and a core for as long as it runs.
const HASHES_AT_ONCE: usize = 2;

/// A handler waits at most this long in one `time.sleep`, seconds.
const MAX_SLEEP_SECS: f64 = 900.0;

/// What the door leads to.
#[derive(Clone)]
pub struct DoorParts {
    /// Sends mail; `None` = no mail server is configured, and `mail.send` says so.
    pub mailer: Option<Mailer>,
    /// Fetches URLs.
    pub fetcher: Fetcher,
}

/// The one door of the sandbox, shared by all messages. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    parts: Arc<DoorParts>,
    hashes: Arc<Semaphore>,
}

/// The door as one message sees it.
pub(crate) struct MessageDoor {
    door: Door,
    message: String,
    /// Mails this run has sent so far.
    mails: AtomicU32,
}

impl Door {
    /// A door that leads to these.
    pub fn new(parts: DoorParts) -> Door {
        Door { parts: Arc::new(parts), hashes: Arc::new(Semaphore::new(HASHES_AT_ONCE)) }
    }

    /// The door for one run of one message's handler.
    pub(crate) fn for_message(&self, id: &str, round: u32) -> MessageDoor {
        MessageDoor { door: self.clone(), message: format!("{id}.{round}"), mails: AtomicU32::new(0) }
    }
}

impl MessageDoor {
    async fn answer(&self, call: HostCall) -> Result<Value, HostError> {
        let HostCall { module, function, arguments } = call;
        match (module.as_str(), function.as_str()) {
            ("mail", "send") => {
                // The same mail of the same message has the same Message-ID at each attempt.
                let nth = self.mails.fetch_add(1, Ordering::Relaxed) + 1;
                mail::send(
                    self.door.parts.mailer.as_ref(),
                    read(arguments)?,
                    format!("{}.{nth}", self.message),
                )
                .await
            }
            ("http", "fetch") => http::fetch(&self.door.parts.fetcher, read(arguments)?).await,
            ("crypto", "hash_password") => crypto::hash(&self.door.hashes, read(arguments)?).await,
            ("crypto", "verify_password") => crypto::verify(&self.door.hashes, read(arguments)?).await,
            ("time", "sleep") => sleep(read(arguments)?).await,
            _ => Err(bug("unknown-call", format!("there is no host function {module}.{function}"))),
        }
    }
}

impl Host for MessageDoor {
    fn call(&self, call: HostCall) -> BoxFuture<'_, Result<Value, HostError>> {
        self.answer(call).boxed()
    }
}

#[derive(serde::Deserialize)]
struct Sleep {
    seconds: f64,
}

async fn sleep(Sleep { seconds }: Sleep) -> Result<Value, HostError> {
    let time = Duration::try_from_secs_f64(seconds).ok().filter(|_| seconds <= MAX_SLEEP_SECS);
    let time =
        time.ok_or_else(|| bug("bad-argument", format!("a handler sleeps 0 to {MAX_SLEEP_SECS} seconds")))?;
    tokio::time::sleep(time).await;
    Ok(json!(null))
}

/// The arguments as their type; what does not fit is the handler's bug.
fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, HostError> {
    serde_json::from_value(arguments).map_err(|error| bug("bad-argument", error.to_string()))
}

/// Thrown in Lua; the same call will fail again.
fn bug(code: &str, message: impl Into<String>) -> HostError {
    HostError { code: code.to_owned(), message: message.into(), retryable: false, expected: false }
}

/// Thrown in Lua; the same call may succeed later.
fn outage(code: &str, message: impl Into<String>) -> HostError {
    HostError { code: code.to_owned(), message: message.into(), retryable: true, expected: false }
}

/// Returned in Lua as `nil, err`: an answer a handler has to reckon with.
fn expected(code: &str, message: impl Into<String>) -> HostError {
    HostError { code: code.to_owned(), message: message.into(), retryable: false, expected: true }
}

/// An error with its causes, for the handler's log.
fn told(error: &dyn std::error::Error) -> String {
    domain::causes(error)
}

#[cfg(test)]
mod tests;

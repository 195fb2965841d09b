use argon2::password_hash::{Error, PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, Params};
use lua_host::HostError;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{bug, expected};

/// A password has at most this many bytes.
const MAX_PASSWORD_BYTES: usize = 1024;

/// What a hash may cost to check: whoever can store a hash must not be able to stop the worker.
const MAX_MEMORY_KIB: u32 = 64 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hash {
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    password: String,
    hash: String,
}

/// Answers the argon2id hash of a password, with its salt and cost, as text.
pub(super) async fn hash(places: &Semaphore, call: Hash) -> Result<Value, HostError> {
    fits(&call.password)?;
    let salt: [u8; 16] = rand::random();
    aside(places, move || {
        let salt = SaltString::encode_b64(&salt).map_err(|error| bug("hash-failed", error.to_string()))?;
        let hash = Argon2::default().hash_password(call.password.as_bytes(), &salt);
        hash.map(|hash| json!(hash.to_string())).map_err(|error| bug("hash-failed", error.to_string()))
    })
    .await
}

/// Answers whether the password is the one that was hashed; `nil, err` where the hash is none of ours.
pub(super) async fn verify(places: &Semaphore, call: Verify) -> Result<Value, HostError> {
    fits(&call.password)?;
    aside(places, move || {
        let hash = PasswordHash::new(&call.hash)
            .ok()
            .filter(is_affordable)
            .ok_or_else(|| expected("bad-hash", "this is not an argon2 hash that can be checked here"))?;
        match Argon2::default().verify_password(call.password.as_bytes(), &hash) {
            Ok(()) => Ok(json!(true)),
            Err(Error::Password) => Ok(json!(false)),
            Err(error) => Err(expected("bad-hash", error.to_string())),
        }
    })
    .await
}

fn fits(password: &str) -> Result<(), HostError> {
    if password.len() <= MAX_PASSWORD_BYTES {
        Ok(())
    } else {
        Err(bug("bad-argument", format!("a password has at most {MAX_PASSWORD_BYTES} bytes")))
    }
}

fn is_affordable(hash: &PasswordHash<'_>) -> bool {
    Params::try_from(hash).is_ok_and(|params| {
        params.m_cost() <= MAX_MEMORY_KIB && params.t_cost() <= MAX_PASSES && params.p_cost() <= MAX_LANES
    })
}

/// Runs what computes for long away from the messages' thread, few at once.
async fn aside(
    places: &Semaphore,
    work: impl FnOnce() -> Result<Value, HostError> + Send + 'static,
) -> Result<Value, HostError> {
    let _place = places.acquire().await.map_err(|_| bug("hash-failed", "the worker is stopping"))?;
    tokio::task::spawn_blocking(work).await.map_err(|error| bug("hash-failed", error.to_string()))?
}

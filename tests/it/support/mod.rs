//! What the tests stand on: the house itself, its clients, and a double of the Lambda Runtime API for the real binaries.

pub mod clients;
pub mod counting;
pub mod house;
pub mod recorder;
pub mod runtime_api;

use std::time::{Duration, Instant};

/// An HTTP client; the cryptography of TLS has to be named once per process before the first.
pub fn http_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Asks `probe` until it answers `Some`, for at most `secs`; panics with `what` otherwise. Where `secs` is no promise it is far longer
/// than a busy machine needs, and tells a hang.
///
/// Not sleeping as synchronisation: the outcome never depends on how long the pauses are, only on the bound.
pub async fn eventually<T, F, Fut>(what: &str, secs: u64, mut probe: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + Duration::from_secs(secs);
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {secs} s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

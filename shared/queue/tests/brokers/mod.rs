//! What the tests of Kafka and of RabbitMQ have in common: the same bad hours for both.

pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod storm;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use domain::{Credentials, Secret};
use queue::{Outgoing, SendError};

/// 503 is due within 5 s. Held against by `timeout`, which lets an answer pass that is there: one that came in time is not late
/// because this machine was too busy to look.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_millis(4800);

pub(crate) fn message(id: &str) -> Outgoing {
    Outgoing {
        message_id: id.to_owned(),
        round: 0,
        body: format!("{{\"id\":\"{id}\"}}"),
        ordering_key: None,
        delay_secs: 0,
        attributes: Vec::new(),
    }
}

pub(crate) fn user(name: &str, password: &str) -> Credentials {
    Credentials { username: Secret::new(name), password: Secret::new(password) }
}

pub(crate) fn kind<T>(answer: &Result<T, SendError>) -> &'static str {
    match answer {
        Ok(_) => "accepted",
        Err(SendError::Refused { .. }) => "refused",
        Err(SendError::Unreachable { .. }) => "unreachable",
        Err(SendError::Unanswered { .. }) => "unanswered",
    }
}

/// Looks again and again, for three minutes at most: whatever has not come by then hangs.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(180);
    while !holds() {
        assert!(Instant::now() < end, "not within three minutes: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A name that no other test of this run takes.
pub(crate) fn own_name() -> String {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    format!("t-{}-{}", std::process::id(), TAKEN.fetch_add(1, Ordering::Relaxed))
}

/// An address of this machine at which nobody listens.
pub(crate) fn deserted() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

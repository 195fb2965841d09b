//! A catch-all mail server: whatever is sent lies as one `.eml` file in a folder, and nothing leaves this machine.
//!
//! The protocol is the state machine of the crate `mailin`; connections, limits and files are ours. Handlers mail it over
//! real SMTP, so what works here works with a real server.

mod letter;
mod session;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What one client may ask of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time; more wait.
    pub connections: usize,
    /// One mail, its headers included.
    pub mail_bytes: usize,
    /// One line of a command or of a mail.
    pub line_bytes: usize,
    /// Recipients of one mail.
    pub recipients: usize,
    /// A client that says nothing for so long is hung up on.
    pub silence: Duration,
}

impl Default for Limits {
    /// 64 connections, 25 MiB, 1 MiB lines, 100 recipients, 60 s.
    fn default() -> Limits {
        Limits {
            connections: 64,
            mail_bytes: 25 << 20,
            line_bytes: 1 << 20,
            recipients: 100,
            silence: Duration::from_secs(60),
        }
    }
}

/// Serves SMTP on `listener` until `stop` resolves, and puts every mail into `folder`, which must exist.
pub async fn serve(listener: TcpListener, folder: PathBuf, limits: Limits, stop: impl Future<Output = ()>) {
    let folder = Arc::new(folder);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut sessions = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        while sessions.try_join_next().is_some() {}
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, slot)
        };
        let (accepted, slot) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let folder = Arc::clone(&folder);
                sessions.spawn(async move {
                    if let Err(error) = session::talk(stream, peer.ip(), &folder, limits).await {
                        tracing::debug!(%error, "a mail client was hung up on");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the mailbox cannot take a connection");
                // Mostly too many open files: trying at once again would only burn the processor.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

//! Servers that run beside each other and are stopped one by one.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running server.
#[derive(Debug)]
pub(super) struct Service {
    name: &'static str,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Resolves when a service is to stop.
pub(super) type Stopped = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Service {
    /// Runs `serve`, which must end soon after the future it is given.
    pub(super) fn start<F, E>(name: &'static str, serve: impl FnOnce(Stopped) -> F) -> Service
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        let (stop, mut told) = watch::channel(false);
        let stopped = Box::pin(async move {
            // An error means that the service's handle is gone: then it is to stop too.
            let _ = told.wait_for(|stop| *stop).await;
        });
        let serving = serve(stopped);
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(service.name = name, %error, "a part of the house stopped by itself");
            }
        });
        Service { name, stop, task }
    }

    /// Takes no new requests from now on.
    pub(super) fn close(&self) {
        self.stop.send_replace(true);
    }

    /// Stops it; requests in work have `within` to finish.
    pub(super) async fn end(mut self, within: Duration) {
        self.close();
        if tokio::time::timeout(within, &mut self.task).await.is_err() {
            tracing::debug!(service.name = self.name, "requests were broken off at the stop");
            self.task.abort();
        }
    }
}

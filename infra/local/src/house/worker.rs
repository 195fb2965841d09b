//! The worker of this machine: the same `sqs-worker` as on AWS, given what stands here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use egress::{FetchPolicy, Fetcher, Guard, Mailer};
use handling::{DEFAULT_CPU_BUDGET, Door, DoorParts, Handlers, HandlersParts, Handling, HandlingParts};
use lua_host::{Bundle, SandboxConfig};
use queue::Queues;
use serde_json::{Value, json};
use sqs_worker::SqsWorker;
use zstorage::{Catalog, Messages, Sealer};

use super::{StartError, WORKER_TIMEOUT_SECS};
use crate::mapping::Function;

/// Whom mails are from where their handler does not say.
const MAIL_FROM: &str = "Queuelink <no-reply@queuelink.example>";

/// What the worker stands on.
pub(super) struct WorkerParts {
    pub(super) program: PathBuf,
    pub(super) bundle: Bundle,
    pub(super) catalog: Catalog,
    pub(super) messages: Messages,
    pub(super) sealer: Sealer,
    pub(super) queues: Queues,
    pub(super) smtp_url: String,
    /// Endpoints of the engines, which trust whoever reaches them: handlers may fetch from this machine, but not from these.
    pub(super) engines: Vec<SocketAddr>,
    pub(super) clock: Clock,
}

/// Reads and compiles the handlers.
pub(super) async fn bundle(folder: &Path) -> Result<Bundle, StartError> {
    std::fs::read_dir(folder).map_err(|source| StartError::Handlers { folder: folder.to_owned(), source })?;
    let folder = folder.to_owned();
    let read = tokio::task::spawn_blocking(move || Bundle::from_dir(&folder));
    read.await.map_err(StartError::part("the reader of handlers"))?.map_err(StartError::part("the worker"))
}

/// Starts the sandbox, and gives the worker as a function that mappings can call.
pub(super) async fn start(parts: WorkerParts) -> Result<Function, StartError> {
    let handlers = Handlers::start(HandlersParts {
        sandbox: SandboxConfig::new(parts.program),
        shipped: parts.bundle,
        catalog: parts.catalog.clone(),
        sealer: parts.sealer,
        clock: parts.clock.clone(),
    });
    let handlers = handlers.await.map_err(StartError::part("the sandbox of the handlers"))?;
    let mailer = Mailer::new(&parts.smtp_url, MAIL_FROM, true).map_err(StartError::part("the mailer"))?;
    let guard = Guard::internet().with_loopback(true).without(&parts.engines);
    let fetcher = Fetcher::new(FetchPolicy { guard, ..FetchPolicy::default() });
    let handling = Handling::new(HandlingParts {
        handlers,
        catalog: parts.catalog,
        messages: parts.messages,
        queues: parts.queues.clone(),
        door: Door::new(DoorParts { mailer: Some(mailer), fetcher }),
        clock: parts.clock,
        config: json!({}),
        cpu_budget: DEFAULT_CPU_BUDGET,
    });
    let worker = Arc::new(SqsWorker::new(handling, parts.queues));
    let call = move |event: Value, remaining: Duration| {
        let worker = Arc::clone(&worker);
        async move {
            let answer = worker.handle(event, remaining).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(serde_json::to_value(answer)?)
        }
    };
    Ok(Function::new(Duration::from_secs(WORKER_TIMEOUT_SECS.into()), call))
}

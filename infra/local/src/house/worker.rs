//! The workers of this machine: the same `sqs-worker`, `msk-worker` and `mq-worker` as on AWS, given what stands here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::{Clock, Guard, SqsQueue};
use egress::{FetchPolicy, Fetcher, Mailer};
use handling::{
    BrokerHandling, DEFAULT_CPU_BUDGET, Door, DoorParts, Handlers, HandlersParts, Handling, HandlingParts,
};
use lua_host::{Bundle, SandboxConfig};
use mq_worker::MqWorker;
use msk_worker::{FailedRecords, MskWorker};
use queue::{Queues, RetryQueue};
use serde::Serialize;
use serde_json::{Value, json};
use sqs_worker::SqsWorker;
use zstorage::{Catalog, Messages, Records, Sealer};

use super::StartError;
use crate::mapping::Function;

/// Whom mails are from where their handler does not say.
const MAIL_FROM: &str = "Queuelink <no-reply@queuelink.example>";

/// What the workers stand on.
pub(super) struct WorkerParts {
    pub(super) program: PathBuf,
    pub(super) bundle: Bundle,
    pub(super) catalog: Catalog,
    pub(super) messages: Messages,
    pub(super) records: Records,
    pub(super) sealer: Sealer,
    pub(super) queues: Queues,
    /// Where the messages of brokers wait that are to be handled again.
    pub(super) retry: SqsQueue,
    pub(super) smtp_url: String,
    /// Endpoints of the engines, which trust whoever reaches them: handlers may fetch from this machine, but not from these.
    pub(super) closed: Vec<SocketAddr>,
    /// How long a batch may take.
    pub(super) timeout: Duration,
    pub(super) clock: Clock,
}

/// The workers as functions that mappings can call.
pub(super) struct Workers {
    pub(super) sqs_worker: Function,
    pub(super) msk_worker: Function,
    pub(super) mq_worker: Function,
}

/// Reads and compiles the handlers.
pub(super) async fn bundle(folder: &Path) -> Result<Bundle, StartError> {
    std::fs::read_dir(folder).map_err(|source| StartError::Handlers { folder: folder.to_owned(), source })?;
    let folder = folder.to_owned();
    let read = tokio::task::spawn_blocking(move || Bundle::from_dir(&folder));
    read.await.map_err(StartError::part("the reader of handlers"))?.map_err(StartError::part("the worker"))
}

/// Starts the sandbox, one for all workers.
pub(super) async fn start(parts: WorkerParts) -> Result<Workers, StartError> {
    let handlers = Handlers::start(HandlersParts {
        sandbox: SandboxConfig::new(parts.program),
        shipped: parts.bundle,
        catalog: parts.catalog.clone(),
        sealer: parts.sealer,
        clock: parts.clock.clone(),
    });
    let handlers = handlers.await.map_err(StartError::part("the sandbox of the handlers"))?;
    let mailer = Mailer::new(&parts.smtp_url, MAIL_FROM, true).map_err(StartError::part("the mailer"))?;
    let guard = Guard::internet().with_loopback(true).without(&parts.closed);
    let fetcher = Fetcher::new(FetchPolicy { guard, ..FetchPolicy::default() });
    let handling = Handling::new(HandlingParts {
        handlers,
        catalog: parts.catalog,
        messages: parts.messages,
        records: parts.records,
        queues: parts.queues.clone(),
        door: Door::new(DoorParts { mailer: Some(mailer), fetcher }),
        clock: parts.clock.clone(),
        config: json!({}),
        cpu_budget: DEFAULT_CPU_BUDGET,
    });
    let retry = RetryQueue::new(parts.queues.clone(), parts.retry.clone());
    let broker = BrokerHandling::new(handling.clone(), retry);
    let sqs = SqsWorker::new(handling, parts.queues, parts.retry);
    let msk = MskWorker::new(broker.clone(), FailedRecords::Named);
    let mq = MqWorker::new(broker, parts.clock);
    let timeout = parts.timeout;
    Ok(Workers {
        sqs_worker: function(timeout, move |event, remaining| {
            let worker = sqs.clone();
            async move { told(worker.handle(event, remaining).await) }
        }),
        msk_worker: function(timeout, move |event, remaining| {
            let worker = msk.clone();
            async move { told(worker.handle(event, remaining).await) }
        }),
        mq_worker: function(timeout, move |event, remaining| {
            let worker = mq.clone();
            async move { told(worker.handle(event, remaining).await) }
        }),
    })
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn function<F>(timeout: Duration, call: impl Fn(Value, Duration) -> F + Send + Sync + 'static) -> Function
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    Function::new(timeout, call)
}

/// An answer as Lambda reads it.
fn told<E: Into<Failure>>(answer: Result<impl Serialize, E>) -> Result<Value, Failure> {
    Ok(serde_json::to_value(answer.map_err(Into::into)?)?)
}

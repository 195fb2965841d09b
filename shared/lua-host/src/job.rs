//! The words between a worker and the Lua host: what is run, what it asks for, how it ended.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One message for one handler.
#[derive(Clone)]
pub struct Job {
    /// The handler's full name, as [`Bundle::resolve`](crate::Bundle::resolve) gives it: `on-boarding/signup`.
    pub handler: String,
    /// What becomes `context.message`, the body excepted: `id`, `queue`, `handler`, `attempt`, `sent_at`, `attributes`.
    pub context: Value,
    /// The message's body, as the JSON text that travelled. It becomes `context.message.body` inside the
    /// sandbox, so that no number passes through a float on its way.
    pub body: String,
    /// What becomes `context.config`.
    pub config: Value,
    /// What becomes `context.secrets`: only those that the handler declared.
    pub secrets: BTreeMap<String, String>,
    /// When this message must be settled. At this moment the handler is stopped; after
    /// [`SandboxConfig::grace_ms`](crate::SandboxConfig::grace_ms) more the whole sandbox is.
    pub deadline: Instant,
    /// How long the handler may compute. Waiting for a host call costs nothing.
    pub cpu_budget: Duration,
}

/// How one run of a handler ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// What becomes of the message.
    pub verdict: Verdict,
    /// What the handler said, oldest line first; the newest [`SandboxConfig::max_log_bytes`](crate::SandboxConfig::max_log_bytes) of it.
    pub log: Vec<LogLine>,
    /// Whether older lines were dropped.
    pub log_truncated: bool,
    /// How long the handler computed, in milliseconds of processor time.
    pub cpu_ms: f64,
    /// How long the run took in all, in milliseconds, waiting for a free slot included.
    pub run_ms: f64,
}

/// What becomes of a message. A handler gives its first verdict only; the others follow from how it ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The handler called `AckMessage()` and returned.
    Acked,
    /// The handler called `RetryMessage(seconds)` and returned.
    RetryAsked {
        /// When to come back, if the handler said so.
        after_secs: Option<u32>,
    },
    /// The handler called `RejectMessage(reason)` and returned: this message will never succeed.
    Rejected {
        /// The handler's words, at most 1 KiB.
        reason: String,
    },
    /// The handler failed, which counts as an attempt.
    Failed(HandlerError),
    /// The handler is not to blame (a neighbour's end took the sandbox with it, or it never started): no strike.
    Returned {
        /// Why, in a sentence.
        why: String,
    },
}

/// Why a handler failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerError {
    /// The kind, which does not depend on the handler's own words.
    pub kind: FailureKind,
    /// The code the handler or a library put into the error it threw.
    #[serde(default)]
    pub code: Option<String>,
    /// What happened, at most 4 KiB.
    pub message: String,
    /// Whether the error itself says that another attempt may succeed.
    #[serde(default)]
    pub retryable: Option<bool>,
    /// Where it happened, at most 4 KiB, for errors that were thrown.
    #[serde(default)]
    pub traceback: Option<String>,
}

impl HandlerError {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> HandlerError {
        HandlerError { kind, code: None, message: message.into(), retryable: None, traceback: None }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} ({code}): {}", self.kind, self.message),
            None => write!(f, "{}: {}", self.kind, self.message),
        }
    }
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The handler threw an error.
    Threw,
    /// The handler returned without a verdict.
    NoVerdict,
    /// The handler computed longer than its budget.
    CpuLimit,
    /// The handler wanted more memory than its machine may have.
    MemoryLimit,
    /// The deadline came first.
    Deadline,
    /// The handler made a value larger than what may leave the sandbox.
    OutputLimit,
    /// The message's body cannot be kept exactly as a Lua value.
    Conversion,
    /// There is no such handler, or its file does not return a function.
    NotFound,
    /// The sandbox died under this handler.
    Crashed,
}

impl FailureKind {
    /// The kind as it is written in logs and stores.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureKind::Threw => "threw",
            FailureKind::NoVerdict => "no-verdict",
            FailureKind::CpuLimit => "cpu-limit",
            FailureKind::MemoryLimit => "memory-limit",
            FailureKind::Deadline => "deadline",
            FailureKind::OutputLimit => "output-limit",
            FailureKind::Conversion => "conversion",
            FailureKind::NotFound => "not-found",
            FailureKind::Crashed => "crashed",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of a handler's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// How loud it is.
    pub level: LogLevel,
    /// The sentence.
    pub message: String,
    /// The fields beside it: an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Value>,
}

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// `context.log.info`
    Info,
    /// `context.log.warn`
    Warn,
    /// `context.log.error`
    Error,
}

impl LogLevel {
    /// The level as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        }
    }
}

/// One request of a handler to the world outside: the only way out of the sandbox.
#[derive(Clone, Debug, PartialEq)]
pub struct HostCall {
    /// The library: `mail`, `http`, `crypto`.
    pub module: String,
    /// Its function: `send`, `fetch`, `hash_password`.
    pub function: String,
    /// One value, mostly an object with named arguments.
    pub arguments: Value,
}

/// Why a host call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct HostError {
    /// A short constant word for programs: `mailbox-unavailable`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// An expected failure is returned to Lua as `nil, err`; any other is thrown there as `{code, message, retryable}`.
    pub expected: bool,
}

/// Who answers the calls of one run.
pub trait Host: Send + Sync {
    /// Does what was asked, or says why not. Dropped when the message's deadline comes first.
    fn call(&self, call: HostCall) -> BoxFuture<'_, Result<Value, HostError>>;
}

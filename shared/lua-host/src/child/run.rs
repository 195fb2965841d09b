//! One run of one handler, as the natives of its machine see it.

use mlua::{Error, Value};

use super::log::LogTail;
use crate::{
    FailureKind, HandlerError, LogLevel, LogLine,
    wire::{Answer, Done, Ending, JobFrame},
};

const MAX_REASON_BYTES: usize = 1 << 10;
const MAX_MESSAGE_BYTES: usize = 4 << 10;
const MAX_CODE_BYTES: usize = 128;

/// What Luau says when an allocation is refused.
const OUT_OF_MEMORY: &str = "not enough memory";

/// Everything of one run but its coroutine.
pub(super) struct Run {
    pub(super) job: JobFrame,
    pub(super) log: LogTail,
    /// A host call that waits to be sent.
    pub(super) pending: Option<Pending>,
    /// The answer to the call that was sent.
    pub(super) answer: Option<Answer>,
    verdict: Option<Ending>,
    failure: Option<HandlerError>,
}

/// A host call: its arguments are JSON.
pub(super) struct Pending {
    pub(super) module: String,
    pub(super) function: String,
    pub(super) arguments: String,
}

impl Run {
    pub(super) fn new(job: JobFrame, max_log_bytes: usize) -> Run {
        Run {
            job,
            log: LogTail::new(max_log_bytes),
            pending: None,
            answer: None,
            verdict: None,
            failure: None,
        }
    }

    /// The first verdict counts. Saying the same again is no fault, saying another is told in the log.
    pub(super) fn give(&mut self, verdict: Ending) {
        match &self.verdict {
            None => self.verdict = Some(verdict),
            Some(first) if *first == verdict => {}
            Some(first) => {
                let message = format!("{} after {} is ignored", called(&verdict), called(first));
                self.log.push(LogLine { level: LogLevel::Error, message, fields: None }, 0);
            }
        }
    }

    /// Notes why the run failed; the first cause counts.
    pub(super) fn fail(&mut self, mut error: HandlerError) {
        if self.failure.is_none() {
            cut(&mut error.message, MAX_MESSAGE_BYTES);
            if let Some(code) = &mut error.code {
                cut(code, MAX_CODE_BYTES);
            }
            if let Some(traceback) = &mut error.traceback {
                cut(traceback, MAX_MESSAGE_BYTES);
            }
            self.failure = Some(error);
        }
    }

    /// What it said, and whether older lines are missing.
    pub(super) fn into_log(self) -> (Vec<LogLine>, bool) {
        self.log.into_lines()
    }

    pub(super) fn is_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// The end of a run whose function returned: an error counts more than any verdict.
    pub(super) fn end(self, cpu_us: u64) -> Done {
        let ending = match (self.failure, self.verdict) {
            (Some(error), _) => Ending::Failed(error),
            (None, Some(verdict)) => verdict,
            // A file of tests reports by itself.
            (None, None) if self.job.test => Ending::Ack,
            (None, None) => {
                let message = "the handler returned without AckMessage, RetryMessage or RejectMessage";
                Ending::Failed(HandlerError::new(FailureKind::NoVerdict, message))
            }
        };
        let (log, log_truncated) = self.log.into_lines();
        Done { ending, log, log_truncated, cpu_us }
    }
}

fn called(verdict: &Ending) -> &'static str {
    match verdict {
        Ending::Ack => "AckMessage",
        Ending::Retry(_) => "RetryMessage",
        Ending::Reject(_) => "RejectMessage",
        Ending::Failed(_) | Ending::Returned(_) => "a failure",
    }
}

/// Cuts a reason to what is kept.
pub(super) fn reject(reason: &str) -> Ending {
    let mut reason = reason.to_owned();
    cut(&mut reason, MAX_REASON_BYTES);
    Ending::Reject(reason)
}

fn cut(text: &mut String, max_bytes: usize) {
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
        text.push('…');
    }
}

/// Whether a thrown value is the machine's own cry for memory.
pub(super) fn is_out_of_memory(thrown: &Value, message: &str) -> bool {
    message == OUT_OF_MEMORY || matches!(thrown, Value::Error(error) if is_memory_error(error))
}

/// Whether an error, or what caused it, is a lack of memory.
pub(super) fn is_memory_error(error: &Error) -> bool {
    match error {
        Error::MemoryError(_) => true,
        Error::CallbackError { cause, .. } => is_memory_error(cause),
        Error::WithContext { cause, .. } => is_memory_error(cause),
        _ => false,
    }
}

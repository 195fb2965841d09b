//! What a handler's verdict asks of us.

use domain::DeadReason;
use lua_host::Verdict;

/// What a run comes to, before failures are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Done.
    Done,
    /// Not its fault: it comes back at once.
    Returned { why: String },
    /// One more failure; `after_secs` where the handler itself said when to come back.
    Failed { error: String, after_secs: Option<u32> },
    /// It will never succeed.
    Poison(DeadReason),
}

/// Every failure is a failure, also one whose error says `retryable = false`: what a handler knows to be
/// hopeless it rejects. `RetryMessage` counts too: a retry asked for is an attempt spent, else a message could go
/// round for ever.
pub(crate) fn ending(verdict: &Verdict) -> Ending {
    match verdict {
        Verdict::Acked => Ending::Done,
        Verdict::Returned { why } => Ending::Returned { why: why.clone() },
        Verdict::RetryAsked { after_secs } => Ending::Failed {
            error: "the handler asked for another attempt".to_owned(),
            after_secs: *after_secs,
        },
        Verdict::Failed(error) => Ending::Failed { error: error.to_string(), after_secs: None },
        Verdict::Rejected { reason } => Ending::Poison(DeadReason::new("rejected", reason.clone())),
    }
}

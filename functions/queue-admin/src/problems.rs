use api::{Kind, Problem};
use queue::AdminError;
use zstorage::SealError;

/// What an administrator is told when an engine did not do as asked. `next` says how to go on from here.
pub(crate) fn of_engine(error: &AdminError, next: &str) -> Problem {
    let beneath: Vec<String> =
        std::iter::successors(std::error::Error::source(error), |&inner| inner.source())
            .map(ToString::to_string)
            .collect();
    tracing::warn!(%error, error.beneath = beneath.join(": "), "An engine did not do what an administrator asked.");
    let detail = format!("{error}. {next}");
    match error {
        AdminError::Refused { retryable: false, .. } => Problem::new(Kind::Conflict, detail),
        AdminError::Missing { .. }
        | AdminError::Denied { .. }
        | AdminError::Refused { .. }
        | AdminError::Unanswered { .. } => Problem::new(Kind::Unavailable, detail).retry_after(5),
    }
}

/// What is told when credentials, or a secret, cannot be sealed; never anything of them.
pub(crate) fn of_sealer(error: &SealError) -> Problem {
    tracing::error!(error = domain::causes(error), "What is secret could not be sealed.");
    Problem::new(Kind::Unavailable, "what is secret could not be sealed, so nothing was saved").retry_after(5)
}

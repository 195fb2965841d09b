use std::error::Error;
use std::fmt::Debug;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;
use domain::causes;
use hyper_util::client::legacy;

/// Why a message is not known to be on its queue. What it says holds for all attempts together: one that may have
/// been taken is never called certain because the next one was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The engine said no: the message is certainly not on the queue.
    #[error("the queue refused the message: {code}: {message}")]
    Refused {
        /// The engine's word for it, such as `QueueDoesNotExist`.
        code: String,
        /// The engine's sentence.
        message: String,
    },
    /// Nothing was sent: the message is certainly not on the queue.
    #[error("the queue could not be reached: {reason}")]
    Unreachable {
        /// Why not.
        reason: String,
    },
    /// The engine did not say, or said that it does not know: the message may be on the queue.
    #[error("the queue gave no answer and may have taken the message: {reason}")]
    Unanswered {
        /// What happened instead.
        reason: String,
    },
}

impl SendError {
    /// Whether the message may be on the queue all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, SendError::Unanswered { .. })
    }

    /// Whether it was refused for what it is, body or attributes: another message may well be taken.
    pub fn is_of_the_message(&self) -> bool {
        let SendError::Refused { code, .. } = self else { return false };
        let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
        matches!(
            code,
            "InvalidMessageContents"
                | "InvalidParameterValue"
                | "InvalidAttributeValue"
                | "MissingParameter"
                | "BatchRequestTooLong"
                // Kafka's.
                | "MessageSizeTooLarge"
                | "MessageBatchTooLarge"
                | "InvalidMessage"
                | "InvalidMessageSize"
                | "InvalidRecord"
                // RabbitMQ's word for a message that is larger than the broker allows.
                | "PRECONDITION-FAILED"
        )
    }

    /// Whether the queue said that it takes no more just now: the same message may be taken in a while.
    pub fn is_throttle(&self) -> bool {
        matches!(self, SendError::Refused { code, .. } if is_throttle(code))
    }

    /// The same without the user's name, which engines quote when they refuse one: it is a secret here.
    #[cfg(feature = "rabbitmq")]
    pub(crate) fn without(self, user: &domain::Secret) -> SendError {
        let quoted = format!("'{}'", user.expose());
        let without = |text: String| text.replace(&quoted, "'...'");
        match self {
            SendError::Refused { code, message } => SendError::Refused { code, message: without(message) },
            SendError::Unreachable { reason } => SendError::Unreachable { reason: without(reason) },
            SendError::Unanswered { reason } => SendError::Unanswered { reason: without(reason) },
        }
    }

    /// What is known after `self` and then `later` happened to the same message.
    pub(crate) fn then(self, later: SendError) -> SendError {
        match (self, later) {
            (
                SendError::Unanswered { reason },
                later @ (SendError::Refused { .. } | SendError::Unreachable { .. }),
            ) => SendError::Unanswered { reason: format!("{reason}; asked again, {later}") },
            (_, later) => later,
        }
    }
}

/// One failed attempt: what it says of the message, and whether a second one is worth it.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: SendError,
    pub(crate) again: bool,
}

impl Failed {
    pub(crate) fn refused(code: &str, message: &str) -> Failed {
        let error = SendError::Refused { code: code.to_owned(), message: message.to_owned() };
        Failed { error, again: is_throttle(code) }
    }

    pub(crate) fn unanswered(reason: impl Into<String>) -> Failed {
        Failed { error: SendError::Unanswered { reason: reason.into() }, again: true }
    }

    /// Judges a call by how far it came: not built, not connected, sent without an answer, answered.
    pub(crate) fn from_call<E>(error: &SdkError<E, Response>) -> Failed
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(refusal) => {
                let status = refusal.raw().status();
                let code = error.code().unwrap_or("no code");
                let message = error.message().unwrap_or_default();
                // 4xx is certain. 5xx says that something broke, not whether before or after the message was kept.
                if status.is_client_error() && status.as_u16() != 408 {
                    Failed::refused(code, message)
                } else {
                    Failed::unanswered(format!("HTTP {} {code} {message}", status.as_u16()))
                }
            }
            SdkError::ConstructionFailure(_) => {
                let error = SendError::Unreachable { reason: causes(error) };
                Failed { error, again: false }
            }
            SdkError::DispatchFailure(failure)
                if failure.as_connector_error().is_some_and(|e| never_connected(e)) =>
            {
                let error = SendError::Unreachable { reason: causes(error) };
                Failed { error, again: true }
            }
            _ => Failed::unanswered(causes(error)),
        }
    }
}

/// Whether it failed while connecting, so that not a byte of the message went out.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    beneath(error).any(|error| error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect))
}

fn beneath<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn is_throttle(code: &str) -> bool {
    matches!(
        code,
        "RequestThrottled"
            | "ThrottlingException"
            | "Throttling"
            | "TooManyRequestsException"
            | "KmsThrottled"
            | "KMS.ThrottlingException"
            // A queue of RabbitMQ that is full.
            | "NACK"
    )
}

/// Why a call that looks after queues, mappings or metrics did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such queue or mapping.
    #[error("there is no {what}")]
    Missing {
        /// What was asked for.
        what: String,
    },
    /// Our role, or the credentials, may not do this.
    #[error("not allowed to {operation}: {message}")]
    Denied {
        /// What was tried.
        operation: &'static str,
        /// The service's sentence.
        message: String,
    },
    /// The service said no.
    #[error("the service refused to {operation}: {code}: {message}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// The service's word for it.
        code: String,
        /// The service's sentence.
        message: String,
        /// Whether the same call may work later.
        retryable: bool,
    },
    /// The service did not answer, or not as it should.
    #[error("no answer to: {operation}")]
    Unanswered {
        /// What was tried.
        operation: &'static str,
        /// What happened instead.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl AdminError {
    /// Whether there is no such thing.
    pub fn is_missing(&self) -> bool {
        matches!(self, AdminError::Missing { .. })
    }

    /// Whether rights are lacking.
    pub fn is_denied(&self) -> bool {
        matches!(self, AdminError::Denied { .. })
    }

    /// Whether the same call may work in a moment.
    pub fn is_retryable(&self) -> bool {
        match self {
            AdminError::Missing { .. } | AdminError::Denied { .. } => false,
            AdminError::Refused { retryable, .. } => *retryable,
            AdminError::Unanswered { .. } => true,
        }
    }

    /// The answer lacks what it must have.
    pub(crate) fn senseless(operation: &'static str, fault: impl Into<String>) -> AdminError {
        AdminError::Unanswered { operation, source: fault.into().into() }
    }

    pub(crate) fn from_call<E>(
        operation: &'static str,
        what: &str,
        error: SdkError<E, Response>,
    ) -> AdminError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let SdkError::ServiceError(refusal) = &error else {
            return AdminError::Unanswered { operation, source: Box::new(error) };
        };
        let code = error.code().unwrap_or("no code").to_owned();
        let message = error.message().unwrap_or_default().to_owned();
        match code.as_str() {
            "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" | "ResourceNotFoundException" => {
                AdminError::Missing { what: what.to_owned() }
            }
            "AccessDenied"
            | "AccessDeniedException"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "InvalidSecurity" => AdminError::Denied { operation, message },
            code => {
                let later = [
                    "QueueDeletedRecently",
                    "AWS.SimpleQueueService.QueueDeletedRecently",
                    "ResourceInUseException",
                ];
                let retryable =
                    refusal.raw().status().is_server_error() || is_throttle(code) || later.contains(&code);
                AdminError::Refused { operation, code: code.to_owned(), message, retryable }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_taken_stays_unknown_whatever_comes_after() {
        let refused = || SendError::Refused { code: "no".into(), message: String::new() };
        let unreachable = || SendError::Unreachable { reason: "closed".into() };
        let unanswered = || SendError::Unanswered { reason: "silence".into() };
        for later in [refused(), unreachable(), unanswered()] {
            assert!(unanswered().then(later.clone()).is_outcome_unknown(), "{later}");
            for first in [refused(), unreachable()] {
                assert_eq!(first.then(later.clone()), later);
            }
        }
    }
}

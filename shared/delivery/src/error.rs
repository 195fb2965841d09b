use domain::{Faults, MessageId};
use queue::SendError;
use zstorage::{MessagesError, StoreError};

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It has faults; nothing was sent and nothing kept.
    #[error("the message has faults: {options}{payload}")]
    Invalid {
        /// Of its options, such as `ordering-key`.
        options: Faults,
        /// Of its payload, with the payload's own paths.
        payload: Faults,
    },
    /// The queue is being made or taken down.
    #[error("the queue is not in use: it is being {doing}")]
    NotInUse {
        /// `created` or `deleted`.
        doing: &'static str,
    },
    /// The idempotency key came before, with another body or other options.
    #[error("this idempotency key was used with another message within the last 24 hours")]
    OtherBody,
    /// The same message under the same idempotency key is being sent at this moment.
    #[error("the same message is being published; ask again in {retry_after_secs} s")]
    InFlight {
        /// When to ask again, seconds.
        retry_after_secs: u32,
    },
    /// It did not reach its queue, or nobody knows.
    #[error(transparent)]
    Undelivered(#[from] Undelivered),
    /// It is for a later date and could not be noted. Under the same idempotency key the same call goes on where it was cut off;
    /// without one the message may have been noted all the same.
    #[error("the message could not be noted for its date")]
    Unscheduled {
        /// The message's id.
        message_id: MessageId,
        /// What the store says.
        #[source]
        source: StoreError,
    },
    /// The idempotency key could not be noted, so nothing was sent.
    #[error("the idempotency key could not be noted, so nothing was sent")]
    Storage(#[source] MessagesError),
}

/// A message that is not known to be on its queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message is not known to be on its queue: {reason}")]
pub struct Undelivered {
    /// The message's id, if it got one that the caller can ask for.
    pub letter: Option<String>,
    /// Whether the engine may have taken it all the same.
    pub outcome_unknown: bool,
    /// What happened, without anything the engine said of its own (that stands in the letter).
    pub reason: String,
}

/// What the store is said to have done when it did not answer in the time there was.
pub(crate) fn too_slow(operation: &'static str) -> MessagesError {
    MessagesError::Store(StoreError::Busy { operation })
}

/// What a caller is told: the kind of failure and the engine's code. The engine's own words may name accounts and roles.
pub(crate) fn told(error: &SendError) -> String {
    match error {
        SendError::Refused { code, .. } => format!("the queue's engine refused it ({code})"),
        SendError::Unreachable { .. } => "the queue's engine could not be reached".to_owned(),
        SendError::Unanswered { .. } => {
            "the queue's engine did not answer; it may have taken the message".to_owned()
        }
    }
}

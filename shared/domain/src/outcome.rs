/// A handler's verdict on one message, and all that a worker may do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The work is done (or its dead letter is safely elsewhere): the message goes.
    Ack,
    /// The message comes back after `after_secs` (its visibility timeout, seconds, 0 to 43,200).
    Retry {
        /// Seconds until it is visible again.
        after_secs: u32,
        /// Whether this attempt counted against the message. A neighbour of a kill, or one never started, has no strike.
        strike: bool,
    },
    /// The message is poison and must not come back.
    DeadLetter {
        /// Why, for the person who opens the letter.
        reason: DeadReason,
    },
}

/// Why a message became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadReason {
    /// A stable word: `rejected`, `failed`, `unknown-handler`, `no-handler`, `bad-body`, `refused`.
    pub code: String,
    /// A sentence for a person.
    pub message: String,
}

impl DeadReason {
    /// A reason.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> DeadReason {
        DeadReason { code: code.into(), message: message.into() }
    }
}

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::progress::Wire;
use crate::SendError;

/// What is known of a record of which librdkafka reports `error`, by what went over the wire meanwhile. `trouble` is what
/// it said of the cluster before.
pub(super) fn judge(error: &KafkaError, wire: Wire, trouble: Option<(Code, String)>) -> SendError {
    let code = error.rdkafka_error_code();
    let refusal = code.filter(|code| is_refusal(*code));
    match (wire, refusal) {
        (Wire::Silent | Wire::Orderly, Some(code)) => refused(code, error.to_string()),
        (Wire::Silent, None) => match trouble {
            Some((code @ Code::Authentication, said)) => refused(code, said),
            Some((_, said)) => SendError::Unreachable { reason: format!("{error}; before: {said}") },
            None => SendError::Unreachable { reason: error.to_string() },
        },
        (Wire::Orderly | Wire::Troubled, _) => {
            let before = trouble.map(|(_, said)| format!("; before: {said}")).unwrap_or_default();
            SendError::Unanswered { reason: format!("{error}{before}") }
        }
    }
}

/// A record that librdkafka did not even take: surely not written.
pub(super) fn not_taken(error: &KafkaError) -> SendError {
    match error.rdkafka_error_code() {
        Some(code) if is_refusal(code) => refused(code, error.to_string()),
        _ => SendError::Unreachable { reason: error.to_string() },
    }
}

fn refused(code: Code, message: String) -> SendError {
    SendError::Refused { code: format!("{code:?}"), message }
}

/// Whether it means that the cluster, or librdkafka in its stead, said no before anything was appended. Codes that may
/// come after the append, such as `NotEnoughReplicasAfterAppend`, are not among them.
fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownTopic
            | Code::UnknownPartition
            | Code::UnknownTopicOrPartition
            | Code::InvalidTopic
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::InvalidRequiredAcks
            | Code::UnsupportedForMessageFormat
            | Code::PolicyViolation
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_may_be_appended_is_called_refused_or_unreachable() {
        let check = |code: Code, wire: Wire, trouble: Option<Code>, expect: &str| {
            let trouble = trouble.map(|code| (code, "said".to_owned()));
            let kind = match judge(&KafkaError::MessageProduction(code), wire, trouble) {
                SendError::Refused { .. } => "refused",
                SendError::Unreachable { .. } => "unreachable",
                SendError::Unanswered { .. } => "unanswered",
            };
            assert_eq!(kind, expect, "{code:?} {wire:?}");
        };
        check(Code::MessageTimedOut, Wire::Silent, None, "unreachable");
        check(Code::MessageTimedOut, Wire::Silent, Some(Code::BrokerTransportFailure), "unreachable");
        check(Code::MessageTimedOut, Wire::Silent, Some(Code::Authentication), "refused");
        check(Code::MessageTimedOut, Wire::Orderly, None, "unanswered");
        check(Code::MessageTimedOut, Wire::Troubled, Some(Code::Authentication), "unanswered");
        check(Code::MessageSizeTooLarge, Wire::Silent, None, "refused");
        check(Code::MessageSizeTooLarge, Wire::Orderly, None, "refused");
        check(Code::MessageSizeTooLarge, Wire::Troubled, None, "unanswered");
        check(Code::NotEnoughReplicasAfterAppend, Wire::Orderly, None, "unanswered");
        check(Code::Fatal, Wire::Orderly, None, "unanswered");
        check(Code::Fatal, Wire::Silent, None, "unreachable");
    }
}

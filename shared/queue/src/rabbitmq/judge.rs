use domain::causes;
use lapin::protocol::AMQPErrorKind;
use lapin::{Confirmation, Error, ErrorKind};

use crate::SendError;

/// One failed attempt: what it says of the message, and whether the connection is to blame.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: SendError,
    pub(super) connection: bool,
}

/// The connection could not be made, or no channel on it: nothing was written.
pub(super) fn not_connected(error: &Error) -> SendError {
    match said(error) {
        Some(refused) => refused,
        None => SendError::Unreachable { reason: causes(error) },
    }
}

/// The message could not be handed to the connection, or no confirmation of it came.
pub(super) fn not_confirmed(error: &Error) -> Failed {
    match error.kind() {
        // Found before a byte was written.
        ErrorKind::InvalidChannelState(..)
        | ErrorKind::InvalidConnectionState(_)
        | ErrorKind::SerialisationError(_) => {
            Failed { error: SendError::Unreachable { reason: causes(error) }, connection: true }
        }
        // The broker closed the channel over what was sent on it, and that was this message alone.
        ErrorKind::ProtocolError(_) if error.is_amqp_soft_error() => match said(error) {
            Some(refused) => Failed { error: refused, connection: false },
            None => Failed { error: SendError::Unanswered { reason: causes(error) }, connection: true },
        },
        _ => Failed { error: SendError::Unanswered { reason: causes(error) }, connection: true },
    }
}

/// What the broker's confirmation says. Only an `Ack` without the message is one: a message that no queue would have is
/// returned, and then acknowledged all the same.
pub(super) fn confirmed(confirmation: Confirmation) -> Result<(), SendError> {
    let refused = |code: &str, message: String| Err(SendError::Refused { code: code.to_owned(), message });
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
            refused(returned.reply_text.as_str(), format!("the broker returned it, {}", returned.reply_code))
        }
        Confirmation::Nack(None) => refused("NACK", "the queue takes no more".to_owned()),
        Confirmation::NotRequested => {
            Err(SendError::Unanswered { reason: "the channel asks for no confirmations".to_owned() })
        }
    }
}

/// The broker's own words, if it said no.
fn said(error: &Error) -> Option<SendError> {
    let ErrorKind::ProtocolError(no) = error.kind() else { return None };
    let code = match no.kind() {
        AMQPErrorKind::Soft(code) => code.to_string(),
        AMQPErrorKind::Hard(code) => code.to_string(),
    };
    Some(SendError::Refused { code, message: no.get_message().to_string() })
}

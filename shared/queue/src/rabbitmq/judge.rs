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

/// The message could not be handed to the connection.
pub(super) fn not_handed_over(error: &Error) -> Failed {
    match error.kind() {
        // Found before it was written whole.
        ErrorKind::InvalidChannelState(..)
        | ErrorKind::InvalidConnectionState(_)
        | ErrorKind::SerialisationError(_) => {
            Failed { error: SendError::Unreachable { reason: causes(error) }, connection: true }
        }
        _ => unknown(error),
    }
}

/// It was written, and no confirmation of it came. Only the broker's own word on its channel says what became of it, and that is
/// one only if the connection `stands`: all else, our own closing over another message too, leaves it open.
pub(super) fn not_confirmed(error: &Error, stands: bool) -> Failed {
    match said(error) {
        // The broker closed the channel over what was sent on it, and that was this message alone.
        Some(refused) if stands && error.is_amqp_soft_error() => Failed { error: refused, connection: false },
        _ => unknown(error),
    }
}

fn unknown(error: &Error) -> Failed {
    Failed { error: SendError::Unanswered { reason: causes(error) }, connection: true }
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

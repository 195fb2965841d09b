use api::{Kind, Problem};
use delivery::WriterError;
use domain::Fault;
use zstorage::{StoreError, WriteError};

/// A write that another one is in the way of is worth another try after this long, seconds.
const SOON_SECS: u32 = 1;

/// A queue that took no message is worth another try after this long, seconds.
const LATER_SECS: u32 = 5;

/// What a caller is told of a record that was not written. Paths are those of a request about this one record.
pub(crate) fn of(error: WriterError) -> Problem {
    let said = error.to_string();
    match error {
        WriterError::Write(error) => of_write(error),
        WriterError::Refused { .. } => Problem::new(Kind::Unavailable, said).retry_after(LATER_SECS),
        WriterError::Unknown { message_id } => Problem::new(Kind::Unavailable, said)
            .with("outcome", "unknown")
            .with("message-id", message_id.to_string())
            .retry_after(LATER_SECS),
    }
}

/// What a caller is told of a batch that was refused as a whole: its size is that of all operations together.
pub(crate) fn of_batch(error: WriteError) -> Problem {
    let said = error.to_string();
    match error {
        WriteError::TooLarge { .. } => Fault::new("operations", "too-large", said).into(),
        WriteError::TooMany { .. } => Fault::new("operations", "too-many-actions", said).into(),
        error => of_write(error),
    }
}

fn of_write(error: WriteError) -> Problem {
    let said = error.to_string();
    match error {
        // Not the request is too large, but what a link makes of it.
        WriteError::Invalid(faults) if faults.0.iter().any(|fault| fault.path.starts_with("links/")) => {
            faults.0.into_iter().fold(Problem::new(Kind::Invalid, said), Problem::with_fault)
        }
        WriteError::Invalid(faults) => faults.into(),
        WriteError::Taken { fields } => {
            let problem = Problem::new(Kind::Conflict, said.clone());
            let faults =
                fields.iter().map(|name| Fault::new(format!("fields/{name}"), "taken", said.clone()));
            faults.fold(problem, Problem::with_fault)
        }
        WriteError::Missing => Problem::new(Kind::NotFound, said),
        WriteError::Stale { current } => Problem::new(Kind::Stale, said).with("version", current),
        WriteError::Contended | WriteError::Held => Problem::new(Kind::Conflict, said).retry_after(SOON_SECS),
        WriteError::InFlight => Problem::new(Kind::InFlight, said).retry_after(SOON_SECS),
        WriteError::QueueDown => Problem::new(Kind::Unavailable, said).retry_after(LATER_SECS),
        WriteError::OtherBody => Problem::new(Kind::OtherBody, said),
        WriteError::TooLarge { .. } => Fault::new("fields", "too-large", said).into(),
        WriteError::TooMany { .. } => Fault::new("fields", "too-many-actions", said).into(),
        WriteError::Deleting | WriteError::Undone => Problem::new(Kind::Conflict, said),
        // Busy is said of what was given up before it was done; of a call that failed nobody knows.
        WriteError::Store(error @ StoreError::Call { .. }) => Problem::from(error).with("outcome", "unknown"),
        WriteError::Store(error) => error.into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use domain::MessageId;

    #[test]
    fn what_a_queue_or_another_write_is_in_the_way_of_says_when_to_try_again() {
        let check = |error: WriterError, status: u16, kind: &str, retry_after: &str| {
            let problem = of(error);
            assert_eq!(problem.document()["type"], format!("urn:queuelink:problem:{kind}"));
            let response = problem.into_response();
            assert_eq!(response.status().as_u16(), status, "{kind}");
            assert_eq!(response.headers()["retry-after"], retry_after, "{kind}");
        };
        check(WriteError::Held.into(), 409, "conflict", "1");
        check(WriteError::InFlight.into(), 409, "in-flight", "1");
        check(WriteError::QueueDown.into(), 503, "unavailable", "5");
        check(WriterError::Refused { reason: "full".into() }, 503, "unavailable", "5");
        let too_large: domain::Faults = Fault::new("links/0AL", "too-large", "too large").into();
        let problem = of(WriteError::from(too_large).into());
        assert_eq!((problem.status().as_u16(), problem.faults().len()), (422, 1));
        let message_id = MessageId::new(jiff::Timestamp::UNIX_EPOCH, &mut rand::rng());
        check(WriterError::Unknown { message_id }, 503, "unavailable", "5");
        let document = of(WriterError::Unknown { message_id }).document();
        assert_eq!(document["outcome"], "unknown");
        assert_eq!(document["message-id"], message_id.to_string());
    }
}

use api::{Kind, Problem};
use delivery::PublishError;

/// What a caller is told of a message that was not published.
pub(crate) fn of(error: PublishError) -> Problem {
    let said = error.to_string();
    match error {
        PublishError::Invalid { mut options, payload } => {
            options.0.extend(payload.0);
            options.into()
        }
        PublishError::NotInUse { .. } => Problem::new(Kind::Conflict, said).retry_after(5),
        PublishError::OtherBody => Problem::new(Kind::OtherBody, said),
        PublishError::InFlight { retry_after_secs } => {
            Problem::new(Kind::InFlight, said).retry_after(retry_after_secs.max(1))
        }
        PublishError::Undelivered(undelivered) => {
            let problem = Problem::new(Kind::Unavailable, said).retry_after(5);
            let problem = match undelivered.letter {
                Some(letter) => problem.with("letter", letter),
                None => problem.with("kept", false),
            };
            if undelivered.outcome_unknown { problem.with("outcome", "unknown") } else { problem }
        }
        PublishError::Unscheduled { message_id, source } => {
            Problem::from(source).with("message-id", message_id.to_string()).with("outcome", "unknown")
        }
        PublishError::Storage(error) => Problem::from(error).with("kept", false),
    }
}

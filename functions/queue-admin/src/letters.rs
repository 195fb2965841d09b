use api::{Caller, Kind, PathText, Problem};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::Scope;
use http::header::CONTENT_TYPE;

use crate::{AdminState, documents};

/// No message id is longer, bytes: ours, SQS's, or topic-partition-offset.
const MAX_ID_BYTES: usize = 300;

/// `GET dead-letter/{message-id}`: every round in which the message died.
pub(crate) async fn read(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(message_id): PathText,
) -> Result<Response, Problem> {
    caller.require(&Scope::DeadLetterRead)?;
    let letters = match message_id.len() {
        1..=MAX_ID_BYTES => state.messages.letters(&message_id).await?,
        _ => Vec::new(),
    };
    if letters.is_empty() {
        return Err(Problem::new(Kind::NotFound, "there is no dead letter of this message"));
    }
    Ok(([(CONTENT_TYPE, "application/json")], documents::of_letters(&message_id, &letters)).into_response())
}

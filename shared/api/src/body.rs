use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use domain::{Fault, check_json};
use http::StatusCode;

use crate::{Fields, Kind, Problem};

/// No request body may be larger, bytes: the 4 MB of a batch and a margin for what stands around the payloads.
pub const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;

/// No answer may be larger, counted by [`answer_bytes`]: Lambda gives out 6 MB.
pub const MAX_ANSWER_BYTES: usize = 5_800_000;

/// What JSON `text` takes of an answer: it leaves Lambda as a string in JSON, so its quotation marks and backslashes count
/// twice.
pub fn answer_bytes(text: &str) -> usize {
    text.len() + text.bytes().filter(|b| matches!(b, b'"' | b'\\')).count()
}

/// A request's body, as it was sent.
#[derive(Debug, Clone)]
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body, Problem> {
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Body(bytes)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
            Err(_) => Err(Problem::new(Kind::Malformed, "the body broke off before its end")),
        }
    }
}

pub(crate) fn too_large() -> Problem {
    Fault::new("", "too-large", format!("a request has at most {MAX_REQUEST_BYTES} bytes")).into()
}

/// A body that is one JSON object, checked as strictly as what we store: no duplicate keys, not too deep, no number that
/// would not be kept.
#[derive(Debug, Clone)]
pub struct JsonObject(Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<JsonObject, Problem> {
        let Body(bytes) = Body::from_request(request, state).await?;
        check_json(text_of(&bytes)?)?;
        Ok(JsonObject(bytes))
    }
}

impl JsonObject {
    /// The body as it was sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its JSON text as it was sent.
    pub fn text(&self) -> Result<&str, Problem> {
        Ok(text_of(&self.0)?)
    }

    /// Its fields, to be taken out one by one.
    pub fn fields(&self) -> Result<Fields<'_>, Problem> {
        Ok(Fields::read(text_of(&self.0)?)?)
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|e| {
        Fault::new("", "not-json", format!("the body is not UTF-8: byte {}", e.valid_up_to() + 1))
    })
}

//! Answers that show one thing, with the version that a change of it may name in `If-Match`.

use api::etag;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ETAG, LOCATION};
use serde_json::Value;

/// 200 with the document of what has this version.
pub(crate) fn shown(version: u64, document: Value) -> Response {
    ([(ETAG, etag(version))], Json(document)).into_response()
}

/// 201 with the document of what was made at `place`, a path beneath the API's base.
pub(crate) fn made(place: &str, version: u64, document: Value) -> Response {
    let location = [(LOCATION, format!("{}/{place}", api::BASE))];
    (StatusCode::CREATED, location, shown(version, document)).into_response()
}

use api::{Caller, Kind, PathText, Problem, etag, record_document};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::Scope;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::{ReadState, problems};

/// `GET record/{id}`: the record as it is now, or 304 to a caller that has this version.
pub(crate) async fn read(
    State(state): State<ReadState>,
    caller: Caller,
    PathText(id): PathText,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (table, id) = state.tables.of_record(&caller, &id, Scope::RecordRead).await?;
    let table = problems::unless_deleting(table)?;
    let found = state.records.get(&table, id).await?;
    // The caller has the right to this table, so it may know what is not in it.
    let record = found.ok_or_else(|| Problem::new(Kind::NotFound, "there is no record of this id"))?;
    let tag = [(header::ETAG, etag(record.version))];
    if is_known(&headers, record.version) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    Ok((tag, Json(Value::Object(record_document(&caller, &table.schema, &record, None)))).into_response())
}

/// Whether one of the versions in `If-None-Match` is this one. What is no version is none that the caller could have.
fn is_known(headers: &HeaderMap, version: u64) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|list| list.split(',')).map(str::trim);
    let own = format!("\"{version}\"");
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_version_is_known_by_its_tag() {
        let check = |tags: &[&str], expect: bool| {
            let mut headers = HeaderMap::new();
            for tag in tags {
                headers.append(header::IF_NONE_MATCH, HeaderValue::try_from(*tag).unwrap());
            }
            assert_eq!(is_known(&headers, 3), expect, "{tags:?}");
        };
        check(&[], false);
        check(&["\"3\""], true);
        check(&["W/\"3\""], true);
        check(&["*"], true);
        check(&["\"2\", \"3\""], true);
        check(&["\"2\"", "\"3\""], true);
        check(&["\"2\"", "\"33\"", "3", "\"3", ""], false);
    }
}

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::CONTENT_LENGTH;
use http::{Method, Uri};
use http_body_util::BodyExt;

use crate::body::too_large;
use crate::{BASE, Keys, Kind, MAX_REQUEST_BYTES, Problem};

/// An answer is given within this time: API Gateway hangs up after 30 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(27);

/// Of a body that is refused unread, so much is still taken off the line.
const MAX_UNREAD_BYTES: usize = 4 * MAX_REQUEST_BYTES;

/// Makes a server of a router: every request is authenticated (only `GET .../health` is open), unknown paths and methods,
/// bodies that are too large, panics and requests that take too long are answered by problem documents.
pub fn serve(router: Router, keys: Keys) -> Router {
    router
        .fallback(|uri: Uri| async move {
            Problem::new(Kind::NotFound, format!("there is no path {}; all begin with {BASE}", uri.path()))
        })
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            Problem::new(Kind::MethodNotAllowed, format!("{method} is not for {}", uri.path()))
        })
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .layer(middleware::from_fn_with_state(keys, guard))
        .layer(middleware::from_fn(contain))
}

/// Lets in who has a key; whoever has none learns nothing, not even which paths exist.
async fn guard(State(keys): State<Keys>, mut request: Request, next: Next) -> Response {
    if !is_open(&request) {
        match keys.authenticate(request.headers()).await {
            Ok(caller) => request.extensions_mut().insert(caller),
            Err(problem) => return answer_early(request, problem).await,
        };
    }
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_REQUEST_BYTES as u64) {
        return answer_early(request, too_large()).await;
    }
    next.run(request).await
}

/// Reads what the caller still has to say, up to a bound, before the answer: a connection closed in the middle of a body is
/// a broken pipe to many clients, and they would never see why.
async fn answer_early(request: Request, problem: Problem) -> Response {
    let mut body = request.into_body();
    let mut heard = 0;
    while let Some(Ok(frame)) = body.frame().await {
        heard += frame.data_ref().map_or(0, |data| data.len());
        if heard > MAX_UNREAD_BYTES {
            break;
        }
    }
    problem.into_response()
}

fn is_open(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
        && request.uri().path().strip_prefix(BASE) == Some("/health")
}

/// Turns a panic and an endless wait into problem documents: one request never takes the process with it.
async fn contain(request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            // The panic's own text is on stderr by the default hook; it may quote what the caller sent.
            tracing::error!("A request ended in a panic.");
            Problem::new(Kind::Internal, "this is a mistake of ours; it is in the log").into_response()
        }
        Err(_elapsed) => {
            tracing::error!("A request was given up because it took too long.");
            let detail =
                format!("no answer within {} s; what was asked may have been done", ANSWER_WITHIN.as_secs());
            Problem::new(Kind::Unavailable, detail).with("outcome", "unknown").into_response()
        }
    }
}

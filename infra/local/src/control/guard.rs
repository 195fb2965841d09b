//! Keeps web pages from switching mappings, as the engines keep them from reading tables.

use axum::{
    extract::Request,
    http::{StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Answers 403 to requests with an `Origin` or a `Host` that is not this machine's own, passes on the rest.
pub(super) async fn refuse_browsers(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if headers.contains_key(header::ORIGIN) || !host.is_some_and(is_ours) {
        return (StatusCode::FORBIDDEN, "the local control endpoint answers tools on this machine only")
            .into_response();
    }
    next.run(request).await
}

fn is_ours(host: &str) -> bool {
    let authority: Option<Authority> = host.parse().ok();
    authority.is_some_and(|authority| {
        !host.contains('@') && matches!(authority.host(), "127.0.0.1" | "localhost" | "[::1]")
    })
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_loopback_names_are_ours() {
        for host in ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "[::1]:80"] {
            assert!(is_ours(host), "{host}");
        }
        for host in
            ["", "evil.example", "127.0.0.1.evil.example:80", "a@127.0.0.1", "0.0.0.0:80", "127.0.0.1:80:80"]
        {
            assert!(!is_ours(host), "{host}");
        }
    }
}

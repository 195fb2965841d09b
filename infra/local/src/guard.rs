//! Keeps browsers away from the endpoints that ask for no key: the engines and the control endpoint.
//!
//! Signatures are not verified locally, so without this a page of any site, open in a browser on this machine,
//! could read and write the tables and switch mappings: directly (its requests carry `Origin`) or by a name of its own that resolves
//! to 127.0.0.1 (its requests carry a foreign `Host`). SDKs and command-line tools send neither.

use axum::{
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Answers 403 to requests of browsers and of foreign names, passes on the rest.
pub(crate) async fn refuse_browsers(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        return refusal("requests of web pages (with an Origin header) are refused here");
    }
    let host = match request.headers().get(header::HOST) {
        Some(value) => value.to_str().ok(),
        None => request.uri().authority().map(|authority| authority.as_str()),
    };
    if !host.is_some_and(is_ours) {
        return refusal("this endpoint answers to 127.0.0.1 and localhost only");
    }
    next.run(request).await
}

/// Whether a `Host` value names this machine's loopback, with or without a port.
fn is_ours(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let port_is_sound = port.is_none_or(|port| port.parse::<u16>().is_ok());
    port_is_sound && (matches!(name, "127.0.0.1" | "[::1]") || name.eq_ignore_ascii_case("localhost"))
}

fn refusal(sentence: &'static str) -> Response {
    (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], sentence).into_response()
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_loopback_names_are_ours() {
        let ours = ["127.0.0.1", "127.0.0.1:8000", "localhost", "LocalHost:1", "[::1]", "[::1]:80"];
        let foreign = [
            "",
            ":",
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "localhost.evil.example:80",
            "127.0.0.1:port",
            "127.0.0.1:80:80",
            "10.0.0.1",
            "0.0.0.0",
            "127.0.0.1@evil.example",
            "localhost:99999",
        ];
        for host in ours {
            assert!(is_ours(host), "{host} should be let in");
        }
        for host in foreign {
            assert!(!is_ours(host), "{host} should be refused");
        }
    }
}

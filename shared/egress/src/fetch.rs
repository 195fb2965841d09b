use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use domain::{Forbidden, Guard};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url, redirect};

use crate::resolve::{Lookup, resolve, system_lookup};
use crate::{ResolveError, Trust};

/// What HTTP requests of handlers may do.
#[derive(Debug, Clone)]
pub struct FetchPolicy {
    /// Who may be connected to.
    pub guard: Guard,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// An answer's body may be this long, bytes.
    pub max_response_bytes: usize,
    /// The longest a request may take in all, its body read included; also what it gets when it asks for nothing.
    pub timeout: Duration,
}

impl Default for FetchPolicy {
    /// The public internet, Mozilla's authorities, 1 MiB, 10 s.
    fn default() -> FetchPolicy {
        FetchPolicy {
            guard: Guard::internet(),
            trust: Trust::default(),
            max_response_bytes: 1 << 20,
            timeout: Duration::from_secs(10),
        }
    }
}

/// One HTTP request.
#[derive(Debug, Clone, Default)]
pub struct FetchRequest {
    /// `http://` or `https://`, without user name and password.
    pub url: String,
    /// `GET` where empty.
    pub method: String,
    /// Names and values; those that belong to the connection are refused.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// A shorter time limit than the policy's.
    pub timeout: Option<Duration>,
}

/// What came back: any status, redirects included (they are the caller's to follow, or not).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchResponse {
    /// The status.
    pub status: u16,
    /// Names in lower case; several values of one name are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// What was asked for is no request we make.
    #[error("{0}")]
    Invalid(String),
    /// The host's addresses are forbidden.
    #[error(transparent)]
    Forbidden(Forbidden),
    /// The host's name could not be resolved.
    #[error("the host's address was not found")]
    Unresolved(#[source] ResolveError),
    /// The answer was longer than allowed.
    #[error("the answer has more than {max_bytes} bytes")]
    TooLarge {
        /// What is allowed, bytes.
        max_bytes: usize,
    },
    /// Time ran out; the request may have been carried out.
    #[error("no whole answer came within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection failed, at the start or on the way.
    #[error("the connection failed")]
    Connection(#[source] reqwest::Error),
}

impl FetchError {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, FetchError::Unresolved(_) | FetchError::Timeout(_) | FetchError::Connection(_))
    }
}

/// Headers that say how the connection works, which is ours to say.
const OURS: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const USER_AGENT: &str = concat!("Queuelink/", env!("CARGO_PKG_VERSION"));

/// Makes HTTP requests for handlers, each on a connection of its own to an address that was looked at.
///
/// A connection is never shared between messages; TLS sessions are resumed, so a second request to a host is cheaper.
#[derive(Clone)]
pub struct Fetcher {
    policy: FetchPolicy,
    tls: rustls::ClientConfig,
    lookup: Lookup,
}

impl Fetcher {
    /// A fetcher under `policy`.
    pub fn new(policy: FetchPolicy) -> Fetcher {
        let tls = policy.trust.for_http();
        Fetcher { policy, tls, lookup: system_lookup() }
    }

    /// Makes one request and reads the whole answer.
    pub async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let limit = request.timeout.map_or(self.policy.timeout, |asked| asked.min(self.policy.timeout));
        tokio::time::timeout(limit, self.exchange(request)).await.map_err(|_| FetchError::Timeout(limit))?
    }

    async fn exchange(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let url = parse_url(&request.url)?;
        let method = parse_method(&request.method)?;
        let headers = parse_headers(&request.headers)?;
        let port = url.port_or_known_default().unwrap_or(80);
        let host = url.host().ok_or_else(|| FetchError::Invalid("the URL has no host".to_owned()))?;
        let pinned =
            resolve(&self.lookup, &self.policy.guard, &host, port).await.map_err(|error| match error {
                ResolveError::Forbidden(forbidden) => FetchError::Forbidden(forbidden),
                unknown @ ResolveError::Unknown { .. } => FetchError::Unresolved(unknown),
            })?;
        let client = self.client(pinned).map_err(connection)?;
        let mut outgoing = client.request(method, url).headers(headers);
        if let Some(body) = request.body {
            outgoing = outgoing.body(body);
        }
        let response = outgoing.send().await.map_err(connection)?;
        self.read(response).await
    }

    /// A client that connects to these addresses, which passed the guard, whatever name it is given.
    fn client(&self, pinned: Vec<SocketAddr>) -> reqwest::Result<reqwest::Client> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(Pinned(pinned))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .user_agent(USER_AGENT)
            .pool_max_idle_per_host(0)
            .build()
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<FetchResponse, FetchError> {
        let max_bytes = self.policy.max_response_bytes;
        if response.content_length().is_some_and(|length| length > max_bytes as u64) {
            return Err(FetchError::TooLarge { max_bytes });
        }
        let status = response.status().as_u16();
        let headers = flatten(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(connection)? {
            if body.len() + chunk.len() > max_bytes {
                return Err(FetchError::TooLarge { max_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(FetchResponse { status, headers, body })
    }
}

/// Without the URL: a token may stand in it, and errors are kept and logged.
fn connection(error: reqwest::Error) -> FetchError {
    FetchError::Connection(error.without_url())
}

/// A name server that has one answer.
struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

fn parse_url(text: &str) -> Result<Url, FetchError> {
    let invalid = |why: String| FetchError::Invalid(format!("the URL is not one we fetch: {why}"));
    let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("it must begin with http:// or https://".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("a user name or password belongs into the Authorization header".to_owned()));
    }
    if url.port() == Some(0) {
        return Err(invalid("nobody listens on port 0".to_owned()));
    }
    Ok(url)
}

fn parse_method(text: &str) -> Result<Method, FetchError> {
    let invalid = || {
        FetchError::Invalid("the method must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS".to_owned())
    };
    let upper = text.to_ascii_uppercase();
    match upper.as_str() {
        "" => Ok(Method::GET),
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => {
            Method::from_bytes(upper.as_bytes()).map_err(|_| invalid())
        }
        _ => Err(invalid()),
    }
}

fn parse_headers(given: &[(String, String)]) -> Result<HeaderMap, FetchError> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
        let invalid = |why: &str| FetchError::Invalid(format!("the header '{shown}' {why}"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("has a name that is none"))?;
        if OURS.contains(&name.as_str()) {
            return Err(invalid("belongs to the connection and cannot be set"));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| invalid("has a value with characters no header carries"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn flatten(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut flat: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        flat.entry(name.as_str().to_owned())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert(value.into_owned());
    }
    flat
}

#[cfg(test)]
mod tests;

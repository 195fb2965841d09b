#![allow(clippy::unwrap_used, reason = "a test may panic")]
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that gives every connection `answer`, and keeps what it was asked.
async fn server(answer: Vec<u8>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                if read == 0 {
                    break;
                }
                request.extend_from_slice(&buffer[..read]);
            }
            kept.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
            let _ = stream.write_all(&answer).await;
        }
    });
    (address, asked)
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nx-two: a\r\nx-two: b\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn local() -> FetchPolicy {
    FetchPolicy { guard: Guard::internet().with_loopback(true), ..FetchPolicy::default() }
}

fn get(url: impl Into<String>) -> FetchRequest {
    FetchRequest { url: url.into(), ..FetchRequest::default() }
}

/// A fetcher whose name server says `addresses`, whatever it is asked.
fn lied_to(policy: FetchPolicy, addresses: &[&str]) -> Fetcher {
    let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    let lookup: Lookup = Arc::new(move |_| {
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    });
    Fetcher { lookup, ..Fetcher::new(policy) }
}

#[tokio::test]
async fn an_answer_comes_back_whole() {
    let (address, asked) = server(ok("hello")).await;
    let request = FetchRequest {
        method: "post".into(),
        headers: vec![("X-Mine".into(), "1".into())],
        body: Some(b"{}".to_vec()),
        ..get(format!("http://{address}/a?b=c"))
    };
    let response = Fetcher::new(local()).fetch(request).await.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (200, b"hello".as_slice()));
    assert_eq!(response.headers["x-two"], "a, b");
    let asked = asked.lock().unwrap()[0].clone();
    assert!(asked.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("x-mine: 1\r\n") && asked.contains("content-length: 2\r\n"), "{asked}");
}

#[tokio::test]
async fn every_spelling_of_a_forbidden_address_is_refused() {
    let fetcher = Fetcher::new(FetchPolicy::default());
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://localhost/",
        "http://LOCALHOST/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://169.254.100.1:9001/2018-06-01/runtime/invocation/next",
        "http://0.0.0.0/",
        "http://[64:ff9b::7f00:1]/",
        "http://１２７.0.0.1/",
        "https://10.0.0.7/",
    ] {
        let refused = fetcher.fetch(get(url)).await;
        assert!(matches!(refused, Err(FetchError::Forbidden(_))), "{url}: {refused:?}");
    }
}

#[tokio::test]
async fn a_name_that_points_inside_is_refused_and_only_allowed_addresses_are_used() {
    let inside = lied_to(FetchPolicy::default(), &["10.0.0.1", "fd00:ec2::254"])
        .fetch(get("http://rebind.example/"))
        .await;
    assert!(matches!(inside, Err(FetchError::Forbidden(_))), "{inside:?}");
    let (address, _) = server(ok("pinned")).await;
    let mixed = lied_to(local(), &["169.254.169.254", "127.0.0.1"]);
    let response = mixed.fetch(get(format!("http://mixed.example:{}/", address.port()))).await.unwrap();
    assert_eq!(response.body, b"pinned");
    let nothing = lied_to(local(), &[]).fetch(get("http://none.example/")).await;
    assert!(matches!(nothing, Err(FetchError::Unresolved(_))), "{nothing:?}");
}

#[tokio::test]
async fn a_denied_endpoint_is_refused_by_name_too() {
    let (address, asked) = server(ok("secret")).await;
    let guard = Guard::internet().with_loopback(true).without(&[address]);
    let fetcher = lied_to(FetchPolicy { guard, ..local() }, &["127.0.0.1"]);
    for host in ["127.0.0.1", "engine.example"] {
        let refused = fetcher.fetch(get(format!("http://{host}:{}/", address.port()))).await;
        assert!(matches!(refused, Err(FetchError::Forbidden(_))), "{refused:?}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_redirect_is_handed_back_not_followed() {
    let (address, asked) = server(
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n".to_vec(),
    )
    .await;
    let response = Fetcher::new(local()).fetch(get(format!("http://{address}/"))).await.unwrap();
    assert_eq!((response.status, response.headers["location"].as_str()), (302, "http://169.254.169.254/"));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_beyond_its_size_is_cut_off_announced_or_not() {
    let policy = FetchPolicy { max_response_bytes: 100, ..local() };
    let unannounced = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 200]].concat();
    for answer in [ok(&"x".repeat(101)), unannounced] {
        let (address, _) = server(answer).await;
        let refused = Fetcher::new(policy.clone()).fetch(get(format!("http://{address}/"))).await;
        assert!(matches!(refused, Err(FetchError::TooLarge { max_bytes: 100 })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    // It is never accepted, so nothing ever comes.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = FetchRequest {
        timeout: Some(Duration::from_millis(50)),
        ..get(format!("http://{}/", listener.local_addr().unwrap()))
    };
    let refused = Fetcher::new(local()).fetch(request).await;
    assert!(matches!(&refused, Err(error @ FetchError::Timeout(_)) if error.is_retryable()), "{refused:?}");
}

#[tokio::test]
async fn an_error_does_not_repeat_the_url_and_its_secrets() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Fetcher::new(local()).fetch(get(format!("http://{gone}/?token=s3cret"))).await.unwrap_err();
    assert!(matches!(error, FetchError::Connection(_)));
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn what_is_no_request_is_refused_before_anything_is_sent() {
    let (address, asked) = server(ok("")).await;
    let here = format!("http://{address}/");
    let header =
        |name: &str, value: &str| FetchRequest { headers: vec![(name.into(), value.into())], ..get(&here) };
    for request in [
        get("ftp://example.com/"),
        get("file:///etc/hostname"),
        get("//example.com"),
        get(""),
        get(format!("http://user:password@{address}/")),
        get("http://127.0.0.1:0/"),
        FetchRequest { method: "CONNECT".into(), ..get(&here) },
        FetchRequest { method: "GET / HTTP/1.1\r\nX: y".into(), ..get(&here) },
        header("x-a", "b\r\nx-injected: 1"),
        header("x-a\r\nx-injected", "1"),
        header("x-a", "nul\0"),
        header("Host", "elsewhere.example"),
        header("Transfer-Encoding", "chunked"),
        header("Content-Length", "3"),
    ] {
        let refused = Fetcher::new(local()).fetch(request.clone()).await;
        assert!(
            matches!(&refused, Err(error @ FetchError::Invalid(_)) if !error.is_retryable()),
            "{request:?}: {refused:?}"
        );
    }
    assert!(asked.lock().unwrap().is_empty());
}

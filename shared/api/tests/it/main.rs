//! The edge around routes: who is let in, and what is answered where no route answers.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../doubles/store.rs"]
mod store;

use api::{Body, Caller, JsonObject, Keys, PathText, Problem};
use axum::Router;
use axum::body::Body as Sent;
use axum::routing::{get, post};
use http::Request;
use jiff::SignedDuration;
use store::{Answer, Store, call, send};

/// Routes that show what reaches them.
fn router() -> Router {
    async fn alive() -> &'static str {
        "alive"
    }
    async fn who(caller: Caller) -> String {
        caller.key.to_string()
    }
    async fn echo(_: Caller, PathText(text): PathText, Body(body): Body) -> String {
        format!("{text}:{}", body.len())
    }
    async fn object(_: Caller, body: JsonObject) -> Result<String, Problem> {
        let mut fields = body.fields()?;
        let name = fields.text("name");
        let name = fields.required("name", name);
        fields.refuse_unknown(&["name"]);
        fields.faults.into_result()?;
        Ok(name.unwrap_or_default())
    }
    async fn breaks(_: Caller) -> String {
        panic!("a test's own")
    }
    let at = |path: &str| format!("{}{path}", api::BASE);
    Router::new()
        .route(&at("/health"), get(alive))
        .route(&at("/who"), get(who))
        .route(&at("/echo/{text}"), post(echo))
        .route(&at("/object"), post(object))
        .route(&at("/panic"), get(breaks))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_needs_a_key_that_is_alive() {
    let store = Store::start().await;
    let served = api::serve(router(), Keys::new(store.catalog.clone(), store.clock.clone()));
    let hour = SignedDuration::from_hours(1);
    let now = store.clock.now();
    let good = store.key(&["*"]).await;
    let later = store.key_until(&["*"], |key| key.expires_at = Some(now + hour)).await;
    let expired = store.key_until(&["*"], |key| key.expires_at = Some(now - hour)).await;
    let revoked = store.key_until(&["*"], |key| key.revoked_at = Some(now)).await;
    let foreign = store.key_until(&["*"], |key| key.secret_hashes = vec![[7; 32]]).await;
    let unknown = Store::start().await.key(&["*"]).await;

    let check = async |key: &str, status: u16| {
        let answer = call(&served, key, "GET /who", &[], b"").await;
        assert_eq!(answer.status, status, "{}", answer.text);
        answer
    };
    check(&good, 200).await;
    check(&later, 200).await;
    let refused = [
        check(&expired, 401).await,
        check(&revoked, 401).await,
        check(&foreign, 401).await,
        check(&unknown, 401).await,
    ];
    for answer in &refused {
        answer.problem();
        assert_eq!(answer.text, refused[0].text, "one and the same answer");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    for key in ["", "ql", "ql_x_y_z", &good[..60], &good.to_uppercase()] {
        check(key, 401).await.problem();
    }

    let with = async |headers: &[(&str, &str)], status: u16| {
        let answer = call(&served, "", "GET /who", headers, b"").await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text);
    };
    with(&[("x-api-key", &good)], 200).await;
    with(&[("authorization", &format!("bearer {good}"))], 200).await;
    with(&[("authorization", &format!("Basic {good}"))], 401).await;
    with(&[("authorization", &good)], 401).await;
    with(&[("x-api-key", &good), ("x-api-key", &good)], 401).await;
    with(&[("x-api-key", &good), ("authorization", &format!("Bearer {later}"))], 401).await;
    with(&[("x-api-key", &good), ("authorization", &format!("Bearer {good}"))], 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_route_answers_a_problem_does() {
    let store = Store::start().await;
    let served = api::serve(router(), Keys::new(store.catalog.clone(), store.clock.clone()));
    let key = store.key(&["*"]).await;
    let check = async |key: &str, line: &str, body: &[u8], status: u16| -> Answer {
        let answer = call(&served, key, line, &[], body).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.text);
        if status >= 400 {
            answer.problem();
        }
        answer
    };
    check("", "GET /health", b"", 200).await;
    check("", "POST /health", b"", 401).await;
    check("", "GET /healthy", b"", 401).await;
    check("", "GET /nowhere", b"", 401).await;
    check(&key, "GET /nowhere", b"", 404).await;
    check(&key, "POST /who", b"", 405).await;
    check(&key, "GET /panic", b"", 500).await;
    check(&key, "GET /who", b"", 200).await;
    check(&key, "POST /echo/a%20b", b"1", 200).await;
    check(&key, "POST /echo/%ff", b"1", 400).await;
    check(&key, "POST /echo/a", &vec![b'1'; api::MAX_REQUEST_BYTES], 200).await;
    check(&key, "POST /echo/a", &vec![b'1'; api::MAX_REQUEST_BYTES + 1], 413).await;
    let announced = Request::post(format!("{}/echo/a", api::BASE))
        .header("x-api-key", &key)
        .header("content-length", "99999999999")
        .body(Sent::empty())
        .unwrap();
    assert_eq!(send(&served, announced).await.problem(), 413);

    let object = async |body: &[u8], status: u16, faults: &[(&str, &str)]| {
        let answer = check(&key, "POST /object", body, status).await;
        let found = if status == 200 { Vec::new() } else { answer.faults() };
        let found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
        assert_eq!(found, faults, "{}", String::from_utf8_lossy(body));
    };
    object(br#"{"name":"a"}"#, 200, &[]).await;
    object(b"", 400, &[("", "not-json")]).await;
    object(b"\xff", 400, &[("", "not-json")]).await;
    object(b"{", 400, &[("", "not-json")]).await;
    object(b"[]", 422, &[("", "type")]).await;
    object(br#"{"name":1,"other":2}"#, 422, &[("name", "type"), ("other", "unknown-field")]).await;
    object(br#"{"name":"a","name":"b"}"#, 422, &[("name", "duplicate-key")]).await;
    object(br#"{"name":1e999}"#, 422, &[("name", "number-not-kept")]).await;
    object(&[b"[".repeat(50), b"]".repeat(50)].concat(), 422, &[("", "too-deep")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_is_503_and_not_401() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let key = Store::start().await.key(&["*"]).await;
    let clock = domain::Clock::system();
    let catalog = zstorage::Catalog::new(store::client(&endpoint), "catalog".into(), clock.clone());
    let served = api::serve(router(), Keys::new(catalog, clock));
    assert_eq!(call(&served, &key, "GET /who", &[], b"").await.problem(), 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_answer_is_a_503_while_there_is_time() {
    // Takes connections and is silent, and one where nothing listens.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let key = Store::start().await.key(&["*"]).await;
    for address in [silent.local_addr().unwrap(), gone] {
        let catalog = zstorage::Catalog::new(
            store::client(&format!("http://{address}")),
            "catalog".into(),
            domain::Clock::system(),
        );
        let served = api::serve(router(), Keys::new(catalog, domain::Clock::system()));
        let asking = call(&served, &key, "GET /who", &[], b"");
        let answer = tokio::time::timeout(std::time::Duration::from_secs(4), asking).await.unwrap();
        assert_eq!(answer.problem(), 503);
        assert!(answer.headers.contains_key("retry-after"));
    }
}

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use egress::{FetchPolicy, Guard};

use super::*;

fn door() -> MessageDoor {
    let policy = FetchPolicy { guard: Guard::internet(), ..FetchPolicy::default() };
    Door::new(DoorParts { mailer: None, fetcher: Fetcher::new(policy) }).for_message("0BF1", 0)
}

async fn call(module: &str, function: &str, arguments: Value) -> Result<Value, HostError> {
    door().call(HostCall { module: module.to_owned(), function: function.to_owned(), arguments }).await
}

/// Which of the two ways a call fails: thrown, or returned beside nil.
async fn check(module: &str, function: &str, arguments: Value, code: &str, thrown: bool) {
    let error = call(module, function, arguments).await.unwrap_err();
    assert_eq!((error.code.as_str(), !error.expected), (code, thrown), "{module}.{function}: {error}");
}

#[tokio::test]
async fn a_call_that_is_not_listed_is_refused() {
    for (module, function) in [("os", "execute"), ("mail", "read"), ("http", "Fetch"), ("", "")] {
        check(module, function, json!({}), "unknown-call", true).await;
    }
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_a_bug_of_the_handler() {
    check("http", "fetch", json!({}), "bad-argument", true).await;
    check("http", "fetch", json!([]), "bad-argument", true).await;
    check("http", "fetch", json!({"url": "http://example.com", "timeout": -1}), "bad-argument", true).await;
    check("http", "fetch", json!({"url": "http://example.com", "redirects": 3}), "bad-argument", true).await;
    check("http", "fetch", json!({"url": "gopher://example.com", "headers": []}), "bad-argument", true).await;
    check("mail", "send", json!({"to": 7, "subject": "a"}), "bad-argument", true).await;
    check("time", "sleep", json!({"seconds": -1}), "bad-argument", true).await;
    check("time", "sleep", json!({"seconds": 901}), "bad-argument", true).await;
    check("crypto", "hash_password", json!({"password": "x".repeat(1025)}), "bad-argument", true).await;
}

#[tokio::test]
async fn inner_addresses_are_out_of_reach_and_the_error_is_thrown() {
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://localhost:9001/2018-06-01/runtime/invocation/next",
    ] {
        check("http", "fetch", json!({"url": url, "headers": {}}), "address-forbidden", true).await;
    }
}

#[tokio::test]
async fn without_a_mail_server_a_mail_says_so() {
    let mail = json!({"to": ["a@example.com"], "subject": "a", "text": "b"});
    check("mail", "send", mail, "not-configured", true).await;
}

#[tokio::test]
async fn a_password_is_known_again_and_another_is_not() {
    let hash = call("crypto", "hash_password", json!({"password": "correct horse"})).await.unwrap();
    assert!(hash.as_str().unwrap().starts_with("$argon2id$"));
    for (password, same) in [("correct horse", true), ("wrong horse", false), ("", false)] {
        let answer =
            call("crypto", "verify_password", json!({"password": password, "hash": hash})).await.unwrap();
        assert_eq!(answer, json!(same), "{password}");
    }
}

#[tokio::test]
async fn a_hash_that_is_none_or_costs_too_much_is_an_expected_failure() {
    let dear =
        "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for hash in ["", "plain", "$2b$12$abcdefghijklmnopqrstuv", dear] {
        check("crypto", "verify_password", json!({"password": "a", "hash": hash}), "bad-hash", false).await;
    }
}

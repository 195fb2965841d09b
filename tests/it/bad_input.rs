//! Whatever is sent, the answer is a problem document with a 4xx: never a 5xx, never a panic.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::support::house::TestHouse;

const ROUTES: [(&str, &str); 12] = [
    ("POST", "queue"),
    ("PUT", "queue/a/here"),
    ("PUT", "queue/{id}"),
    ("POST", "queue/{id}/publish"),
    ("POST", "queue/a/here/publish"),
    ("POST", "queue/a/here/publish/batch"),
    ("POST", "key"),
    ("POST", "key/{id}/rotate"),
    ("GET", "queue?limit=x&cursor=y"),
    ("GET", "dead-letter/x"),
    ("DELETE", "key/x"),
    ("POST", "queue/{id}/pause"),
];

/// JSON-like texts, whole and broken, with the words our API knows.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("null".to_owned()),
        Just("1e999".to_owned()),
        Just("-0".to_owned()),
        Just("123456789012345678901234567890123456789012".to_owned()),
        "\"(name|type|sqs|url|schema|label|scopes|messages|payload|handler|fifo|worker|username)\"",
        "\"[\\x00-\\x7f]{0,8}\"",
        "\"\\\\u[0-9a-f]{4}\"",
        "\\PC{0,6}",
    ];
    prop_oneof![
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..64),
        (1_usize..2000).prop_map(|deep| "[".repeat(deep).into_bytes()),
        "(name|label)".prop_flat_map(|key| "\\PC{0,20}".prop_map(move |v| format!(
            "{{\"{key}\":{}}}",
            serde_json::json!(v)
        )
        .into_bytes())),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_input_brings_the_front_door_down() {
    let house = TestHouse::start().await;
    let queue = house.queue(serde_json::json!({"name": "here", "worker": "none"})).await;
    let mut runner = TestRunner::new(Config::default());
    println!("seed: {:?}", runner.rng());
    for _ in 0..300 {
        let body = body().new_tree(&mut runner).unwrap().current();
        let at = (0..ROUTES.len()).new_tree(&mut runner).unwrap().current();
        let (method, path) = ROUTES[at];
        let path = path.replace("{id}", &queue.id);
        let answer = house.send_bytes(method, &path, &body, &[]).await;
        let said = format!(
            "{method} {path} {:?} -> {} {}",
            String::from_utf8_lossy(&body),
            answer.status,
            answer.body
        );
        assert!(answer.status < 500, "{said}");
        if answer.status >= 400 {
            assert_eq!(answer.content_type, "application/problem+json", "{said}");
            assert!(answer.body["title"].is_string() && answer.body["status"] == answer.status, "{said}");
        }
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_body_is_refused_without_being_kept() {
    let house = TestHouse::start().await;
    house.queue(serde_json::json!({"name": "here", "worker": "none"})).await;
    let body = vec![b'['; 6 * 1024 * 1024];
    for path in ["queue", "queue/a/here/publish", "queue/a/here/publish/batch", "key"] {
        let answer = house.send_bytes("POST", path, &body, &[]).await;
        assert_eq!(answer.status, 413, "{path}: {}", answer.body);
    }
    house.stop().await;
}

//! API keys: who may do what.

use serde_json::json;

use crate::support::house::TestHouse;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_grants_only_scopes_it_holds() {
    let house = TestHouse::start().await;
    let clerk = house.key(&["key:write", "queue:publish:*"]).await;
    let check = async |scopes: &[&str], status: u16| {
        let body = json!({"label": "test", "scopes": scopes}).to_string();
        let answer = house.post_text("key", &body, &[("authorization", &clerk)]).await;
        assert_eq!(answer.status, status, "{scopes:?}: {}", answer.body);
    };
    check(&["queue:publish:orders"], 201).await;
    check(&["queue:publish:*", "key:write"], 201).await;
    check(&["queue:publish:orders", "queue:write:orders"], 403).await;
    check(&["*"], 403).await;
    check(&["nonsense"], 422).await;
    check(&[], 422).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_has_no_moment_at_which_neither_secret_works() {
    let house = TestHouse::start().await;
    house.queue(json!({"name": "rotated", "worker": "none"})).await;
    let made = house.post("key", &json!({"label": "rotated", "scopes": ["queue:publish:rotated"]})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let (id, first) = (made.text("id").to_owned(), format!("Bearer {}", made.text("key")));
    let works = async |key: &str| {
        house.post_text("queue/a/rotated/publish", "{}", &[("authorization", key)]).await.status
    };
    assert_eq!(works(&first).await, 200);

    let rotated = house.post(&format!("key/{id}/rotate"), &json!({})).await;
    let second = format!("Bearer {}", rotated.text("key"));
    assert_eq!((works(&first).await, works(&second).await), (200, 200));
    let rotated = house.post(&format!("key/{id}/rotate"), &json!({})).await;
    let third = format!("Bearer {}", rotated.text("key"));
    assert_eq!((works(&first).await, works(&second).await, works(&third).await), (401, 200, 200));

    let list = house.get("key").await;
    assert!(!list.body.to_string().contains(made.text("key")), "a key is shown once");
    let revoked = house.delete(&format!("key/{id}")).await;
    assert!([200, 204].contains(&revoked.status), "{}", revoked.body);
    assert_eq!((works(&second).await, works(&third).await), (401, 401));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_health_is_open() {
    let house = TestHouse::start().await;
    for (method, path) in [
        ("GET", "queue"),
        ("POST", "queue"),
        ("GET", "queue/0AV01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("PUT", "queue/x"),
        ("DELETE", "queue/x"),
        ("GET", "queue/a/x"),
        ("POST", "queue/x/pause"),
        ("POST", "queue/x/resume"),
        ("POST", "queue/x/publish"),
        ("POST", "queue/a/x/publish"),
        ("POST", "queue/x/publish/batch"),
        ("POST", "queue/a/x/publish/batch"),
        ("GET", "key"),
        ("POST", "key"),
        ("DELETE", "key/x"),
        ("POST", "key/x/rotate"),
        ("GET", "dead-letter/x"),
        ("GET", "nowhere"),
    ] {
        let answer = house.send(method, path, "{}", &[("authorization", "")]).await;
        assert_eq!(answer.status, 401, "{method} {path}: {}", answer.body);
        assert_eq!(answer.content_type, "application/problem+json");
    }
    assert_eq!(house.send("GET", "health", "", &[("authorization", "")]).await.status, 200);
    house.stop().await;
}

use std::sync::LazyLock;

use axum::body::Body;
use http::{HeaderValue, Method, Request};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::house::House;
use crate::store::send;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static HOUSE: LazyLock<(House, String)> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let house = House::start().await;
        let id = house.made(r#"{"name":"orders","type":"sqs"}"#).await;
        (house, id)
    })
});

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("/queue".to_owned()),
        4 => Just("/queue/ID".to_owned()),
        2 => Just("/key".to_owned()),
        1 => "/queue\\?(search|limit|cursor|x)=[a-z0-9%&=]{0,8}",
        1 => "/(queue|key|queue/a|dead-letter)/[a-zA-Z0-9%]{0,6}(/pause|/resume|/rotate|/secret/previous)?",
        1 => "/[a-z/%0-9?=&]{0,20}",
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let field = "\"(name|type|url|region|username|password|default-handler|schema|fifo|sasl|tls|partition|worker|max-failures|label|scopes|expires-at|x)\":(null|true|7|-1|1e9|\"\"|\"sqs\"|\"kafka\"|\"rabbitmq\"|\"plain\"|\"b:9092\"|\"amqps://b\"|\"none\"|\"attached\"|\"a\"|\"é\"|\"\\*\"|\\[\\]|\\[\"key:read\"\\]|\\{\\}|\\{\"type\":\"x\"\\})";
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..100),
        1 => "[\\[\\]{}\":,0-9eE.+\\-a-z \\\\]{0,60}".prop_map(String::into_bytes),
        4 => proptest::collection::vec(field, 0..6).prop_map(|fields| format!("{{{}}}", fields.join(",")).into_bytes()),
        1 => Just([b"[".repeat(5000), b"]".repeat(5000)].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn no_request_makes_a_5xx(
        path in path(), body in body(),
        method in prop_oneof![3 => Just(Method::POST), 2 => Just(Method::PUT), 1 => Just(Method::GET), 1 => Just(Method::PATCH)],
    ) {
        let (house, id) = &*HOUSE;
        let uri = format!("{}{}", api::BASE, path.replace("ID", id));
        let Ok(mut request) = Request::builder().method(method).uri(uri).body(Body::from(body)) else {
            return Ok(());
        };
        request.headers_mut().insert("x-api-key", HeaderValue::from_str(&house.key).unwrap());
        let answer = RUNTIME.block_on(send(&house.served, request));
        prop_assert!(answer.status < 500, "{}", answer.text);
        if answer.status >= 400 {
            answer.problem();
        }
    }
}

use std::sync::LazyLock;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::house::House;
use crate::store::send;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static HOUSE: LazyLock<House> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let house = House::start().await;
        house.queue("orders", |_| {}).await;
        house.queue("line", |queue| queue.fifo = true).await;
        house
    })
});

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("/queue/a/orders/publish".to_owned()),
        Just("/queue/a/line/publish".to_owned()),
        Just("/queue/a/orders/publish/batch".to_owned()),
        Just("/queue/a/line/publish/batch".to_owned()),
        "/queue/[a-z0-9%]{0,6}/publish(/batch)?",
        "/[a-z/%0-9?=&]{0,20}",
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let entry = "(\\{(\"payload\":[0-9\"{}a:\\[\\]]{0,6},?)?(\"(idempotency-key|ordering-key|deliver-after|x)\":[0-9\"a]{0,4})?\\}|[0-9],?){0,3}";
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[\\[\\]{}\":,0-9eE.+\\-a-z \\\\]{0,60}".prop_map(String::into_bytes),
        entry.prop_map(|entries| format!("{{\"messages\":[{entries}]}}").into_bytes()),
        Just([b"[".repeat(5000), b"]".repeat(5000)].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn no_request_makes_a_5xx(
        path in path(), body in body(),
        headers in proptest::collection::vec((0_usize..4, proptest::collection::vec(any::<u8>(), 0..20)), 0..4),
        method in prop_oneof![8 => Just(Method::POST), 1 => Just(Method::GET), 1 => Just(Method::PUT)],
    ) {
        let Ok(mut request) = Request::builder().method(method).uri(format!("{}{path}", api::BASE)).body(Body::from(body)) else {
            return Ok(());
        };
        request.headers_mut().insert("x-api-key", HeaderValue::from_str(&HOUSE.key).unwrap());
        for (at, value) in headers {
            let name = ["idempotency-key", "ordering-key", "deliver-after", "content-type"][at];
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        let answer = RUNTIME.block_on(send(&HOUSE.served, request));
        prop_assert!(answer.status < 500, "{}", answer.text);
        if answer.status >= 400 {
            answer.problem();
        }
    }
}

use std::sync::LazyLock;

use axum::body::Body;
use domain::{FieldKind, TextRules};
use http::{HeaderName, HeaderValue, Method, Request};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::house::House;
use crate::store::send;
use crate::tables::Design;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static HOUSE: LazyLock<(House, String)> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let house = House::start().await;
        let design = Design::new()
            .text("a")
            .unique()
            .integer("n")
            .indexed()
            .decimal("d")
            .field("j", FieldKind::Json)
            .field("t", FieldKind::DateTime)
            .field("b", FieldKind::Boolean)
            .field("e", FieldKind::EncryptedText(TextRules::default()))
            .rule("sane", "new.n == null || new.n != 13");
        let table = house.tables.table("Thing", design).await;
        let id = house.tables.record(&table, r#"{"n":1}"#).await;
        (house, id)
    })
});

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("/record/new".to_owned()),
        3 => Just("/record/batch".to_owned()),
        3 => Just("/record/ID".to_owned()),
        1 => "/record/[A-Z0-9%]{0,31}",
        1 => "/[a-z/%0-9?=&]{0,20}",
    ]
}

fn fields() -> impl Strategy<Value = String> {
    let value = "(null|-?[0-9]{1,20}(\\.[0-9]{1,20})?(e[0-9]{1,3})?|\"[ -!#-\\[\\]-~]{0,8}\"|true|\\[\\]|\\{\"k\":[0-9]\\}|\"2026-01-0[1-9]T00:00:00Z\")";
    proptest::collection::btree_map("[andjtbex]", value, 0..4)
        .prop_map(|map| {
            map.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect::<Vec<_>>().join(",")
        })
        .prop_map(|members| format!("{{{members}}}"))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let operation = (0_usize..5, fields()).prop_map(|(kind, fields)| match kind {
        0 => format!("{{\"create\":{{\"apiName\":\"Thing\",\"fields\":{fields}}}}}"),
        1 => format!("{{\"update\":{{\"id\":\"{}\",\"fields\":{fields}}}}}", HOUSE.1),
        2 => format!("{{\"delete\":{fields}}}"),
        3 => fields,
        _ => "7".to_owned(),
    });
    let operations = proptest::collection::vec(operation, 0..4).prop_map(|list| list.join(","));
    prop_oneof![
        3 => fields().prop_map(|fields| format!("{{\"apiName\":\"Thing\",\"fields\":{fields}}}").into_bytes()),
        2 => fields().prop_map(|fields| format!("{{\"fields\":{fields}}}").into_bytes()),
        3 => (operations, any::<bool>())
            .prop_map(|(list, atomic)| format!("{{\"atomic\":{atomic},\"operations\":[{list}]}}").into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => "[\\[\\]{}\":,0-9eE.+\\-a-z \\\\]{0,60}".prop_map(String::into_bytes),
        1 => Just([b"[".repeat(5000), b"]".repeat(5000)].concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn no_request_makes_a_5xx(
        path in path(), body in body(),
        headers in proptest::collection::vec((0_usize..3, proptest::collection::vec(any::<u8>(), 0..20)), 0..3),
        method in prop_oneof![6 => Just(Method::POST), 3 => Just(Method::PUT), 1 => Just(Method::GET)],
    ) {
        let (house, id) = &*HOUSE;
        let path = path.replace("ID", id);
        let Ok(mut request) = Request::builder().method(method).uri(format!("{}{path}", api::BASE)).body(Body::from(body)) else {
            return Ok(());
        };
        request.headers_mut().insert("x-api-key", HeaderValue::from_str(&house.key).unwrap());
        for (at, value) in headers {
            let name = ["idempotency-key", "if-match", "content-type"][at];
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        let answer = RUNTIME.block_on(send(&house.served, request));
        prop_assert!(answer.status < 500, "{}", answer.text);
        if answer.status >= 400 {
            answer.problem();
        }
    }
}

use std::sync::LazyLock;

use axum::body::Body;
use http::{HeaderValue, Method, Request};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::house::House;
use crate::store::send;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static HOUSE: LazyLock<House> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let house = House::with_student().await;
        house.want(201, "POST /page", r#"{"name":"p","table":"Student"}"#).await;
        house.queue("q", false).await;
        let links =
            house.want(201, "POST /table/Student/link", r#"{"queue":"q","on":["create"]}"#).await.json();
        assert_eq!(links["id"], LINK);
        house
    })
});

/// The link that is there from the start.
const LINK: &str = "0ALA00000001";

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("/table".to_owned()),
        2 => Just("/table/Student".to_owned()),
        4 => "/table/Student/(field|rule|index)(/(name|age|adult|would-fail|1|2|9))?",
        3 => Just("/table/Student/link".to_owned()),
        4 => "/link/(0ALA00000001|0ALA0000000[2-9]|0ALA00|[a-zA-Z0-9%]{0,6})(/test)?",
        2 => Just("/page".to_owned()),
        1 => Just("/page/p".to_owned()),
        1 => "/(table|page)\\?(search|limit|cursor|x)=[a-z0-9%&=]{0,8}",
        1 => "/(table|page)/[a-zA-Z0-9%]{0,6}(/field|/rule|/index)?(/[a-zA-Z0-9%]{0,4})?",
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let value = "(null|true|7|-1|1e9|123456789012345678901234567890|\"\"|\"text\"|\"integer\"|\"picklist\"|\"formula\"|\"a\"|\"é\"|\"age\"|\"new.age > 1\"|\"q\"|\"strict\"|\"update\"|\"a \\$\\{new.email\\} \\$\\$\\{ \\$\\{\"|\\[\"create\",\"delete\"\\]|\\{\"email\":\"a@b.ch\",\"age\":20\\}|\\{\"a\":\\[\"\\$\\{old.age\\}\"\\]\\}|\\[\\]|\\[\"age\"\\]|\\[\\{\\}\\]|\\{\\})";
    let key = "(apiName|name|label|type|required|default|unique|min|max|scale|min-length|pattern|values|table|expression|result|on|message|fields|rules|indexes|buckets|columns|filters|form|queue|mode|condition|only-fields|handler|payload|payload-fields|ordering-key|enabled|operation|old|new|version|x)";
    let field = || proptest::string::string_regex(&format!("\"{key}\":{value}")).unwrap();
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..100),
        1 => "[\\[\\]{}\":,0-9eE.+\\-a-z \\\\]{0,60}".prop_map(String::into_bytes),
        5 => proptest::collection::vec(field(), 0..6).prop_map(|fields| format!("{{{}}}", fields.join(",")).into_bytes()),
        2 => proptest::collection::vec(field(), 0..6).prop_map(|fields| {
            format!("{{\"apiName\":\"T\",\"fields\":[{{{}}}]}}", fields.join(",")).into_bytes()
        }),
        2 => proptest::collection::vec(field(), 0..6).prop_map(|fields| {
            format!("{{\"queue\":\"q\",\"on\":[\"create\"],{}\"enabled\":true}}", fields.iter().map(|f| format!("{f},")).collect::<String>()).into_bytes()
        }),
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
        let house = &*HOUSE;
        let Ok(mut request) = Request::builder().method(method).uri(format!("{}{path}", api::BASE)).body(Body::from(body)) else {
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

use std::time::Instant;

use domain::{LetterBody, LetterOrigin, QueueState};
use serde_json::json;

use crate::engine::{Engine, Mood};
use crate::house::{ANSWERED_WITHIN, House};
use crate::store::call;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_its_queue_byte_for_byte_and_the_answer_has_three_keys() {
    let house = House::start().await;
    let queue = house.queue("orders", |_| {}).await;
    let body = "{ \"handler\":\"signup\", \"n\": 1.0e1, \"é\":\"\\u00e9\" }\n";
    for path in [format!("/queue/{}/publish", queue.id), "/queue/a/orders/publish".to_owned()] {
        let answer = house.post(&path, &[("deliver-after", "7")], body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let answer = answer.json();
        let mut keys: Vec<_> = answer.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, ["message-id", "queue-id", "sqs-id"]);
        assert!(answer["message-id"].as_str().unwrap().starts_with("0BF"));
        assert_eq!(answer["queue-id"], queue.id.to_string());
        let sent = house.engine.messages("ql-orders").pop().unwrap();
        assert_eq!(sent["MessageBody"], body);
        assert_eq!(sent["DelaySeconds"], 7);
        assert_eq!(sent["MessageAttributes"]["message-id"]["StringValue"], answer["message-id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_publish_is_one_call() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    assert_eq!(house.post("/queue/a/orders/publish", &[], "1").await.status, 200);
    house.engine.calls();
    for _ in 0..3 {
        assert_eq!(house.post("/queue/a/orders/publish", &[], "1").await.status, 200);
    }
    assert_eq!(house.engine.calls(), ["SendMessage", "SendMessage", "SendMessage"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_names_every_fault_and_sends_nothing() {
    let house = House::start().await;
    let schema = json!({"type": "object", "required": ["to"], "properties": {"n": {"type": "integer"}}});
    house.queue("plain", |_| {}).await;
    house.queue("strict", |queue| queue.schema = Some(schema)).await;
    house.queue("line", |queue| queue.fifo = true).await;
    house.queue("small", |_| {}).await;
    house.engine.make("ql-small", &[("MaximumMessageSize", "3048")]);
    house.queue("new", |queue| queue.state = QueueState::Creating).await;
    house.queue("old", |queue| queue.state = QueueState::Deleting).await;

    let check =
        async |queue: &str, headers: &[(&str, &str)], body: &[u8], status: u16, faults: &[(&str, &str)]| {
            let answer = house.post(&format!("/queue/a/{queue}/publish"), headers, body).await;
            assert_eq!(answer.problem(), status, "{queue} {headers:?}: {}", answer.text);
            let found = answer.faults();
            let found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
            assert_eq!(found, faults, "{queue} {headers:?}: {}", answer.text);
        };
    check("plain", &[], b"", 400, &[("", "not-json")]).await;
    check("plain", &[], b"{", 400, &[("", "not-json")]).await;
    check("plain", &[("deliver-after", "x")], b"\xff", 400, &[("", "not-json")]).await;
    check("plain", &[], br#"{"a":1,"a":2}"#, 422, &[("a", "duplicate-key")]).await;
    check("plain", &[], br#"{"handler":7}"#, 422, &[("handler", "type")]).await;
    check("plain", &[], "\"\u{FFFF}\"".as_bytes(), 422, &[("", "forbidden-character")]).await;
    check("plain", &[], &vec![b'1'; 1024 * 1024], 413, &[("", "too-large")]).await;
    check("small", &[], &[&b"\""[..], &[b'a'; 999], b"\""].concat(), 413, &[("", "too-large")]).await;
    check("plain", &[("ordering-key", "a")], b"1", 422, &[("ordering-key", "not-on-standard")]).await;
    check("plain", &[("deliver-after", "901")], b"1", 422, &[("deliver-after", "range")]).await;
    check("plain", &[("deliver-after", "-1")], b"1", 422, &[("deliver-after", "type")]).await;
    check("plain", &[("idempotency-key", "")], b"1", 422, &[("idempotency-key", "length")]).await;
    check("line", &[("deliver-after", "1")], b"1", 422, &[("deliver-after", "not-on-fifo")]).await;
    check("line", &[("ordering-key", "a b")], b"1", 422, &[("ordering-key", "ordering-key")]).await;
    check(
        "plain",
        &[("ordering-key", "a"), ("deliver-after", "soon")],
        br#"{"a":1,"a":2}"#,
        422,
        &[("deliver-after", "type"), ("ordering-key", "not-on-standard"), ("a", "duplicate-key")],
    )
    .await;
    check(
        "strict",
        &[("ordering-key", "a")],
        br#"{"n":"x"}"#,
        422,
        &[("ordering-key", "not-on-standard"), ("", "schema"), ("n", "schema")],
    )
    .await;
    check("new", &[], b"1", 409, &[]).await;
    check("old", &[], b"1", 409, &[]).await;
    assert!(!house.engine.calls().iter().any(|call| call.starts_with("Send")));
    assert_eq!(
        house.post("/queue/a/small/publish", &[], [&b"\""[..], &[b'a'; 998], b"\""].concat()).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_learns_only_of_what_it_could_reach() {
    let house = House::start().await;
    let (orders, other) = (house.queue("orders", |_| {}).await, house.queue("other", |_| {}).await);
    let unknown = "0AV01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let one = house.store.key(&["queue:publish:orders", "queue:publish:ghost"]).await;
    let every = house.store.key(&["queue:publish:*"]).await;
    let reader = house.store.key(&["queue:read:*", "queue:write:*"]).await;
    let check = async |key: &str, queue: &str, status: u16| {
        for path in ["publish", "publish/batch"] {
            let body: &[u8] = if path == "publish" { b"1" } else { br#"{"messages":[{"payload":1}]}"# };
            let answer = call(&house.served, key, &format!("POST /queue/{queue}/{path}"), &[], body).await;
            assert_eq!(answer.status, status, "{queue}: {}", answer.text);
            let tells = status == 403 && queue == other.id.to_string() && answer.text.contains("other");
            assert!(!tells, "the name of a queue is learnt by its id: {}", answer.text);
            if status != 200 {
                answer.problem();
            }
        }
    };
    check(&one, &orders.id.to_string(), 200).await;
    check(&one, "a/orders", 200).await;
    check(&one, &other.id.to_string(), 403).await;
    check(&one, "a/other", 403).await;
    check(&one, unknown, 403).await;
    check(&one, "nonsense", 403).await;
    check(&one, "a/nowhere", 403).await;
    check(&one, "a/ghost", 404).await;
    check(&every, &other.id.to_string(), 200).await;
    check(&every, unknown, 404).await;
    check(&every, "nonsense", 404).await;
    check(&every, "a/nowhere", 404).await;
    check(&every, "a/no%20name", 404).await;
    check(&reader, "a/orders", 403).await;
    check(&reader, unknown, 403).await;
    check("", "a/orders", 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_publish_does_not_know_is_refused_and_nothing_is_sent() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    for (path, body) in [("publish", "1"), ("publish/batch", r#"{"messages":[{"payload":1}]}"#)] {
        let path = format!("/queue/a/orders/{path}?wait=published");
        let answer = house.post(&path, &[], body.as_bytes()).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert!(answer.text.contains("\"wait\""), "{}", answer.text);
    }
    assert!(!house.engine.calls().iter().any(|call| call.starts_with("Send")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_does_not_take_is_kept_and_said() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    let check = async |mood: Mood, unknown: bool| {
        house.engine.mood(mood);
        let start = Instant::now();
        let answer = house.post("/queue/a/orders/publish", &[], r#"{"n": 1}"#).await;
        assert!(start.elapsed() < ANSWERED_WITHIN);
        assert_eq!(answer.problem(), 503);
        let document = answer.json();
        assert_eq!(document.get("outcome").is_some(), unknown, "{document}");
        assert!(!answer.text.contains("arn:"), "the engine's own words stay inside: {document}");
        let letters = house.store.messages.letters(document["letter"].as_str().unwrap()).await.unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].body, Some(LetterBody::Text(r#"{"n": 1}"#.to_owned())));
        let origin = LetterOrigin::Publish { outcome_unknown: unknown, may_have_been_retried: true };
        assert_eq!(letters[0].origin, origin);
    };
    check(Mood::Refusing, false).await;
    check(Mood::Silent, true).await;
    house.engine.mood(Mood::Fine);
    house.engine.remove("ql-orders");
    check(Mood::Fine, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_not_there_is_certain_and_known_in_time() {
    let house = House::before(Engine::nowhere().await).await;
    house.queue("orders", |_| {}).await;
    let start = Instant::now();
    let answer = house.post("/queue/a/orders/publish", &[], "1").await;
    assert!(start.elapsed() < ANSWERED_WITHIN);
    assert_eq!(answer.problem(), 503);
    let document = answer.json();
    assert_eq!(document.get("outcome"), None, "{document}");
    let letters = house.store.messages.letters(document["letter"].as_str().unwrap()).await.unwrap();
    assert_eq!(letters[0].reason.code, "unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_credentials_sign_the_send() {
    let house = House::start().await;
    let id = house.queue("mine", |_| {}).await.id;
    let sealed = house.seal(id).await;
    let queue = house.store.catalog.fresh_queue(id).await.unwrap().unwrap();
    let with = domain::Queue { credentials: Some(sealed), ..queue.as_ref().clone() };
    house.store.catalog.update_queue(&queue, &with).await.unwrap();
    house.engine.calls();
    assert_eq!(house.post("/queue/a/mine/publish", &[], "1").await.status, 200);
    assert_eq!(house.engine.calls(), ["SendMessage"], "it is not looked at");
    assert_eq!(house.engine.messages("ql-mine")[0]["signed-by"], "AKIAFOREIGN");
}

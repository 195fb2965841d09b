use domain::LetterBody;
use serde_json::{Value, json};

use crate::engine::Mood;
use crate::house::House;

const PATH: &str = "/queue/a/orders/publish/batch";

fn statuses(answer: &Value) -> Vec<u64> {
    answer["results"].as_array().unwrap().iter().map(|result| result["status"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_taken_whole_in_order_and_byte_for_byte() {
    let house = House::start().await;
    let queue = house.queue("orders", |_| {}).await;
    let payloads: Vec<String> = (0..100).map(|n| format!(r#"{{ "n":{n}.0, "é":"\u00e9" }}"#)).collect();
    let entries: Vec<String> =
        payloads.iter().map(|payload| format!(r#"{{"payload" : {payload} }}"#)).collect();
    let body = format!(r#"{{"messages":[{}]}}"#, entries.join(","));
    let answer = house.post(&format!("/queue/{}/publish/batch", queue.id), &[], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    assert_eq!(statuses(&answer), [200; 100]);
    let mut sent = house.engine.messages("ql-orders");
    assert_eq!(sent.len(), 100);
    // Chunks travel at once, so the queue's own order may differ; the answer's may not.
    for (result, payload) in answer["results"].as_array().unwrap().iter().zip(&payloads) {
        let at = sent
            .iter()
            .position(|m| m["MessageAttributes"]["message-id"]["StringValue"] == result["message-id"]);
        assert_eq!(sent.swap_remove(at.unwrap())["MessageBody"], payload.as_str());
        let mut keys: Vec<_> = result.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, ["message-id", "queue-id", "sqs-id", "status"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_entry_has_its_own_result() {
    let house = House::start().await;
    house.queue("orders", |queue| queue.schema = Some(json!({"maximum": 10}))).await;
    house.engine.mood(Mood::Choosy);
    let body = r#"{"messages":[
        {"payload": 1},
        {"payload": "poison"},
        {"payload": 11},
        {"payload": {"a":1,"a":2}, "ordering-key": "x", "deliver-after": -1, "more": true},
        {},
        7,
        {"payload": 2, "idempotency-key": "k"},
        {"payload": 2, "idempotency-key": "k"},
        {"payload": 3, "idempotency-key": "k"},
        {"payload": 1, "deliver-after": 900}
    ]}"#;
    let answer = house.post(PATH, &[], body).await;
    assert_eq!(answer.status, 207, "{}", answer.text);
    let answer = answer.json();
    assert_eq!(statuses(&answer), [200, 503, 422, 422, 422, 422, 200, 200, 422, 200], "{answer}");
    let results = &answer["results"];
    assert_eq!(results[6]["message-id"], results[7]["message-id"]);
    let letter = results[1]["problem"]["letter"].as_str().unwrap();
    let kept = LetterBody::Text("\"poison\"".to_owned());
    assert_eq!(house.store.messages.letters(letter).await.unwrap()[0].body, Some(kept));
    let paths = |at: usize| -> Vec<&str> {
        results[at]["problem"]["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["path"].as_str().unwrap())
            .collect()
    };
    assert_eq!(paths(2), ["payload"]);
    assert_eq!(paths(3), ["deliver-after", "more", "ordering-key", "payload/a"]);
    assert_eq!(paths(4), ["payload"]);
    let mut bodies = house.engine.bodies("ql-orders");
    bodies.sort();
    assert_eq!(bodies, ["1", "1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_would_be_passed_over_is_refused() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    for name in ["idempotency-key", "ordering-key", "deliver-after"] {
        let answer = house.post(PATH, &[(name, "1")], r#"{"messages":[{"payload":1}]}"#).await;
        assert_eq!(
            (answer.problem(), answer.faults()),
            (422, vec![(name.to_owned(), "not-on-batch".to_owned())])
        );
    }
    assert!(house.engine.bodies("ql-orders").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_to_an_engine_that_is_down_is_kept_whole() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    house.engine.mood(Mood::Refusing);
    let body = format!(r#"{{"messages":[{}]}}"#, vec![r#"{"payload":1}"#; 25].join(","));
    let answer = house.post(PATH, &[], body).await;
    assert_eq!(answer.status, 207);
    for result in answer.json()["results"].as_array().unwrap() {
        assert_eq!(result["status"], 503);
        let letter = result["problem"]["letter"].as_str().unwrap();
        assert_eq!(house.store.messages.letters(letter).await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_batch_keeps_the_order_of_each_key() {
    let house = House::start().await;
    house.queue("orders", |queue| queue.fifo = true).await;
    let entries: Vec<String> = (0..40)
        .map(|n| format!(r#"{{"payload":{n},"ordering-key":"{}"}}"#, ["a", "b", "c"][n % 3]))
        .collect();
    let answer = house.post(PATH, &[], format!(r#"{{"messages":[{}]}}"#, entries.join(","))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let sent = house.engine.messages("ql-orders");
    for (at, key) in ["a", "b", "c"].into_iter().enumerate() {
        let of_key = sent.iter().filter(|message| message["MessageGroupId"] == key);
        let numbers: Vec<usize> =
            of_key.map(|m| m["MessageBody"].as_str().unwrap().parse().unwrap()).collect();
        assert_eq!(numbers, (0..40).filter(|n| n % 3 == at).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_batch_is_refused_and_nothing_is_sent() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    let check = async |body: &[u8], status: u16| {
        let answer = house.post(PATH, &[], body).await;
        assert_eq!(answer.problem(), status, "{}", answer.text);
    };
    check(b"", 400).await;
    check(b"{\"messages\":[1", 400).await;
    check(b"[]", 422).await;
    check(br#"{"messages":[],"x":1}"#, 422).await;
    check(format!(r#"{{"messages":[{}]}}"#, vec![r#"{"payload":1}"#; 101].join(",")).as_bytes(), 422).await;
    check(format!(r#"{{"messages":[{{"payload":"{}"}}]}}"#, "a".repeat(4 << 20)).as_bytes(), 413).await;
    check(&vec![b' '; 5 << 20], 413).await;
    assert!(house.engine.messages("ql-orders").is_empty());
}

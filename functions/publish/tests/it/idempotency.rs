use std::time::{Duration, Instant};

use domain::{Clock, LetterState};
use tokio::net::TcpSocket;
use zstorage::Messages;

use crate::engine::Mood;
use crate::house::House;
use crate::store::client;

const PATH: &str = "/queue/a/orders/publish";
const KEY: [(&str, &str); 1] = [("idempotency-key", "k")];

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_and_body_is_one_message_and_another_body_is_refused() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    house.queue("other", |_| {}).await;
    let first = house.post(PATH, &KEY, "1").await;
    let again = house.post(PATH, &KEY, "1").await;
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(first.text, again.text);
    assert_eq!(house.engine.messages("ql-orders").len(), 1);
    assert_eq!(house.post(PATH, &KEY, "2").await.problem(), 422);
    assert_eq!(house.post(PATH, &[KEY[0], ("deliver-after", "5")], "1").await.problem(), 422);
    assert_eq!(
        house.post("/queue/a/other/publish", &KEY, "2").await.status,
        200,
        "another queue, another key"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_simultaneous_calls_one_sends() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    let calls = (0..8).map(|_| house.post(PATH, &KEY, "1"));
    for answer in futures::future::join_all(calls).await {
        match answer.status {
            200 => {}
            _ => {
                assert_eq!(answer.problem(), 409);
                assert!(answer.headers.contains_key("retry-after"));
            }
        }
    }
    assert_eq!(house.engine.messages("ql-orders").len(), 1);
    assert_eq!(house.post(PATH, &KEY, "1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_holds_its_keys_for_as_long_as_a_batch_may_take() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    assert_eq!(house.post("/queue/a/orders/publish", &[], "0").await.status, 200);
    house.engine.mood(Mood::Silent);
    let body = r#"{"messages":[{"payload":1,"idempotency-key":"k"}]}"#;
    let begun = Instant::now();
    let batch = house.post("/queue/a/orders/publish/batch", &[], body);
    let meanwhile = async {
        // The engine has heard of the batch, so its keys are noted.
        let heard = async {
            while !house.engine.calls().iter().any(|call| call == "SendMessageBatch") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();
        let answer = house.post(PATH, &KEY, "1").await;
        // Here, not when the batch is over: what is still to be waited is counted from this answer.
        (answer, begun.elapsed())
    };
    let (batch, (meanwhile, passed)) = tokio::join!(batch, meanwhile);
    assert_eq!(batch.status, 207);
    assert_eq!(meanwhile.problem(), 409);
    let wait: u32 = meanwhile.headers["retry-after"].to_str().unwrap().parse().unwrap();
    // The key was noted after the batch began, so 30 s are not over before what has passed and what is to come are.
    assert!(f64::from(wait) + passed.as_secs_f64() > 29.0, "{wait} s, after {passed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_goes_out_under_the_same_id_and_closes_the_letter() {
    let house = House::start().await;
    house.queue("orders", |_| {}).await;
    house.engine.mood(Mood::Refusing);
    let refused = house.post(PATH, &KEY, "1").await;
    assert_eq!(refused.problem(), 503);
    let letter = refused.json()["letter"].as_str().unwrap().to_owned();
    house.engine.mood(Mood::Fine);
    let accepted = house.post(PATH, &KEY, "1").await;
    assert_eq!(accepted.status, 200, "{}", accepted.text);
    assert_eq!(accepted.json()["message-id"], letter);
    let letters = house.store.messages.letters(&letter).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.state).collect::<Vec<_>>(), [LetterState::Closed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_a_key_is_refused_and_a_plain_message_still_goes() {
    // It does not listen, so who connects is refused; and while it is bound, the port is nobody else's.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nowhere = format!("http://{}", deaf.local_addr().unwrap());
    let house = House::over(Messages::new(client(&nowhere), "messages".into(), Clock::system())).await;
    house.queue("orders", |_| {}).await;
    let refused = house.post(PATH, &KEY, "1").await;
    assert_eq!(refused.problem(), 503);
    assert_eq!(refused.json()["kept"], false);
    assert_eq!(house.engine.messages("ql-orders").len(), 0);
    assert_eq!(house.post(PATH, &[], "1").await.status, 200);
    house.engine.mood(Mood::Refusing);
    let refused = house.post(PATH, &[], "1").await;
    assert_eq!((refused.problem(), &refused.json()["kept"]), (503, &false.into()));
}

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use std::sync::{Arc, Mutex};

use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use domain::Guard;
use queue::Outgoing;
use queue::kafka::{KafkaProducers, KafkaSecurity};
use queue::local::MockKafka;
use serde_json::{Value, json};

use super::*;
use crate::mapping::poller::Poller;

/// Offsets of each call, in the order of the calls.
type Calls = Arc<Mutex<Vec<Vec<i64>>>>;

/// A function that refuses offset 2 when it first sees it, and throws when it sees it again.
fn stubborn(calls: &Calls) -> Function {
    let calls = Arc::clone(calls);
    Function::new(Duration::from_secs(5), move |event: Value, _| {
        let records = event["records"]["orders-0"].as_array().unwrap();
        let offsets: Vec<i64> = records.iter().map(|record| record["offset"].as_i64().unwrap()).collect();
        let mut calls = calls.lock().unwrap();
        let seen = calls.iter().flatten().filter(|offset| **offset == 2).count();
        let has = offsets.contains(&2);
        calls.push(offsets);
        let answer = match (has, seen) {
            (true, 0) => {
                let item = json!({"itemIdentifier": {"partition": "orders-0", "offset": 2}});
                Ok(json!({ "batchItemFailures": [item] }))
            }
            (true, 1) => Err("thrown"),
            _ => Ok(json!({ "batchItemFailures": [] })),
        };
        async move { answer }
    })
}

async fn send(producers: &KafkaProducers, to: &KafkaPlace, count: usize) {
    for _ in 0..count {
        let message = Outgoing {
            message_id: "m".to_owned(),
            round: 0,
            body: "{}".to_owned(),
            ordering_key: None,
            delay_secs: 0,
            attributes: Vec::new(),
        };
        producers.send(to, &message).await.unwrap();
    }
}

async fn until_seen(calls: &Calls, offset: i64, times: usize) -> Vec<Vec<i64>> {
    for _ in 0..3000 {
        let all = calls.lock().unwrap().clone();
        if all.iter().flatten().filter(|seen| **seen == offset).count() >= times {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("offset {offset} was not seen {times} times: {:?}", calls.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_failure_on_a_partition_comes_again_until_it_is_done_and_then_never_more() {
    let mock = MockKafka::start().unwrap();
    mock.make_topic("orders", 1).unwrap();
    let place = KafkaPlace {
        bootstrap: mock.bootstrap(),
        topic: "orders".to_owned(),
        partition: None,
        security: KafkaSecurity::Plaintext,
    };
    let role = SharedCredentialsProvider::new(Credentials::new("nobody", "nothing", None, None, "tests"));
    let producers = KafkaProducers::new(role, Guard::operator().with_loopback(true));
    send(&producers, &place, 5).await;

    let calls = Calls::default();
    let start = || {
        let work = TopicWork { place: place.clone(), group: "group".to_owned(), function: stubborn(&calls) };
        Poller::start(|stopped| poll_topic(work, stopped))
    };
    let poller = start();
    // The third time it is done, and what is behind it comes with it or after it.
    until_seen(&calls, 2, 3).await;
    let all = until_seen(&calls, 4, 1).await;
    let first = all.iter().position(|offsets| offsets.contains(&2)).unwrap();
    assert_eq!(all[..=first].concat(), (0..=*all[first].last().unwrap()).collect::<Vec<_>>(), "{all:?}");
    assert!(all[first + 1..].iter().all(|offsets| offsets[0] >= 2), "what is done comes once: {all:?}");
    assert!(all[first + 1..first + 3].iter().all(|offsets| offsets[0] == 2), "{all:?}");
    poller.end(Duration::from_secs(10)).await;

    calls.lock().unwrap().retain(|offsets| offsets.contains(&2));
    let before = calls.lock().unwrap().len();
    let poller = start();
    send(&producers, &place, 1).await;
    let all = until_seen(&calls, 5, 1).await;
    assert_eq!(all[before..].concat(), [5], "what was done before does not come to the next poller");
    poller.end(Duration::from_secs(10)).await;
}

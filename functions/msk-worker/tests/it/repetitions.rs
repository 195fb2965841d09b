//! A batch that Kafka brings again, and one that it does not.

use domain::LetterState;
use serde_json::{Value, json};

use crate::broker_bench::{buried, names};
use crate::{batch, bench, failed, handle_by, record, worker};

/// A record whose handler rejects it until it is healed.
fn wavering(offset: i64, healed: bool) -> Value {
    let mut record = record(offset, None, "waver");
    if healed {
        record["headers"] = json!([{ "healed": [121] }]);
    }
    record
}

#[tokio::test]
async fn records_that_follow_on_cost_no_aws_call_when_they_are_done() {
    let bench = bench().await;
    let worker = worker(&bench);
    for first in [1, 11, 50, 60] {
        let records = (first..first + 10).map(|offset| record(offset, None, "ack")).collect();
        assert_eq!(handle_by(&worker, batch(records), 20).await.unwrap(), failed(&[]));
        let calls = bench.double.calls();
        assert!(first == 1 || calls.is_empty(), "{:?}", names(&calls));
    }
}

/// A letter says that its message died: were the message handled after all, the letter would stand open for ever.
#[tokio::test]
async fn a_record_that_comes_again_is_not_run_beside_its_letter() {
    let bench = bench().await;
    let first = worker(&bench);
    let before = batch(vec![record(1, None, "ack"), wavering(2, false)]);
    assert_eq!(handle_by(&first, before, 20).await.unwrap(), failed(&[]));
    assert_eq!(buried(&bench.double.calls()).len(), 1);
    // To the same process, and to one that took the dead one's place.
    for worker in [first, worker(&bench)] {
        let again = batch(vec![record(1, None, "ack"), wavering(2, true)]);
        assert_eq!(handle_by(&worker, again, 20).await.unwrap(), failed(&[]));
        assert_eq!(buried(&bench.double.calls()), [r#"{"handler":"waver"}"#], "forwarded, not run");
        let letter = bench.letters("orders-0-2").await.remove(0);
        assert_eq!((letter.state, letter.reason.code.as_str()), (LetterState::Open, "rejected"));
    }
}

#[tokio::test]
async fn a_record_whose_attempts_are_spent_is_not_run_when_it_comes_again() {
    let bench = bench().await;
    let worker = worker(&bench);
    let mut strikes = Vec::new();
    for _ in 0..5 {
        assert_eq!(handle_by(&worker, batch(vec![record(1, None, "throw")]), 20).await.unwrap(), failed(&[]));
        strikes.push(names(&bench.double.calls()).iter().filter(|name| **name == "UpdateItem").count());
    }
    assert_eq!(strikes, [1, 1, 1, 0, 0]);
    assert_eq!(bench.letters("orders-0-1").await[0].attempts, 3);
}

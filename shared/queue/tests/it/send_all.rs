use std::collections::HashMap;
use std::sync::Mutex;

use queue::{Outgoing, SendError, SqsPlace};
use serde_json::Value;

use crate::engine::{Answer, Engine, batch, fifo, message, nobody, queues_at, refused, standard};

fn number(entry: &Value) -> usize {
    let body: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
    usize::try_from(body["number"].as_u64().unwrap()).unwrap()
}

fn numbers(asked: &crate::engine::Asked) -> Vec<usize> {
    asked.body["Entries"].as_array().unwrap().iter().map(number).collect()
}

/// One letter per result: `+` accepted, `R` refused, `?` unanswered, `-` unreachable.
fn fates(results: &[Result<queue::Accepted, SendError>]) -> String {
    let fate = |(at, result): (usize, &Result<queue::Accepted, SendError>)| match result {
        Ok(accepted) => {
            assert_eq!(
                accepted.engine_id,
                format!(r#"sqs-{{"number":{at}}}"#),
                "each result is its own message's"
            );
            '+'
        }
        Err(SendError::Refused { .. }) => 'R',
        Err(SendError::Unanswered { .. }) => '?',
        Err(SendError::Unreachable { .. }) => '-',
    };
    results.iter().enumerate().map(fate).collect()
}

fn messages(count: usize) -> Vec<Outgoing> {
    (0..count).map(|at| message(at, None)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_five_messages_are_three_calls_and_each_has_its_result() {
    let engine = Engine::serve(|asked, _| batch(asked, |_| Ok(()))).await;
    let results = engine.queues().send_all(&standard(), &messages(25)).await;
    assert_eq!(fates(&results), "+".repeat(25));
    let mut sizes: Vec<usize> = engine.asked().iter().map(|asked| numbers(asked).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 10, 10]);
    assert!(engine.queues().send_all(&standard(), &[]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn heavy_messages_go_in_more_calls() {
    let engine = Engine::serve(|asked, _| batch(asked, |_| Ok(()))).await;
    let heavy = |at| Outgoing {
        body: format!(r#"{{"number":{at},"x":"{}"}}"#, "x".repeat(400_000)),
        ..message(at, None)
    };
    let results = engine.queues().send_all(&standard(), &[heavy(0), heavy(1), heavy(2)]).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(engine.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_halves_of_a_batch_answer_are_read_and_only_what_may_yet_work_is_sent_again() {
    let engine = Engine::serve(|asked, before| {
        batch(asked, |entry| match (number(entry), before) {
            (1, _) => Err(("InvalidMessageContents", true)),
            (3, 0) => Err(("ThrottlingException", false)),
            (5, _) => Err(("InternalError", false)),
            (7, 0) => Err(("InternalError", false)),
            _ => Ok(()),
        })
    })
    .await;
    let results = engine.queues().send_all(&standard(), &messages(10)).await;
    assert_eq!(fates(&results), "+R+++?++++");
    let refused = SendError::Refused { code: "InvalidMessageContents".into(), message: "as told".into() };
    assert_eq!(results[1], Err(refused));
    let asked = engine.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(numbers(&asked[1]), [3, 5, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_answer_passes_over_is_not_taken_for_accepted() {
    let engine = Engine::serve(|asked, _| {
        let Answer::Json(status, mut body) = batch(asked, |_| Ok(())) else { unreachable!() };
        body["Successful"].as_array_mut().unwrap().retain(|entry| entry["Id"] != "2");
        Answer::Json(status, body)
    })
    .await;
    assert_eq!(fates(&engine.queues().send_all(&standard(), &messages(4)).await), "++?+");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_a_refusal_of_all_its_messages_and_of_no_others() {
    let engine = Engine::serve(|asked, _| {
        if numbers(asked).contains(&0) { refused(400, "AccessDenied") } else { batch(asked, |_| Ok(())) }
    })
    .await;
    let results = engine.queues().send_all(&standard(), &messages(12)).await;
    assert_eq!(fates(&results), "RRRRRRRRRR++");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_gone_is_not_asked_for_every_chunk() {
    let queues = queues_at(&nobody().await);
    assert_eq!(fates(&queues.send_all(&standard(), &messages(100)).await), "-".repeat(100));
    let engine = Engine::serve(|_, _| refused(503, "ServiceUnavailable")).await;
    let of_one_key: Vec<Outgoing> =
        (0..20).map(|at| message(at, Some(if at % 2 == 0 { "a" } else { "b" }))).collect();
    let results = engine.queues().send_all(&fifo(), &of_one_key).await;
    assert_eq!(fates(&results), format!("??{}", "-".repeat(18)));
    assert_eq!(engine.asked().len(), 2, "one chunk, two attempts");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_fifo_queue_no_message_overtakes_a_failed_one_of_its_key() {
    let engine = Engine::serve(|asked, _| {
        batch(asked, |entry| if number(entry) == 2 { Err(("InvalidMessageContents", true)) } else { Ok(()) })
    })
    .await;
    // Keys a, b, a, b, ...: number 2 is the second of key a.
    let keyed: Vec<Outgoing> =
        (0..8).map(|at| message(at, Some(if at % 2 == 0 { "a" } else { "b" }))).collect();
    assert_eq!(fates(&engine.queues().send_all(&fifo(), &keyed).await), "++R+-+-+");
    let asked: Vec<Vec<usize>> = engine.asked().iter().map(numbers).collect();
    assert_eq!(asked, [vec![0, 1], vec![2, 3], vec![5], vec![7]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_fifo_queue_no_two_calls_are_under_way_at_once_and_no_key_is_twice_in_one() {
    let at_once = Mutex::new(HashMap::<String, usize>::new());
    let engine = Engine::serve(move |asked, _| {
        let mut seen = at_once.lock().unwrap();
        for entry in asked.body["Entries"].as_array().unwrap() {
            let (group, number) = (entry["MessageGroupId"].as_str().unwrap().to_owned(), number(entry));
            assert!(seen.insert(group, number).is_none_or(|before| before < number));
        }
        batch(asked, |_| Ok(()))
    })
    .await;
    let keyed: Vec<Outgoing> =
        (0..40).map(|at| message(at, (at % 5 > 0).then_some(["a", "b", "c"][at % 3]))).collect();
    assert_eq!(fates(&engine.queues().send_all(&fifo(), &keyed).await), "+".repeat(40));
    for asked in engine.asked() {
        let groups: Vec<&str> = asked.body["Entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["MessageGroupId"].as_str().unwrap())
            .collect();
        let mut different = groups.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), groups.len(), "{groups:?}");
    }
}

/// A queue may take less in one call than others do, and may refuse a whole call for one message of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_refused_whole_for_its_messages_is_made_again_in_halves() {
    let check = async |code: &'static str, is_too_much: fn(&[usize]) -> bool, to: &SqsPlace, expect: &str| {
        let engine = Engine::serve(move |asked, _| match is_too_much(&numbers(asked)) {
            true => refused(400, code),
            false => batch(asked, |_| Ok(())),
        })
        .await;
        let results = engine.queues().send_all(to, &messages(10)).await;
        assert_eq!(fates(&results), expect, "{code}");
        assert!(engine.asked().len() < 20, "{code}: {} calls", engine.asked().len());
    };
    check("BatchRequestTooLong", |numbers| numbers.len() > 3, &standard(), "++++++++++").await;
    for to in [standard(), fifo()] {
        check("InvalidMessageContents", |numbers| numbers.contains(&7), &to, "+++++++R++").await;
    }
}

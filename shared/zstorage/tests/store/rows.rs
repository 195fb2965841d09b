use domain::{DeadReason, Letter, LetterOrigin, LetterState, MessageId, QueueName};
use futures::future::join_all;
use jiff::Timestamp;
use zstorage::{Begun, IdempotencyKey, MessagesError};

use crate::house::{House, key_id, message_id, queue_id};

const BODY: [u8; 32] = [1; 32];

fn row() -> IdempotencyKey {
    IdempotencyKey { caller: key_id(), queue: queue_id(), key: "order 1 #~ é".repeat(40) }
}

fn letter(id: MessageId, row: &IdempotencyKey, body_bytes: usize) -> Letter {
    Letter {
        message_id: id.to_string(),
        round: 0,
        queue_id: row.queue,
        queue_name: QueueName::parse("orders").unwrap(),
        origin: LetterOrigin::Publish { outcome_unknown: false, may_have_been_retried: false },
        reason: DeadReason::new("refused", "the queue is gone"),
        body: Some("x".repeat(body_bytes).into()),
        ordering_key: None,
        attempts: 1,
        handler: None,
        log: String::new(),
        died_at: Timestamp::UNIX_EPOCH,
        state: LetterState::Open,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_begins_at_once_exactly_one_is_new() {
    let house = House::new().await;
    let row = row();
    let begins = (0..60).map(|_| {
        let (messages, row, id) = (house.messages(), row.clone(), message_id());
        async move { (id, messages.begin(&row, BODY, id, 10).await.unwrap()) }
    });
    let begun = join_all(begins).await;
    let new = begun.iter().filter(|(id, begun)| *begun == Begun::New { message_id: *id }).count();
    let waiting =
        begun.iter().filter(|(_, begun)| *begun == Begun::InProgress { retry_after_secs: 10 }).count();
    assert_eq!((new, waiting), (1, 59), "{begun:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_find_a_refused_row_exactly_one_resumes_it_under_the_first_id() {
    let house = House::new().await;
    let (row, first) = (row(), message_id());
    house.messages().begin(&row, BODY, first, 10).await.unwrap();
    house.messages().refused(&row, first, None).await.unwrap();
    let begins = (0..40).map(|_| {
        let (messages, row) = (house.messages(), row.clone());
        async move { messages.begin(&row, BODY, message_id(), 10).await.unwrap() }
    });
    let begun = join_all(begins).await;
    let resumed = begun.iter().filter(|b| **b == Begun::Resume { message_id: first, letter: None }).count();
    let waiting = begun.iter().filter(|b| matches!(b, Begun::InProgress { .. })).count();
    assert_eq!((resumed, waiting), (1, 39), "{begun:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_goes_its_way_from_begin_to_accepted_and_ends_after_a_day() {
    let house = House::new().await;
    let (messages, row, first) = (house.messages(), row(), message_id());
    let begin = async |hash: [u8; 32]| messages.begin(&row, hash, message_id(), 10).await.unwrap();
    assert_eq!(messages.begin(&row, BODY, first, 10).await.unwrap(), Begun::New { message_id: first });
    // The same call again, as after an answer lost on the wire.
    assert_eq!(messages.begin(&row, BODY, first, 10).await.unwrap(), Begun::New { message_id: first });
    assert_eq!(begin([2; 32]).await, Begun::OtherBody);
    house.hands.turn_secs(9);
    assert_eq!(begin(BODY).await, Begun::InProgress { retry_after_secs: 1 });
    // Cut off: the next one goes on under the first id.
    house.hands.turn_secs(1);
    let taker = message_id();
    let resumed = messages.begin(&row, BODY, taker, 10).await.unwrap();
    assert_eq!(resumed, Begun::Resume { message_id: first, letter: None });
    assert_eq!(begin(BODY).await, Begun::InProgress { retry_after_secs: 10 });
    messages.accepted(&row, "sqs-1").await.unwrap();
    let accepted = Begun::Accepted { message_id: first, engine_id: "sqs-1".into() };
    assert_eq!(begin(BODY).await, accepted);
    // What was accepted stays accepted, under its first engine id.
    messages.accepted(&row, "sqs-2").await.unwrap();
    let lost = messages.refused(&row, taker, Some(&letter(first, &row, 10))).await.unwrap_err();
    assert!(matches!(lost, MessagesError::Overtaken) && lost.is_conflict());
    assert_eq!(begin(BODY).await, accepted);
    assert_eq!(begin([2; 32]).await, Begun::OtherBody);
    assert_eq!(messages.letters(&first.to_string()).await.unwrap(), []);
    house.hands.turn_secs(24 * 3600 - 1);
    assert_eq!(begin(BODY).await, accepted);
    house.hands.turn_secs(1);
    assert!(matches!(begin([2; 32]).await, Begun::New { message_id } if message_id != first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_call_whose_row_was_taken_over_does_not_free_it_under_the_one_that_sends_now() {
    let house = House::new().await;
    let (messages, row, slow, quick) = (house.messages(), row(), message_id(), message_id());
    messages.begin(&row, BODY, slow, 10).await.unwrap();
    house.hands.turn_secs(10);
    let taken = messages.begin(&row, BODY, quick, 10).await.unwrap();
    assert_eq!(taken, Begun::Resume { message_id: slow, letter: None });
    let late = messages.refused(&row, slow, Some(&letter(slow, &row, 10))).await.unwrap_err();
    assert!(matches!(late, MessagesError::Overtaken), "{late}");
    let third = messages.begin(&row, BODY, message_id(), 10).await.unwrap();
    assert_eq!(third, Begun::InProgress { retry_after_secs: 10 });
    assert_eq!(messages.letters(&slow.to_string()).await.unwrap(), []);
    messages.refused(&row, quick, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_other_callers_queues_and_keys_are_other_rows() {
    let house = House::new().await;
    let (messages, one) = (house.messages(), row());
    let others = [
        IdempotencyKey { caller: key_id(), ..one.clone() },
        IdempotencyKey { queue: queue_id(), ..one.clone() },
        IdempotencyKey { key: "order 2".into(), ..one.clone() },
        IdempotencyKey { key: String::new(), ..one.clone() },
    ];
    for row in std::iter::once(&one).chain(&others) {
        let id = message_id();
        assert_eq!(messages.begin(row, BODY, id, 10).await.unwrap(), Begun::New { message_id: id });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_publish_leaves_a_letter_and_a_retry_that_is_accepted_closes_it() {
    for body_bytes in [10, 1024 * 1024] {
        let house = House::new().await;
        let (messages, row, first) = (house.messages(), row(), message_id());
        messages.begin(&row, BODY, first, 10).await.unwrap();
        let kept = letter(first, &row, body_bytes);
        messages.refused(&row, first, Some(&kept)).await.unwrap();
        assert_eq!(messages.letters(&first.to_string()).await.unwrap(), std::slice::from_ref(&kept));
        let resumed = Begun::Resume { message_id: first, letter: Some(first.to_string()) };
        let second = message_id();
        assert_eq!(messages.begin(&row, BODY, second, 10).await.unwrap(), resumed);
        // Refused once more: still one letter, the newer one.
        let again = Letter { attempts: 2, ..kept.clone() };
        messages.refused(&row, second, Some(&again)).await.unwrap();
        assert_eq!(messages.letters(&first.to_string()).await.unwrap(), std::slice::from_ref(&again));
        assert_eq!(messages.begin(&row, BODY, message_id(), 10).await.unwrap(), resumed);
        messages.accepted(&row, "sqs-1").await.unwrap();
        let closed = Letter { state: LetterState::Closed, ..again };
        assert_eq!(messages.letters(&first.to_string()).await.unwrap(), [closed]);
        let accepted = Begun::Accepted { message_id: first, engine_id: "sqs-1".into() };
        assert_eq!(messages.begin(&row, BODY, message_id(), 10).await.unwrap(), accepted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_mark_and_a_refused_one_at_once_never_leave_an_open_letter_of_an_accepted_message() {
    let house = House::new().await;
    for _ in 0..20 {
        let (messages, row, first) = (house.messages(), row(), message_id());
        messages.begin(&row, BODY, first, 10).await.unwrap();
        let kept = letter(first, &row, 10);
        let (accepted, _) =
            tokio::join!(messages.accepted(&row, "sqs-1"), messages.refused(&row, first, Some(&kept)));
        accepted.unwrap();
        let letters = messages.letters(&first.to_string()).await.unwrap();
        assert!(letters.iter().all(|letter| letter.state == LetterState::Closed), "{letters:?}");
        assert!(matches!(
            messages.begin(&row, BODY, message_id(), 10).await.unwrap(),
            Begun::Accepted { .. }
        ));
    }
}

use std::collections::BTreeSet;

use domain::{DeadReason, HandlerName, Letter, LetterBody, LetterOrigin, LetterState, QueueName};
use futures::future::join_all;
use jiff::Timestamp;
use zstorage::{MAX_LETTER_BYTES, MessagesError};

use crate::house::{House, message_id, queue_id};

pub(crate) fn letter(body: Option<impl Into<LetterBody>>) -> Letter {
    Letter {
        message_id: message_id().to_string(),
        round: 0,
        queue_id: queue_id(),
        queue_name: QueueName::parse("orders").unwrap(),
        origin: LetterOrigin::Worker,
        reason: DeadReason::new("failed", "boom é"),
        body: body.map(Into::into),
        ordering_key: Some("customer 1".into()),
        attempts: 3,
        handler: Some(HandlerName::parse("on-boarding/signup").unwrap()),
        log: "a line\n".repeat(2000),
        died_at: Timestamp::from_second(1_700_000_000).unwrap(),
        state: LetterState::Open,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_any_size_is_kept_whole() {
    let house = House::new().await;
    let messages = house.messages();
    let check = async |body: Option<LetterBody>, items: usize| {
        let before = house.items("messages").await;
        let letter = letter(body);
        messages.keep_letter(&letter).await.unwrap();
        // Kept again, as after a crash before the acknowledgement.
        messages.keep_letter(&letter).await.unwrap();
        assert_eq!(house.items("messages").await - before, items);
        assert!(messages.letters(&letter.message_id).await.unwrap() == [letter]);
    };
    check(None::<String>.map(LetterBody::from), 1).await;
    check(Some(String::new().into()), 1).await;
    check(Some(r#"{"a":"é😀"}"#.to_owned().into()), 1).await;
    check(Some("x".repeat(299 * 1024).into()), 1).await;
    // What is no text lies beside it.
    check(Some(LetterBody::Bytes(vec![0xff])), 2).await;
    let house_of_its_own = House::new().await;
    let messages = house_of_its_own.messages();
    // More than one transaction carries, too: Lambda hands over 6 MB, and a consumer of Kafka may send them.
    for body in [301 * 1024, 1024 * 1024, 3_900_000, 4_000_000, 6_000_000] {
        let body = "😀漢".repeat(body / 7);
        let letter = letter(Some(body));
        messages.keep_letter(&letter).await.unwrap();
        assert!(messages.letters(&letter.message_id).await.unwrap() == [letter]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_too_large_but_for_its_body_is_refused_and_nothing_is_written() {
    let house = House::new().await;
    let too_large =
        Letter { log: "x".repeat(MAX_LETTER_BYTES + 1), ..letter(Some(LetterBody::Bytes(vec![0xff]))) };
    let refused = house.messages().keep_letter(&too_large).await.unwrap_err();
    assert!(matches!(refused, MessagesError::TooLarge { .. }) && !refused.is_retryable());
    assert_eq!(house.items("messages").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_round_and_origin_has_its_letter_and_they_come_in_order() {
    let house = House::new().await;
    let messages = house.messages();
    let first = letter(Some("x".repeat(400 * 1024)));
    let publish = Letter {
        origin: LetterOrigin::Publish { outcome_unknown: true, may_have_been_retried: true },
        ..first.clone()
    };
    let (second, tenth) =
        (Letter { round: 2, body: None, ..first.clone() }, Letter { round: 10, ..first.clone() });
    for letter in [&tenth, &first, &second, &publish] {
        messages.keep_letter(letter).await.unwrap();
    }
    messages.add_failure(&first.message_id, 0, first.queue_id, "boom").await.unwrap();
    assert!(messages.letters(&first.message_id).await.unwrap() == [publish, first, second, tenth]);
    assert_eq!(messages.letters("no such message").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_is_counted_per_message_round_and_queue() {
    let house = House::new().await;
    let (messages, queue, other) = (house.messages(), queue_id(), queue_id());
    assert_eq!(messages.failures("m", 0, queue).await.unwrap(), 0);
    let adds = (0..25).map(|_| {
        let messages = messages.clone();
        async move { messages.add_failure("m", 0, queue, &"é".repeat(5000)).await.unwrap() }
    });
    let counts: BTreeSet<u32> = join_all(adds).await.into_iter().collect();
    assert_eq!(counts, (1..=25).collect());
    assert_eq!(messages.failures("m", 0, queue).await.unwrap(), 25);
    assert_eq!(messages.failures("m", 1, queue).await.unwrap(), 0);
    assert_eq!(messages.add_failure("m", 1, queue, "").await.unwrap(), 1);
    // The next queue that the same message comes to has its own count.
    assert_eq!(messages.failures("m", 0, other).await.unwrap(), 0);
    assert_eq!(messages.add_failure("m", 0, other, "").await.unwrap(), 1);
    assert_eq!(messages.failures("m", 0, queue).await.unwrap(), 25);
    assert_eq!(messages.failures("n", 0, queue).await.unwrap(), 0);
}

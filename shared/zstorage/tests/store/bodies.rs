//! Bodies that no SQS message can carry.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{LetterBody, MessageId};
use jiff::Timestamp;
use zstorage::Messages;

use crate::house::House;
use crate::letters::letter;
use crate::troubled::Trouble::{Conflict, LostAfter, LostBefore, ServerError, Throttle};
use crate::troubled::Troubled;

/// Bytes that repeat nowhere, so that a part in another's place is seen.
fn bytes(len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

async fn expiring(house: &House) -> usize {
    house.all("messages").await.values().filter(|item| item.contains_key("expires-at")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_any_bytes_is_kept_whole_and_keeping_it_again_changes_nothing() {
    let house = House::new().await;
    let messages = house.messages();
    let mut items = 0;
    for (len, parts) in [(0, 0), (1, 0), (300 * 1024, 0), (300 * 1024 + 1, 2), (6 * 1024 * 1024, 21)] {
        let body = bytes(len);
        let at = messages.keep_body("orders-0-17", &body).await.unwrap();
        assert_eq!(at, Messages::body_address("orders-0-17", &body));
        assert!(messages.body(&at).await.unwrap() == Some(body.clone()), "{len} bytes");
        items += 1 + parts;
        assert_eq!(house.all("messages").await.len(), items, "{len} bytes");
        house.hands.turn_secs(60);
        assert_eq!(messages.keep_body("orders-0-17", &body).await.unwrap(), at);
        assert_eq!((house.all("messages").await.len(), expiring(&house).await), (items, items));
    }
    // They are no letters, nor in the way of letters.
    assert_eq!(messages.letters("orders-0-17").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_whole_or_was_never_kept_is_none() {
    let house = House::new().await;
    let messages = house.messages();
    for at in ["", "#", "x", "m#", &Messages::body_address("m", b"never")] {
        assert_eq!(messages.body(at).await.unwrap(), None, "{at}");
    }
    let at = messages.keep_body("m", &bytes(700 * 1024)).await.unwrap();
    let all = house.all("messages").await;
    let (pk, sk) = all.keys().find(|(_, sk)| sk.ends_with("#001")).unwrap();
    let key =
        [("pk", pk), ("sk", sk)].map(|(name, value)| (name.to_owned(), AttributeValue::S(value.clone())));
    let gone = house.client.delete_item().table_name("messages").set_key(Some(key.into()));
    gone.send().await.unwrap();
    assert_eq!(messages.body(&at).await.unwrap(), None);
    messages.keep_body("m", &bytes(700 * 1024)).await.unwrap();
    assert!(messages.body(&at).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_a_letter_has_lasts_as_long_as_the_letter() {
    let house = House::new().await;
    let messages = house.messages();
    let body = bytes(700 * 1024);
    let letter = letter(Some(LetterBody::Bytes(body.clone())));
    let at = messages.keep_body(&letter.message_id, &body).await.unwrap();
    assert_eq!(expiring(&house).await, 4);
    messages.keep_letter(&letter).await.unwrap();
    assert_eq!((house.all("messages").await.len(), expiring(&house).await), (5, 0));
    // The broker brings the message once more, and it is put off once more.
    assert_eq!(messages.keep_body(&letter.message_id, &body).await.unwrap(), at);
    assert_eq!(expiring(&house).await, 0);
    assert!(messages.letters(&letter.message_id).await.unwrap() == [letter]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_throttles_and_conflicts_cost_no_part() {
    let house = House::new().await;
    let id = MessageId::new(Timestamp::UNIX_EPOCH, &mut rand::rng()).to_string();
    for trouble in [Throttle, ServerError, Conflict, LostBefore, LostAfter] {
        let troubled = Troubled::told(&[trouble, trouble]);
        let messages = Messages::new(troubled.client(&house), "messages".to_owned(), house.hands.clock());
        let at = messages.keep_body(&id, &bytes(700 * 1024)).await.unwrap();
        assert!(house.messages().body(&at).await.unwrap() == Some(bytes(700 * 1024)), "{trouble:?}");
    }
}

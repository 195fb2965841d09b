use aws_sdk_dynamodb::types::AttributeValue;
use domain::{DeadReason, HandlerName, Letter, LetterBody, LetterOrigin, LetterState, QueueName};

use super::{Messages, MessagesError, message_pk};
use crate::StoreError;
use crate::item::{Item, Reader, Writer, number, text};
use crate::parts::parts;

/// A text that lies with its letter, in its item or in parts, has at most so many bytes with all else of it: one DynamoDB transaction
/// carries 4 MiB. What is larger, or no text, is a kept body, which the letter names.
const MAX_WITHIN_BYTES: usize = 4_000_000;

/// The most that is kept of a letter but its body, bytes: it lies in one item, which must keep clear of DynamoDB's 400 KB.
pub const MAX_LETTER_BYTES: usize = 80 * 1024;

/// Letters have sort keys from here on; parts (`p#...`) come behind them, failure counters (`f#...`) before.
pub(super) const FROM: &str = "l#";

/// What of a letter's body must be kept beside it, as [`Messages::keep_body`] keeps bodies, before the letter is.
pub(super) fn beside(letter: &Letter) -> Option<&[u8]> {
    match letter.body.as_ref()? {
        LetterBody::Text(text) if text.len() + rest_bytes(letter) <= MAX_WITHIN_BYTES => None,
        body => Some(body.as_bytes()),
    }
}

/// All of it but its body, bytes.
fn rest_bytes(letter: &Letter) -> usize {
    letter.log.len() + letter.reason.message.len() + letter.ordering_key.as_ref().map_or(0, String::len)
}

/// The items of a letter: itself first, then the parts of its body.
pub(super) fn write(letter: &Letter) -> Result<Vec<Item>, MessagesError> {
    let rest = rest_bytes(letter);
    if rest > MAX_LETTER_BYTES {
        return Err(MessagesError::TooLarge { bytes: rest });
    }
    let pk = message_pk(&letter.message_id);
    let beside = beside(letter);
    let within = match &letter.body {
        Some(LetterBody::Text(text)) if beside.is_none() => Some(text),
        _ => None,
    };
    let parts = parts(within.map(String::as_str).unwrap_or_default());
    let inline = within.filter(|_| parts.is_empty());
    let (origin, unknown, retried) = match letter.origin {
        LetterOrigin::Publish { outcome_unknown, may_have_been_retried } => {
            ("publish", Some(outcome_unknown), Some(may_have_been_retried))
        }
        LetterOrigin::Worker => ("worker", None, None),
    };
    let head = Writer::new(&pk, &sk(letter))
        .set("round", number(letter.round))
        .set("queue-id", text(letter.queue_id))
        .set("queue-name", text(&letter.queue_name))
        .set("origin", text(origin))
        .set_some("outcome-unknown", unknown.map(AttributeValue::Bool))
        .set_some("may-have-been-retried", retried.map(AttributeValue::Bool))
        .set("reason-code", text(&letter.reason.code))
        .set("reason", text(&letter.reason.message))
        .set_some("body", inline.map(text))
        .set_some("body-at", beside.map(|body| text(Messages::body_address(&letter.message_id, body))))
        .set("parts", number(parts.len()))
        .set_some("ordering-key", letter.ordering_key.as_ref().map(text))
        .set("attempts", number(letter.attempts))
        .set_some("handler", letter.handler.as_ref().map(text))
        .set("log", text(&letter.log))
        .set("died-at", text(letter.died_at))
        .set("state", text(state_word(letter.state)))
        .done();
    let parts = parts.iter().enumerate();
    let parts =
        parts.map(|(at, part)| Writer::new(&pk, &part_sk(&sk(letter), at)).set("part", text(part)).done());
    Ok(std::iter::once(head).chain(parts).collect())
}

/// Where the body lies that was kept beside this letter's own item, if one was.
pub(super) fn body_at(item: &Item) -> Result<Option<&str>, StoreError> {
    Reader(item).text_or_none("body-at")
}

/// Reads a letter's own item; `part` gives the text of the item with a part's sort key, `kept` is the body that was kept beside.
pub(super) fn read<'i>(
    item: &Item,
    part: impl Fn(&str) -> Option<&'i str>,
    kept: Option<Vec<u8>>,
) -> Result<Letter, StoreError> {
    let reader = Reader(item);
    let unknown = |name: &str| reader.fault(name, "is a word we do not know");
    let origin = match reader.text("origin")? {
        "publish" => LetterOrigin::Publish {
            outcome_unknown: reader.flag("outcome-unknown")?,
            may_have_been_retried: reader.flag("may-have-been-retried")?,
        },
        "worker" => LetterOrigin::Worker,
        _ => return Err(unknown("origin")),
    };
    let body = match reader.number::<usize>("parts")? {
        0 if body_at(item)?.is_some() => {
            Some(LetterBody::of(kept.ok_or_else(|| reader.fault("body-at", "is of no body"))?))
        }
        0 => reader.text_or_none("body")?.map(|text| LetterBody::Text(text.to_owned())),
        count => {
            let own = reader.text("sk")?;
            let texts: Option<Vec<&str>> = (0..count).map(|at| part(&part_sk(own, at))).collect();
            Some(LetterBody::Text(texts.ok_or_else(|| reader.fault("body", "lacks a part"))?.concat()))
        }
    };
    let message_id = reader.text("pk")?.strip_prefix(&message_pk("")).map(str::to_owned);
    let handler = reader.text_or_none("handler")?.map(HandlerName::parse).transpose();
    Ok(Letter {
        message_id: message_id.ok_or_else(|| reader.fault("pk", "is not a message's"))?,
        round: reader.number("round")?,
        queue_id: reader.parsed("queue-id")?,
        queue_name: QueueName::parse(reader.text("queue-name")?)
            .map_err(|_| reader.fault("queue-name", "is not of its form"))?,
        origin,
        reason: DeadReason::new(reader.text("reason-code")?, reader.text("reason")?),
        body,
        ordering_key: reader.text_or_none("ordering-key")?.map(str::to_owned),
        attempts: reader.number("attempts")?,
        handler: handler.map_err(|_| reader.fault("handler", "is not of its form"))?,
        log: reader.text("log")?.to_owned(),
        died_at: reader.parsed("died-at")?,
        state: state(reader.text("state")?).ok_or_else(|| unknown("state"))?,
    })
}

/// A letter's sort key: rounds in order. Where it died and of which queue it is belongs to it, so that a worker's
/// letter does not take the place of the one that its publish left behind.
pub(super) fn sk(letter: &Letter) -> String {
    let origin = match letter.origin {
        LetterOrigin::Publish { .. } => "publish",
        LetterOrigin::Worker => "worker",
    };
    format!("{FROM}{:010}#{origin}#{}", letter.round, letter.queue_id)
}

/// The sort key of part `at` (from 0) of the letter with sort key `letter`.
pub(super) fn part_sk(letter: &str, at: usize) -> String {
    format!("p#{}#{at:02}", letter.strip_prefix(FROM).unwrap_or(letter))
}

pub(super) fn state_word(state: LetterState) -> &'static str {
    match state {
        LetterState::Open => "open",
        LetterState::Closed => "closed",
    }
}

fn state(word: &str) -> Option<LetterState> {
    [LetterState::Open, LetterState::Closed].into_iter().find(|state| state_word(*state) == word)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use std::collections::HashMap;

    use domain::{MessageId, QueueId};
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    /// Bodies of `len` bytes or a little more, of characters of one to four bytes, so that cuts fall anywhere.
    fn bodies() -> impl Strategy<Value = String> {
        let lens = prop_oneof![
            0..2000_usize,
            299 * 1024..302 * 1024_usize,
            1_048_576..=1_048_577_usize,
            3_800_000..3_900_000_usize
        ];
        (lens, "[a-zéß漢😀]{1,7}").prop_map(|(len, unit)| unit.repeat(len.div_ceil(unit.len())))
    }

    prop_compose! {
        fn letters()(
            id in prop_oneof![Just(None), "[0-9a-f-]{36}".prop_map(Some)], random in any::<u64>(), round in any::<u32>(),
            origin in prop_oneof![
                (any::<bool>(), any::<bool>()).prop_map(|(outcome_unknown, may_have_been_retried)|
                    LetterOrigin::Publish { outcome_unknown, may_have_been_retried }),
                Just(LetterOrigin::Worker)
            ],
            code in "[a-z-]{1,20}", reason in "\\PC{0,300}", body in proptest::option::of(bodies()),
            ordering_key in proptest::option::of("\\PC{1,128}"), attempts in any::<u32>(),
            handler in proptest::option::of("[a-z]{1,9}/[a-z]{1,9}"), log in "\\PC{0,4000}", closed in any::<bool>(),
            secs in 0..4_000_000_000_i64,
        ) -> Letter {
            let mut random: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(random);
            let died_at = Timestamp::from_second(secs).unwrap();
            Letter {
                message_id: id.unwrap_or_else(|| MessageId::new(died_at, &mut random).to_string()),
                round,
                queue_id: QueueId::new(died_at, &mut random),
                queue_name: QueueName::parse("orders").unwrap(),
                origin,
                reason: DeadReason::new(code, reason),
                body: body.map(LetterBody::Text),
                ordering_key,
                attempts,
                handler: handler.map(|name| HandlerName::parse(&name).unwrap()),
                log,
                died_at,
                state: if closed { LetterState::Closed } else { LetterState::Open },
            }
        }
    }

    fn text_of<'i>(item: &'i Item, name: &str) -> &'i str {
        item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
    }

    fn is_too_large(letter: &Letter) -> bool {
        matches!(write(letter), Err(MessagesError::TooLarge { .. }))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_letter_of_any_size_is_read_back_and_none_of_its_items_is_too_large(letter in letters()) {
            let items = write(&letter).unwrap();
            prop_assert!(items.len() <= 15);
            for item in &items {
                prop_assert_eq!(text_of(item, "pk"), text_of(&items[0], "pk"));
                let size: usize = item.values().filter_map(|value| value.as_s().ok()).map(String::len).sum();
                prop_assert!(size < 390 * 1024, "{} bytes", size);
            }
            let parts: HashMap<&str, &str> =
                items[1..].iter().map(|item| (text_of(item, "sk"), text_of(item, "part"))).collect();
            prop_assert_eq!(read(&items[0], |sk| parts.get(sk).copied(), None).unwrap(), letter.clone());
            if items.len() > 1 {
                prop_assert!(read(&items[0], |_| None, None).is_err());
                prop_assert!(text_of(&items[1], "sk") > text_of(&items[0], "sk"));
            }
        }

        #[test]
        fn what_does_not_fit_into_a_letter_lies_beside_it_and_the_rest_is_bounded(mut letter in letters(), bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            let huge = LetterBody::Text("x".repeat(MAX_WITHIN_BYTES + 1));
            let binary = [bytes, vec![0xff]].concat();
            for body in [huge, LetterBody::Bytes(binary)] {
                let bytes = body.as_bytes().to_vec();
                letter.body = Some(body);
                prop_assert_eq!(beside(&letter), Some(&bytes[..]));
                let items = write(&letter).unwrap();
                prop_assert_eq!(items.len(), 1);
                prop_assert!(body_at(&items[0]).unwrap().is_some_and(|at| at.starts_with(&letter.message_id)));
                prop_assert_eq!(read(&items[0], |_| None, Some(bytes)).unwrap(), letter.clone());
                prop_assert!(read(&items[0], |_| None, None).is_err());
            }
            letter.body = None;
            letter.log = "x".repeat(MAX_LETTER_BYTES + 1);
            prop_assert!(is_too_large(&letter));
        }
    }
}

//! What holds of every entry as it is stored, whatever its body.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{
    ApiName, EntryKey, EntryOrigin, EntryState, LinkId, MessageId, Operation, OutboxEntry, QueueId, RecordId,
    TablePrefix,
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::due::{OutboxGroup, OutboxPlace};
use super::item::{self, SHARDS, entry_items, keys, part_sk, shard};
use super::{Seen, entry_of_image};
use crate::item::Item;

/// Bodies of `len` bytes or a little less, of characters of one to four bytes, naughty ones among them.
fn bodies() -> impl Strategy<Value = String> {
    let lens = prop_oneof![
        0..2000_usize,
        Just(1),
        299 * 1024..302 * 1024_usize,
        Just(1024 * 1024 - 2048),
        1024 * 1024 - 20..=1024 * 1024_usize
    ];
    let units = prop_oneof!["[a-zéß漢😀]{1,7}", Just("\0\u{b}\u{fffe}\u{feff}\u{202e}\"\\".to_owned())];
    (lens, units).prop_map(|(len, unit)| {
        let mut body = unit.repeat(len.div_ceil(unit.len()));
        body.truncate(body.floor_char_boundary(len));
        body
    })
}

fn times() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_i64).prop_map(|ms| Timestamp::from_millisecond(ms).unwrap())
}

prop_compose! {
    fn ids()(random in any::<u64>(), table in 0_u32..22 * 1024, number in 1..1_000_000_u32, version in 0..1_000_000_000_000_u64, scheduled in any::<bool>())
        -> (EntryKey, MessageId, QueueId)
    {
        let mut random: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(random);
        let table = TablePrefix::nth(table).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let message = MessageId::new(now, &mut random);
        let record = RecordId::new(table, 32, now, &mut random);
        let link = EntryKey::Link { record, link: LinkId { table, number }, version };
        let key = if scheduled { EntryKey::Scheduled(message) } else { link };
        (key, message, QueueId::new(now, &mut random))
    }
}

prop_compose! {
    fn entries()(
        (key, message_id, queue) in ids(), body in bodies(), ordering_key in proptest::option::of("\\PC{1,128}"),
        ordered in any::<bool>(),
        origin in proptest::option::of(("[A-Za-z][A-Za-z0-9_]{0,20}", 0..3_usize, any::<u32>())),
        round in any::<u32>(), notes in proptest::collection::vec("\\PC{0,200}", 0..5), state in 0..6_usize,
        failures in any::<u32>(), lease in any::<u64>(), committed_at in times(), next in times(),
        reason in proptest::option::of("\\PC{0,900}"), engine_id in proptest::option::of("\\PC{1,80}"),
    ) -> OutboxEntry {
        let operations = [Operation::Create, Operation::Update, Operation::Delete];
        let state = EntryState::ALL[state];
        OutboxEntry {
            key, message_id, queue, body, ordering_key, ordered,
            origin: origin.map(|(table, operation, depth)| EntryOrigin {
                table: ApiName::parse(&table).unwrap(), operation: operations[operation], depth,
            }),
            round, notes, state, failures, lease, committed_at,
            next_attempt_at: Some(next).filter(|_| OutboxGroup::of(state) == Some(OutboxGroup::Due)),
            reason, engine_id,
        }
    }
}

fn text_of<'i>(item: &'i Item, name: &str) -> &'i str {
    item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

/// An attribute as a stream record shows it.
fn shown(value: &AttributeValue) -> Value {
    let blob = |blob: &Blob| STANDARD.encode(blob.as_ref());
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(digits) => json!({ "N": digits }),
        AttributeValue::B(bytes) => json!({ "B": blob(bytes) }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::L(list) => json!({ "L": list.iter().map(shown).collect::<Vec<_>>() }),
        AttributeValue::M(map) => json!({ "M": image(map) }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(digits) => json!({ "NS": digits }),
        AttributeValue::Bs(blobs) => json!({ "BS": blobs.iter().map(blob).collect::<Vec<_>>() }),
        _ => json!({ "NULL": true }),
    }
}

fn image(item: &Item) -> Value {
    item.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_entry_with_a_body_of_any_length_is_read_back_and_none_of_its_items_is_too_large(entry in entries()) {
        let items = entry_items(&entry);
        for item in &items {
            let size: usize = item.values().filter_map(|value| value.as_s().ok()).map(String::len).sum();
            prop_assert!(size < 390 * 1024, "{} bytes", size);
            prop_assert_eq!(text_of(item, "pk"), text_of(&items[0], "pk"));
            prop_assert!(!item.contains_key("expires-at"));
        }
        let head = item::read(&items[0]).unwrap();
        let mut read = head.entry;
        prop_assert_eq!(head.parts, items.len() - 1);
        for (at, part) in items[1..].iter().enumerate() {
            prop_assert_eq!(text_of(part, "sk"), part_sk(text_of(&items[0], "sk"), at));
            read.body.push_str(text_of(part, "part"));
        }
        prop_assert_eq!(read, entry);
    }

    #[test]
    fn an_entry_stands_in_the_index_exactly_while_something_is_left_to_do(entry in entries()) {
        let items = entry_items(&entry);
        let expect = match entry.state {
            EntryState::Due | EntryState::Held | EntryState::Scheduled => "due#",
            EntryState::Parked => "parked#",
            EntryState::Published | EntryState::Discarded => "",
        };
        let (head, due) = (&items[0], text_of(&items[0], "due"));
        prop_assert_eq!(due.trim_end_matches(|c: char| c.is_ascii_digit()), expect);
        for name in ["next-attempt-at", "due-since"] {
            prop_assert_eq!(head.contains_key(name), !expect.is_empty());
        }
        prop_assert!(items[1..].iter().all(|part| !part.contains_key("due") && !part.contains_key("state")));
    }

    #[test]
    fn a_streams_image_is_read_as_the_store_is(entry in entries()) {
        let items = entry_items(&entry);
        let expect = match items.len() {
            1 => Seen::Whole(entry.clone()),
            _ => Seen::InParts(entry.key),
        };
        prop_assert_eq!(entry_of_image(&image(&items[0])).unwrap(), expect);
        prop_assert!(items[1..].iter().all(|part| entry_of_image(&image(part)).is_err()));
    }

    #[test]
    fn nothing_stands_between_the_versions_of_one_link(entry in entries(), other in entries(), step in 1..1000_u64) {
        if let EntryKey::Link { record, link, version } = entry.key {
            let before = EntryKey::Link { record, link, version: version.saturating_sub(step) };
            let between = keys(&before).1..=keys(&entry.key).1;
            prop_assert!(between.start() <= between.end());
            for item in entry_items(&entry).iter().skip(1) {
                prop_assert!(!between.contains(&text_of(item, "sk").to_owned()));
            }
            let of_this_link = format!("e#{link}#");
            for item in entry_items(&other) {
                let sk = text_of(&item, "sk");
                prop_assert!(!between.contains(&sk.to_owned()) || sk.starts_with(&of_this_link));
            }
        }
    }

    #[test]
    fn a_place_in_a_list_has_one_spelling(entry in entries(), at_ms in any::<i64>()) {
        let text = format!("{}.{at_ms}.{}", shard(&keys(&entry.key).0), entry.key);
        prop_assert_eq!(text.parse::<OutboxPlace>().unwrap().to_string(), text.clone());
        let foreign = (shard(&keys(&entry.key).0) + 1) % SHARDS;
        for wrong in ["".to_owned(), format!("{text}x"), format!("0{text}"), format!("{foreign}.{at_ms}.{}", entry.key)] {
            prop_assert!(wrong.parse::<OutboxPlace>().is_err(), "{}", wrong);
        }
    }
}

/// Entries lie in the index by these numbers.
#[test]
fn the_shard_of_a_partition_never_changes() {
    let check = |pk: &str, expect: u8| assert_eq!(shard(pk), expect, "{pk}");
    check("A2D001FK53TTFD8QSMF9P2D86E7YQ4", 13);
    check("0BF01KAFXVN8R1P6D7M2A9V5CQXZB3", 15);
    check("", 3);
}

#[test]
fn what_a_person_or_a_template_writes_too_long_is_cut_and_says_so() {
    let notes: Vec<String> = (0..70).map(|_| "é".repeat(5000)).collect();
    let mut random: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(1);
    let message_id = MessageId::new(Timestamp::UNIX_EPOCH, &mut random);
    let entry = OutboxEntry {
        key: EntryKey::Scheduled(message_id),
        message_id,
        queue: QueueId::new(Timestamp::UNIX_EPOCH, &mut random),
        body: "x".repeat(300 * 1024),
        ordering_key: None,
        ordered: false,
        origin: None,
        round: 0,
        notes,
        state: EntryState::Due,
        failures: 0,
        lease: 0,
        committed_at: Timestamp::UNIX_EPOCH,
        next_attempt_at: None,
        reason: Some("é".repeat(9000)),
        engine_id: None,
    };
    let read = item::read(&entry_items(&entry)[0]).unwrap().entry;
    assert_eq!(read.notes.len(), 51);
    assert_eq!(read.notes.last().unwrap(), "and 20 more");
    assert_eq!(read.reason.unwrap().len(), 4000);
}

#[test]
fn what_is_no_entry_is_an_error_and_shows_no_value() {
    let check = |image: Value| {
        let error = entry_of_image(&image).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    };
    check(Value::Null);
    check(json!({}));
    check(json!({ "pk": "secret" }));
    check(json!({ "pk": { "S": "secret", "N": "1" } }));
    check(json!({ "state": { "S": "secret" } }));
    check(json!({ "state": { "S": "due" }, "body": { "S": "secret" } }));
    check(json!({ "state": { "Q": "due" } }));
    check(json!({ "state": { "B": "not base 64" } }));
}

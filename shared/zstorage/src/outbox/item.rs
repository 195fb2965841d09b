//! An entry as it is stored: one item, and the parts of a long body beside it.
//!
//! The partition is the record's id, or the message's own. The sort key of a link's entry is `e#LINK#VERSION`, so that the
//! entries of one link and one record stand in their order and nothing else between them; parts are `p#...`.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ApiName, EntryKey, EntryOrigin, EntryState, LinkId, Operation, OutboxEntry};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::due::OutboxGroup;
use crate::StoreError;
use crate::item::{Item, Reader, Writer, number, text};
use crate::parts::parts;

/// Over so many partitions of the index is spread what is due: one takes a thousand writes a second.
pub(super) const SHARDS: u8 = 16;

/// No more notes are kept of an entry, and none is longer, bytes: its item must keep clear of DynamoDB's 400 KB.
const MAX_NOTES: usize = 50;
const MAX_NOTE_BYTES: usize = 1000;

/// No reason is longer, bytes.
const MAX_REASON_BYTES: usize = 4000;

/// An entry's own item as it was read: without the body, if that lies in parts.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) entry: OutboxEntry,
    /// In how many parts its body lies.
    pub(super) parts: usize,
}

/// The items of an entry: itself first, then the parts of its body.
pub(crate) fn entry_items(entry: &OutboxEntry) -> Vec<Item> {
    let (pk, sk) = keys(&entry.key);
    let parts = parts(&entry.body);
    let group = OutboxGroup::of(entry.state);
    // What was given up stands in the index by the time at which that happened.
    let at = entry.next_attempt_at.unwrap_or(entry.committed_at);
    let since = if entry.state == EntryState::Scheduled { at } else { entry.committed_at };
    let origin = entry.origin.as_ref();
    let head = Writer::new(&pk, &sk)
        .set("message-id", text(entry.message_id))
        .set("queue-id", text(entry.queue))
        .set_some("body", parts.is_empty().then(|| text(&entry.body)))
        .set("parts", number(parts.len()))
        .set_some("ordering-key", entry.ordering_key.as_ref().map(text))
        .set("ordered", AttributeValue::Bool(entry.ordered))
        .set_some("table", origin.map(|origin| text(&origin.table)))
        .set_some("operation", origin.map(|origin| text(origin.operation.as_str())))
        .set_some("depth", origin.map(|origin| number(origin.depth)))
        .set("round", number(entry.round))
        .set_some("notes", (!entry.notes.is_empty()).then(|| notes(&entry.notes)))
        .set("state", text(entry.state.as_str()))
        .set("failures", number(entry.failures))
        .set("lease", number(entry.lease))
        .set("committed-at", text(entry.committed_at))
        .set_some("due", group.map(|group| text(group.of_pk(&pk))))
        .set_some("due-since", group.map(|_| number(since.as_millisecond())))
        .set_some("next-attempt-at", group.map(|_| number(at.as_millisecond())))
        .set_some("reason", entry.reason.as_deref().map(reason))
        .set_some("engine-id", entry.engine_id.as_ref().map(text))
        .done();
    let part =
        |(at, part): (usize, &&str)| Writer::new(&pk, &part_sk(&sk, at)).set("part", text(part)).done();
    std::iter::once(head).chain(parts.iter().enumerate().map(part)).collect()
}

/// The attributes of an entry's own item but its body.
pub(super) const WITHOUT_BODY: [&str; 20] = [
    "pk",
    "sk",
    "message-id",
    "queue-id",
    "parts",
    "ordering-key",
    "ordered",
    "table",
    "operation",
    "depth",
    "round",
    "notes",
    "state",
    "failures",
    "lease",
    "committed-at",
    "due",
    "next-attempt-at",
    "reason",
    "engine-id",
];

/// Reads an entry's own item.
pub(super) fn read(item: &Item) -> Result<Head, StoreError> {
    let reader = Reader(item);
    let unknown = |name: &str| reader.fault(name, "is a word we do not know");
    let state = EntryState::of_word(reader.text("state")?).ok_or_else(|| unknown("state"))?;
    let origin = match reader.text_or_none("operation")? {
        None => None,
        Some(word) => {
            let operations = [Operation::Create, Operation::Update, Operation::Delete];
            let operation = operations.into_iter().find(|operation| operation.as_str() == word);
            let table = ApiName::parse(reader.text("table")?);
            Some(EntryOrigin {
                table: table.map_err(|_| reader.fault("table", "is not of its form"))?,
                operation: operation.ok_or_else(|| unknown("operation"))?,
                depth: reader.number("depth")?,
            })
        }
    };
    let next_ms: Option<i64> = reader.number_or_none("next-attempt-at")?;
    let next = next_ms.map(Timestamp::from_millisecond).transpose();
    let next = next.map_err(|_| reader.fault("next-attempt-at", "is no time"))?;
    let notes = match item.contains_key("notes") {
        true => reader.list("notes")?,
        false => &[],
    };
    let notes: Result<Vec<String>, _> = notes.iter().map(|note| note.as_s().cloned()).collect();
    let entry = OutboxEntry {
        key: key_of(item)?,
        message_id: reader.parsed("message-id")?,
        queue: reader.parsed("queue-id")?,
        body: reader.text_or_none("body")?.unwrap_or_default().to_owned(),
        ordering_key: reader.text_or_none("ordering-key")?.map(str::to_owned),
        ordered: reader.flag("ordered")?,
        origin,
        round: reader.number("round")?,
        notes: notes.map_err(|_| reader.fault("notes", "is not a list of texts"))?,
        state,
        failures: reader.number("failures")?,
        lease: reader.number("lease")?,
        committed_at: reader.parsed("committed-at")?,
        next_attempt_at: next.filter(|_| OutboxGroup::of(state) == Some(OutboxGroup::Due)),
        reason: reader.text_or_none("reason")?.map(str::to_owned),
        engine_id: reader.text_or_none("engine-id")?.map(str::to_owned),
    };
    Ok(Head { entry, parts: reader.number("parts")? })
}

/// Which entry this item, or this item's key, is of.
pub(super) fn key_of(item: &Item) -> Result<EntryKey, StoreError> {
    let reader = Reader(item);
    let (pk, sk) = (reader.text("pk")?, reader.text("sk")?);
    let link = || {
        let (link, version) = sk.strip_prefix("e#")?.split_once('#')?;
        let (record, link) = (pk.parse().ok()?, link.parse().ok()?);
        Some(EntryKey::Link { record, link, version: version.parse().ok()? })
    };
    let key = if sk == "e" { pk.parse().ok().map(EntryKey::Scheduled) } else { link() };
    // One key has one place.
    key.filter(|key| keys(key) == (pk.to_owned(), sk.to_owned()))
        .ok_or_else(|| reader.fault("sk", "is not an entry's"))
}

/// Where an entry's own item is: its partition and sort key.
pub(super) fn keys(key: &EntryKey) -> (String, String) {
    match key {
        EntryKey::Link { record, link, version } => (record.to_string(), sk_of(*link, *version)),
        EntryKey::Scheduled(message) => (message.to_string(), "e".to_owned()),
    }
}

/// The sort key of a link's entry. Versions have twelve digits, so that they stand in order.
pub(super) fn sk_of(link: LinkId, version: u64) -> String {
    format!("e#{link}#{version:012}")
}

/// The sort key of part `at` (from 0) of the body of the entry with sort key `entry`.
pub(super) fn part_sk(entry: &str, at: usize) -> String {
    format!("p{}#{at:02}", entry.strip_prefix('e').unwrap_or(entry))
}

/// In which shard of the index the entries of this partition are. It must never change: entries lie by it.
pub(super) fn shard(pk: &str) -> u8 {
    Sha256::digest(pk.as_bytes())[0] % SHARDS
}

/// A reason as it is kept.
pub(super) fn reason(reason: &str) -> AttributeValue {
    text(&reason[..reason.floor_char_boundary(MAX_REASON_BYTES)])
}

fn notes(notes: &[String]) -> AttributeValue {
    let kept = notes.iter().take(MAX_NOTES);
    let kept = kept.map(|note| text(&note[..note.floor_char_boundary(MAX_NOTE_BYTES)]));
    let more = notes.len().checked_sub(MAX_NOTES + 1).map(|more| text(format!("and {} more", more + 1)));
    AttributeValue::L(kept.chain(more).collect())
}

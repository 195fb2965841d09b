//! Rows of clients' idempotency keys: what was done under a key, and the answer to it, for 24 hours.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{EntryKey, KeyId, Operation, RecordId, hex};
use sha2::{Digest, Sha256};

use super::held::{HELD, marked_by};
use super::item::{CREATED, UPDATED, VERSION, record_of};
use super::size::{item_bytes, value_bytes};
use super::{By, Change, Pending, Records, WriteError, Written};
use crate::StoreError;
use crate::item::{Item, Reader, Writer, bytes, number, text};
use crate::table::{Action, Expression, Undone};

/// A row answers for its key this long, seconds.
const KEPT_SECS: i64 = 24 * 3600;

/// One item of a row holds this much of images, bytes, unless a single one is larger.
const PART_BYTES: usize = 300 * 1024;

/// The attribute of time to live, epoch seconds. It only cleans: what is over is told by code.
const TTL: &str = "expires-at";

/// What a row remembers of one change.
pub(super) struct Outcome<'i> {
    pub(super) operation: Operation,
    /// The item of the record that the answer shows.
    pub(super) item: &'i Item,
    /// The messages that came of it.
    pub(super) messages: Vec<Pending>,
}

/// A row's key, and the hash of the request that may use it.
#[derive(Debug, Clone)]
pub(super) struct RowKey {
    pk: String,
    sk: String,
    request: [u8; 32],
}

impl RowKey {
    /// The row of a whole request; of one operation (counted from 0) of a batch that is not atomic, its own.
    pub(super) fn of(by: &By, operation: Option<usize>) -> Option<RowKey> {
        let (key, request) = by.idempotency.as_ref()?;
        let caller: KeyId = by.caller;
        Some(RowKey {
            pk: format!("w#{caller}#{}", hex(&Sha256::digest(key.as_bytes()))),
            sk: operation.map_or_else(|| "row".to_owned(), |at| format!("row#{at}")),
            request: *request,
        })
    }

    fn part_sk(&self, part: usize) -> String {
        if part == 0 { self.sk.clone() } else { format!("{}/{part}", self.sk) }
    }

    /// Its partition and sort key.
    pub(super) fn place(&self) -> (String, String) {
        (self.pk.clone(), self.sk.clone())
    }

    /// The actions that write the row, with what each answer shows: the first alone has the condition that the key is free. With
    /// `held` there is no answer yet: that strict write is still under way.
    pub(super) fn take<'i>(
        &self,
        outcomes: impl Iterator<Item = Outcome<'i>>,
        held: Option<&EntryKey>,
        now_secs: i64,
    ) -> Vec<Action> {
        let mut parts: Vec<Vec<AttributeValue>> = vec![Vec::new()];
        let mut filled = 0;
        for Outcome { operation, item, messages } in outcomes {
            let image = image(item);
            let messages = (!messages.is_empty()).then(|| told(&messages));
            let size = item_bytes(&image) + messages.as_ref().map_or(0, value_bytes);
            if filled > 0 && filled + size > PART_BYTES {
                parts.push(Vec::new());
                filled = 0;
            }
            filled += size;
            let mut entry = HashMap::from([
                ("op".to_owned(), text(operation.as_str())),
                ("r".to_owned(), AttributeValue::M(image)),
            ]);
            entry.extend(messages.map(|messages| ("m".to_owned(), messages)));
            parts.last_mut().expect("there is one from the start").push(AttributeValue::M(entry));
        }
        let count = parts.len();
        let item = |(part, entries)| {
            let mut item = self.item(part, entries, count, now_secs);
            let held = held.filter(|_| part == 0);
            item.extend(held.map(|entry| (HELD.to_owned(), text(entry))));
            item
        };
        let mut condition = Some(free(now_secs));
        parts.into_iter().enumerate().map(|part| Action::Put(item(part), condition.take())).collect()
    }

    fn item(&self, part: usize, entries: Vec<AttributeValue>, parts: usize, now_secs: i64) -> Item {
        Writer::new(&self.pk, &self.part_sk(part))
            .set("request", bytes(&self.request))
            .set("outcomes", AttributeValue::L(entries))
            .set("parts", number(parts))
            .set(TTL, number(now_secs + KEPT_SECS))
            .done()
    }
}

/// Nobody came with the key, or a day ago.
fn free(now_secs: i64) -> Expression {
    Expression::new("attribute_not_exists(pk) OR #ttl <= :now")
        .name("#ttl", TTL)
        .value(":now", number(now_secs))
}

/// Of a record's item, what an answer is made of.
fn image(item: &Item) -> Item {
    let is_told = |name: &str| {
        matches!(name, "sk" | VERSION | CREATED | UPDATED)
            || name.strip_prefix('f').is_some_and(|id| id.bytes().all(|b| b.is_ascii_digit()))
    };
    item.iter().filter(|(name, _)| is_told(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Records {
    /// Takes a key for a request whose outcomes are in rows of their own. That it has the key already is no error.
    pub(super) async fn claim(&self, row: &RowKey) -> Result<(), WriteError> {
        const OPERATION: &str = "take an idempotency key";
        let now_secs = self.clock.now().as_second();
        let put = Action::Put(row.item(0, Vec::new(), 1, now_secs), Some(free(now_secs)));
        match self.table.transact(OPERATION, vec![put]).await {
            Ok(()) => return Ok(()),
            Err(Undone::Conditions(_)) => {}
            Err(Undone::Store(error)) => return Err(error.into()),
        }
        match self.table.get(OPERATION, &row.pk, &row.sk).await? {
            Some(taken) if Reader(&taken).hash("request")? == row.request => Ok(()),
            Some(_) => Err(WriteError::OtherBody),
            // It has expired between the two.
            None => Err(WriteError::Contended),
        }
    }

    /// What was done under this key before, if it was; `None` = the key is free.
    pub(super) async fn replay(
        &self,
        row: &RowKey,
        changes: &[Change],
    ) -> Result<Option<Vec<Written>>, WriteError> {
        const OPERATION: &str = "look up an idempotency key";
        let Some(first) = self.table.get(OPERATION, &row.pk, &row.part_sk(0)).await? else { return Ok(None) };
        let reader = Reader(&first);
        if reader.number::<i64>(TTL)? <= self.clock.now().as_second() {
            return Ok(None);
        }
        if reader.hash("request")? != row.request {
            return Err(WriteError::OtherBody);
        }
        if marked_by(&first)?.is_some() {
            return Err(WriteError::InFlight);
        }
        let parts: usize = reader.number("parts")?;
        let mut entries = reader.list("outcomes")?.to_vec();
        for part in 1..parts {
            let item = self.table.get(OPERATION, &row.pk, &row.part_sk(part)).await?;
            let item = item.ok_or_else(|| reader.fault("parts", "are not all there"))?;
            entries.extend_from_slice(Reader(&item).list("outcomes")?);
        }
        if entries.len() != changes.len() {
            return Err(WriteError::OtherBody);
        }
        entries
            .iter()
            .zip(changes)
            .map(|(entry, change)| written(&reader, entry, change))
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

fn written(reader: &Reader<'_>, entry: &AttributeValue, change: &Change) -> Result<Written, WriteError> {
    let entry = entry.as_m().map_err(|_| reader.fault("outcomes", "are not maps"))?;
    let image = entry.get("r").and_then(|image| image.as_m().ok());
    let image = image.ok_or_else(|| reader.fault("outcomes", "have no record"))?;
    let operation = match Reader(entry).text("op")? {
        "create" => Operation::Create,
        "update" => Operation::Update,
        "delete" => Operation::Delete,
        _ => return Err(reader.fault("outcomes", "have a word we do not know").into()),
    };
    let id: RecordId = Reader(image).parsed("sk")?;
    // The request names its table, and a table of that name may be another one since.
    if id.table() != change.table.schema.table().prefix {
        return Err(WriteError::OtherBody);
    }
    let record = record_of(&change.table, image)?;
    let messages = match entry.contains_key("m") {
        true => Reader(entry)
            .list("m")?
            .iter()
            .map(|message| pending(reader, message))
            .collect::<Result<_, _>>()?,
        false => Vec::new(),
    };
    Ok(Written { record, operation, replayed: true, messages, held: None })
}

/// Messages as a row keeps them.
fn told(messages: &[Pending]) -> AttributeValue {
    let one = |message: &Pending| {
        AttributeValue::M(HashMap::from([
            ("e".to_owned(), text(message.entry)),
            ("id".to_owned(), text(message.message_id)),
            ("q".to_owned(), text(message.queue)),
        ]))
    };
    AttributeValue::L(messages.iter().map(one).collect())
}

fn pending(row: &Reader<'_>, message: &AttributeValue) -> Result<Pending, StoreError> {
    let message =
        Reader(message.as_m().map_err(|_| row.fault("outcomes", "have messages that are not maps"))?);
    Ok(Pending {
        entry: message.parsed("e")?,
        message_id: message.parsed("id")?,
        queue: message.parsed("q")?,
    })
}

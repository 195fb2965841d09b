//! Rows of clients' idempotency keys: what was done under a key, and the answer to it, for 24 hours.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{KeyId, Operation, RecordId, hex};
use sha2::{Digest, Sha256};

use super::item::{CREATED, UPDATED, VERSION, record_of};
use super::size::item_bytes;
use super::{By, Change, Records, WriteError, Written};
use crate::item::{Item, Reader, Writer, bytes, number, text};
use crate::table::{Action, Expression, Undone};

/// A row answers for its key this long, seconds.
const KEPT_SECS: i64 = 24 * 3600;

/// One item of a row holds this much of images, bytes, unless a single one is larger.
const PART_BYTES: usize = 300 * 1024;

/// The attribute of time to live, epoch seconds. It only cleans: what is over is told by code.
const TTL: &str = "expires-at";

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

    /// The actions that write the row, with what was done and the record that each answer shows: the first alone has the condition that the key is free.
    pub(super) fn take<'i>(
        &self,
        outcomes: impl Iterator<Item = (Operation, &'i Item)>,
        now_secs: i64,
    ) -> Vec<Action> {
        let mut parts: Vec<Vec<AttributeValue>> = vec![Vec::new()];
        let mut filled = 0;
        for (operation, item) in outcomes {
            let image = image(item);
            let size = item_bytes(&image);
            if filled > 0 && filled + size > PART_BYTES {
                parts.push(Vec::new());
                filled = 0;
            }
            filled += size;
            let entry = HashMap::from([
                ("op".to_owned(), text(operation.as_str())),
                ("r".to_owned(), AttributeValue::M(image)),
            ]);
            parts.last_mut().expect("there is one from the start").push(AttributeValue::M(entry));
        }
        let count = parts.len();
        let item = |(part, entries)| self.item(part, entries, count, now_secs);
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
    Ok(Written { record, operation, replayed: true })
}

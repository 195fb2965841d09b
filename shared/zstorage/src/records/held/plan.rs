//! What lies beside a held entry: all that lets the write stand, and all that takes it back.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{EntryKey, EntryOrigin, EntryState, MessageId, Operation, OutboxEntry, RecordId};
use jiff::Timestamp;

use super::{HELD, HELD_BY};
use crate::item::{Item, Reader, Writer, number, text};
use crate::records::guard;
use crate::records::item::key_of;
use crate::records::size::item_bytes;
use crate::table::{Action, Expression};
use crate::{Outbox, StoreError};

/// One item holds this much of a body or an image, bytes. A larger image, which is smaller than an item, has one of its own.
const PART_BYTES: usize = 300 * 1024;

/// The most items of a held entry itself: one, and the parts of a body of 1 MiB.
const MAX_OWN_ITEMS: usize = 5;

/// What a strict write does to the Records table, and which messages it makes beside its own.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::records) struct Plan {
    pub(in crate::records) key: EntryKey,
    /// The held entry's message: a write that is undone leaves its key to the next one of the record.
    pub(in crate::records) message: MessageId,
    pub(in crate::records) record: RecordId,
    pub(in crate::records) operation: Operation,
    /// The record's item as it is to be; `None` for a removal.
    pub(in crate::records) image: Option<Item>,
    /// Guards that were taken for it.
    pub(in crate::records) takes: Vec<String>,
    /// Guards that it lets go of.
    pub(in crate::records) frees: Vec<String>,
    /// Partition and sort key of the idempotency row.
    pub(in crate::records) row: Option<(String, String)>,
    /// The entries of the table's other links.
    pub(in crate::records) others: Vec<OutboxEntry>,
    /// How many items it lies in, once it is stored.
    items: usize,
}

/// What an action of the second transaction is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::records) enum Part {
    /// The entry and what comes with it: the one thing that the transaction depends on.
    Entry,
    /// The record.
    Record,
    /// This guard.
    Guard(String),
    /// The idempotency row.
    Row,
}

/// Where the items beside a held entry lie: their pk, and how their sort keys begin.
pub(in crate::records) fn prefix(key: &EntryKey) -> Option<(String, String)> {
    match key {
        EntryKey::Link { record, link, version } => {
            Some((record.to_string(), format!("h#{link}#{version:012}#")))
        }
        EntryKey::Scheduled(_) => None,
    }
}

impl Plan {
    /// The plan of a strict write of `record` under the entry `held`, with no guards and no row yet.
    pub(in crate::records) fn new(
        held: &OutboxEntry,
        record: RecordId,
        operation: Operation,
        image: Option<Item>,
        others: Vec<OutboxEntry>,
    ) -> Plan {
        let (takes, frees) = (Vec::new(), Vec::new());
        let (key, message) = (held.key, held.message_id);
        Plan { key, message, record, operation, image, takes, frees, row: None, others, items: 0 }
    }

    /// The items that it is stored as: the first says what is to be done, the others hold what is large.
    pub(in crate::records) fn items(&self) -> Vec<Item> {
        let mut contents: Vec<Vec<(&str, AttributeValue)>> = Vec::new();
        let texts = |all: &[String]| AttributeValue::L(all.iter().map(text).collect());
        let mut head = vec![
            ("held-message", text(self.message)),
            ("operation", text(self.operation.as_str())),
            ("takes", texts(&self.takes)),
            ("frees", texts(&self.frees)),
        ];
        if let Some((pk, sk)) = &self.row {
            head.extend([("row-pk", text(pk)), ("row-sk", text(sk))]);
        }
        let image = self.image.clone().map(|image| (item_bytes(&image), ("image", AttributeValue::M(image))));
        let (large, small) = match image {
            Some((bytes, image)) if bytes > PART_BYTES => (Some(image), None),
            image => (None, image.map(|(_, image)| image)),
        };
        head.extend(small);
        contents.push(head);
        contents.extend(large.map(|image| vec![image]));
        for entry in &self.others {
            let mut slices = slices(&entry.body);
            contents.push(described(entry, slices.next().unwrap_or_default()));
            contents.extend(slices.map(|slice| vec![("more", text(slice))]));
        }
        let (pk, prefix) = prefix(&self.key).expect("only entries of links are held");
        let count = contents.len();
        let item = |(at, content): (usize, Vec<(&str, AttributeValue)>)| {
            let mut item = Writer::new(&pk, &format!("{prefix}{at:03}"));
            if at == 0 {
                item = item.set("items", number(count));
            }
            content.into_iter().fold(item, |item, (name, value)| item.set(name, value)).done()
        };
        contents.into_iter().enumerate().map(item).collect()
    }

    /// The plan that `items` hold, in the order of their sort keys; `None` when some are missing.
    pub(super) fn of(key: &EntryKey, items: Vec<Item>) -> Result<Option<Plan>, StoreError> {
        let (Some(record), Some(first)) = (key.record(), items.first()) else { return Ok(None) };
        let head = Reader(first);
        let Some(count) = head.number_or_none::<usize>("items")? else { return Ok(None) };
        if count != items.len() {
            return Ok(None);
        }
        let texts = |name: &str| -> Result<Vec<String>, StoreError> {
            let words: Result<_, _> = head.list(name)?.iter().map(|word| word.as_s().cloned()).collect();
            words.map_err(|_| head.fault(name, "is not a list of texts"))
        };
        let (row_pk, row_sk) = (head.text_or_none("row-pk")?, head.text_or_none("row-sk")?);
        let mut plan = Plan {
            key: *key,
            message: head.parsed("held-message")?,
            record,
            operation: operation(&head)?,
            image: None,
            takes: texts("takes")?,
            frees: texts("frees")?,
            row: row_pk.zip(row_sk).map(|(pk, sk)| (pk.to_owned(), sk.to_owned())),
            others: Vec::new(),
            items: count,
        };
        for mut item in items {
            if let Some(AttributeValue::M(image)) = item.remove("image") {
                plan.image = Some(image);
            }
            let reader = Reader(&item);
            if let (Some(more), Some(last)) = (reader.text_or_none("more")?, plan.others.last_mut()) {
                last.body.push_str(more);
            } else if item.contains_key("message-id") {
                plan.others.push(read(record, key, &reader)?);
            }
        }
        Ok(Some(plan))
    }

    /// What lets the write stand, in the Records table.
    pub(super) fn standing(&self) -> Vec<(Part, Action)> {
        let (pk, sk) = key_of(self.record);
        let mut actions = vec![match &self.image {
            Some(image) => (Part::Record, Action::Put(image.clone(), None)),
            None => (Part::Record, Action::Delete { pk, sk, condition: Expression::default() }),
        }];
        actions.extend(self.frees.iter().map(|guard| self.free(guard)));
        actions.extend(self.row().map(|(pk, sk, condition)| {
            let update = Expression::new("REMOVE #held").name("#held", HELD);
            (Part::Row, Action::Update { pk, sk, update, condition })
        }));
        actions
    }

    /// What takes it back, in the Records table.
    pub(super) fn taken_back(&self) -> Vec<(Part, Action)> {
        let mut actions: Vec<_> = self.takes.iter().map(|guard| self.free(guard)).collect();
        if self.operation != Operation::Create {
            let (pk, sk) = key_of(self.record);
            let update = Expression::new("REMOVE #by").name("#by", HELD_BY);
            let condition = Expression::new("#by = :by").value(":by", text(self.key));
            actions.push((Part::Record, Action::Update { pk, sk, update, condition }));
        }
        actions
            .extend(self.row().map(|(pk, sk, condition)| (Part::Row, Action::Delete { pk, sk, condition })));
        actions
    }

    /// What removes the plan itself from the Outbox.
    pub(super) fn removal(&self) -> Vec<Action> {
        let (pk, prefix) = prefix(&self.key).expect("only entries of links are held");
        let gone = |at| Action::Delete {
            pk: pk.clone(),
            sk: format!("{prefix}{at:03}"),
            condition: Expression::default(),
        };
        (0..self.items).map(gone).collect()
    }

    /// How many actions the second transaction has that lets the write stand, at most; and how many bytes the plan's own items.
    pub(in crate::records) fn second(&self, outbox: &Outbox) -> (usize, usize) {
        let messages: usize = self.others.iter().map(|entry| outbox.entry_actions(entry).len()).sum();
        let items = self.items();
        // The entry itself, the parts of its body, which get their time to live, and the removal of the plan.
        let actions = MAX_OWN_ITEMS + self.standing().len() + messages + items.len();
        (actions, items.iter().map(item_bytes).sum())
    }

    fn free(&self, guard: &str) -> (Part, Action) {
        (Part::Guard(guard.to_owned()), guard::free(guard, &[self.record]))
    }

    fn row(&self) -> Option<(String, String, Expression)> {
        let (pk, sk) = self.row.clone()?;
        let held = Expression::new("#held = :by").name("#held", HELD).value(":by", text(self.key));
        Some((pk, sk, held))
    }
}

fn slices(body: &str) -> impl Iterator<Item = &str> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let (slice, behind) = rest.split_at(rest.floor_char_boundary(PART_BYTES));
        rest = behind;
        (!slice.is_empty()).then_some(slice)
    })
}

/// What of an entry of another link cannot be known from the held one.
fn described<'n>(entry: &OutboxEntry, body: &str) -> Vec<(&'n str, AttributeValue)> {
    let EntryKey::Link { link, .. } = entry.key else { unreachable!("links make entries of links") };
    let origin = entry.origin.as_ref().expect("an entry of a link has an origin");
    let mut all = vec![
        ("link", text(link)),
        ("message-id", text(entry.message_id)),
        ("queue-id", text(entry.queue)),
        ("ordered", AttributeValue::Bool(entry.ordered)),
        ("table", text(&origin.table)),
        ("operation", text(origin.operation.as_str())),
        ("depth", number(origin.depth)),
        ("notes", AttributeValue::L(entry.notes.iter().map(text).collect())),
        ("body", text(body)),
    ];
    all.extend(entry.ordering_key.as_ref().map(|key| ("ordering-key", text(key))));
    all
}

/// The entry of another link, with the beginning of its body.
fn read(record: RecordId, held: &EntryKey, reader: &Reader<'_>) -> Result<OutboxEntry, StoreError> {
    let EntryKey::Link { version, .. } = *held else {
        return Err(reader.fault("sk", "is not of a link"));
    };
    let table = domain::ApiName::parse(reader.text("table")?)
        .map_err(|_| reader.fault("table", "is not a table's name"))?;
    let notes = reader.list("notes")?.iter().filter_map(|note| note.as_s().ok().cloned());
    Ok(OutboxEntry {
        key: EntryKey::Link { record, link: reader.parsed("link")?, version },
        message_id: reader.parsed("message-id")?,
        queue: reader.parsed("queue-id")?,
        body: reader.text("body")?.to_owned(),
        ordering_key: reader.text_or_none("ordering-key")?.map(str::to_owned),
        ordered: reader.flag("ordered")?,
        origin: Some(EntryOrigin { table, operation: operation(reader)?, depth: reader.number("depth")? }),
        round: 0,
        notes: notes.collect(),
        state: EntryState::Due,
        failures: 0,
        lease: 0,
        committed_at: Timestamp::UNIX_EPOCH,
        next_attempt_at: None,
        reason: None,
        engine_id: None,
    })
}

fn operation(reader: &Reader<'_>) -> Result<Operation, StoreError> {
    let word = reader.text("operation")?;
    let all = [Operation::Create, Operation::Update, Operation::Delete];
    let known = all.into_iter().find(|operation| operation.as_str() == word);
    known.ok_or_else(|| reader.fault("operation", "is a word we do not know"))
}

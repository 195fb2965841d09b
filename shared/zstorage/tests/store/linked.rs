//! Students with links, and what lies in the Outbox.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    EntryKey, EntryState, Link, LinkId, LinkMode, LinkPayload, Operations, OutboxEntry, QueueId, Record,
    RecordId, TablePrefix,
};
use zstorage::{
    Applied, HeldWrite, LinkQueue, LinkQueues, OpenTable, Pending, Records, Settled, WriteError, Written,
};

use crate::house::{House, key_id, queue_id};
use crate::students::{by, changed, open, raw, students};
use crate::troubled::Troubled;

pub(crate) const ALL: Operations = Operations { create: true, update: true, delete: true };

/// A link of the table of students, for every write of it.
pub(crate) fn link(number: u32, mode: LinkMode) -> Link {
    Link {
        id: LinkId { table: TablePrefix::nth(1234).unwrap(), number },
        queue: queue_id(),
        on: ALL,
        mode,
        condition: None,
        only_fields: Vec::new(),
        handler: None,
        payload: LinkPayload::Whole,
        ordering_key: None,
        enabled: true,
    }
}

/// Students with these links.
pub(crate) async fn linked(links: Vec<Link>) -> OpenTable {
    let open = open(students).await;
    changed(&open, |table| {
        table.next_link = 1 + links.len() as u32;
        table.links = links;
    })
}

/// Students with one link of this mode.
pub(crate) async fn linked_once(mode: LinkMode) -> OpenTable {
    linked(vec![link(1, mode)]).await
}

/// The same table, with this said of every queue.
pub(crate) fn with_queues(open: &OpenTable, queue: LinkQueue) -> OpenTable {
    let ids = open.schema.table().links.iter().map(|link| link.queue);
    let queues: BTreeMap<QueueId, LinkQueue> = ids.map(|id| (id, queue)).collect();
    OpenTable { queues: Arc::new(LinkQueues(queues)), ..open.clone() }
}

/// An entry's body as JSON.
pub(crate) fn body(entry: &OutboxEntry) -> serde_json::Value {
    serde_json::from_str(&entry.body).unwrap()
}

/// Every item of a table, by its key.
pub(crate) type Items = BTreeMap<(String, String), std::collections::HashMap<String, AttributeValue>>;

pub(crate) fn published() -> Applied {
    Applied::Published { engine_id: Some("sqs-1".into()) }
}

pub(crate) fn parked() -> Applied {
    Applied::Parked { reason: "the queue said no".into() }
}

impl House {
    /// All that lies in a table.
    pub(crate) async fn all(&self, table: &str) -> Items {
        let (mut items, mut last) = (Items::new(), None);
        loop {
            let call = self.client.scan().table_name(table).consistent_read(true);
            let answer = call.set_exclusive_start_key(last).send().await.unwrap();
            for item in answer.items.unwrap_or_default() {
                let part = |name: &str| item[name].as_s().unwrap().clone();
                items.insert((part("pk"), part("sk")), item);
            }
            last = answer.last_evaluated_key;
            if last.is_none() {
                return items;
            }
        }
    }

    pub(crate) async fn entry(&self, key: &EntryKey) -> Option<OutboxEntry> {
        self.outbox().entry(key).await.unwrap()
    }

    /// The held entries of a table.
    pub(crate) async fn outbox_keys_held(&self, open: &OpenTable) -> Vec<EntryKey> {
        let mut held = Vec::new();
        for (pk, sk) in self.all("outbox").await.into_keys() {
            let Some((link, version)) = sk.strip_prefix("e#").and_then(|rest| rest.split_once('#')) else {
                continue;
            };
            let (record, link) = (pk.parse::<RecordId>().unwrap(), link.parse().unwrap());
            assert_eq!(record.table(), open.schema.table().prefix);
            let entry = self.entry(&EntryKey::Link { record, link, version: version.parse().unwrap() }).await;
            held.extend(entry.filter(|entry| entry.state == EntryState::Held).map(|entry| entry.key));
        }
        held
    }

    pub(crate) async fn entry_of(&self, message: &Pending) -> OutboxEntry {
        let entry = self.entry(&message.entry).await.unwrap();
        assert_eq!((entry.message_id, entry.queue), (message.message_id, message.queue));
        entry
    }
}

/// Lets a held write stand, which nobody else does.
pub(crate) async fn let_stand(records: &Records, key: &EntryKey) {
    assert_eq!(records.apply(key, published(), None).await.unwrap(), Settled::Now);
}

pub(crate) async fn read(records: &Records, open: &OpenTable, record: &Record) -> Option<Record> {
    records.get(open, record.id).await.unwrap()
}

/// Records behind a connector that makes trouble.
pub(crate) fn over(troubled: &Troubled, house: &House) -> Records {
    let client = troubled.client(house);
    Records::new(client.clone(), "records".into(), house.outbox_over(client), house.hands.clock())
}

/// One strict link and one that is not, both for all writes.
pub(crate) async fn strict() -> OpenTable {
    linked(vec![link(1, LinkMode::Outbox), link(2, LinkMode::Strict)]).await
}

pub(crate) fn held(written: &Written) -> EntryKey {
    let HeldWrite { entry } = written.held.as_ref().unwrap();
    assert_eq!(entry.state, EntryState::Held);
    entry.key
}

pub(crate) fn own(written: &Written) -> &OutboxEntry {
    &written.held.as_ref().unwrap().entry
}

pub(crate) async fn create(records: &Records, open: &OpenTable, json: &str) -> Result<Written, WriteError> {
    records.create(open, &raw(json), &by(key_id())).await
}

pub(crate) async fn update(
    records: &Records,
    open: &OpenTable,
    id: RecordId,
    json: &str,
) -> Result<Written, WriteError> {
    records.update(open, id, &raw(json), None, &by(key_id())).await
}

/// A record that stands, with its messages on their way.
pub(crate) async fn standing(records: &Records, open: &OpenTable, json: &str) -> Record {
    let made = create(records, open, json).await.unwrap();
    let_stand(records, &held(&made)).await;
    made.record
}

pub(crate) fn is_held(answer: &Result<Written, WriteError>) -> bool {
    matches!(answer, Err(WriteError::Held))
}

pub(crate) fn is_taken(answer: &Result<Written, WriteError>) -> bool {
    matches!(answer, Err(WriteError::Taken { .. }))
}

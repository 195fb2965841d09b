use std::collections::HashMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use domain::{Engine, EntryKey, EntryState, MessageId, QueueId, RawFields, RecordId, TablePrefix};
use tokio::time::{Duration, Instant};
use zstorage::{By, CatalogError, Change, LinkQueues, OpenTable, Pending, StoreError, WriteError, Written};

use crate::{Courier, CourierParts};

/// A write has its answer within this time, whatever it waits for.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(25);

/// Writes records, and what becomes of their messages: those of strict links are sent before the answer, others can be waited for.
/// Cheap to clone; clones share what they have learnt of the queues.
#[derive(Clone)]
pub struct Writer {
    pub(crate) courier: Courier,
}

/// A write that is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The write. Nothing of it is held any more.
    pub written: Written,
    /// Its messages, in the order of the table's links.
    pub messages: Vec<Sent>,
}

/// What is known of a message of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its outbox entry.
    pub entry: EntryKey,
    /// Its id.
    pub message_id: MessageId,
    /// Where it goes.
    pub queue: QueueId,
    /// The engine's id of it, once the queue has it, and as long as that is registered.
    pub engine_id: Option<EngineId>,
    /// How far it is.
    pub state: EntryState,
}

/// A message's id on the engine of its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineId {
    /// The engine.
    pub engine: Engine,
    /// What it calls the message.
    pub id: String,
}

/// Why a write has no answer of the usual kind.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The record was not written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The queue of a strict link did not take the message: neither record nor message remain.
    #[error("the queue did not take this write's message, so nothing was written: {reason}")]
    Refused {
        /// What happened, without anything the engine said of its own.
        reason: String,
    },
    /// Nobody knows whether the queue of a strict link took the message. Nothing was taken back: the record stands as soon as that
    /// is known, or the message is given up. Until then others cannot write it.
    #[error(
        "the queue did not answer whether it took this write's message; the record will stand once that is known"
    )]
    Unknown {
        /// The message's id.
        message_id: MessageId,
    },
}

/// Several writes of which some were refused.
pub type Answers = Vec<Result<Answer, WriterError>>;

impl Writer {
    /// A writer that has learnt nothing yet.
    pub fn new(parts: CourierParts) -> Writer {
        Writer { courier: Courier::new(parts) }
    }

    /// `table`, with what is known of the queues of its links. Warm it asks nobody; the write functions do it themselves.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn open(&self, table: &OpenTable) -> Result<OpenTable, StoreError> {
        let mut queues = LinkQueues::default();
        for link in table.schema.table().links.iter().filter(|link| link.enabled) {
            if let Entry::Vacant(unknown) = queues.0.entry(link.queue) {
                unknown.insert(self.courier.roads.facts(link.queue).await.map_err(store_error)?);
            }
        }
        Ok(OpenTable { queues: Arc::new(queues), ..table.clone() })
    }

    /// Makes a record, as [`zstorage::Records::create`]. With `wait` the answer comes when its messages are on their queues, or after 25 s.
    ///
    /// # Errors
    /// [`WriterError`].
    pub async fn create(
        &self,
        table: &OpenTable,
        fields: &RawFields,
        by: &By,
        wait: bool,
    ) -> Result<Answer, WriterError> {
        let start = Instant::now();
        let table = self.open(table).await.map_err(WriteError::from)?;
        let written = self.courier.records.create(&table, fields, by).await?;
        self.finish(written, wait, start).await
    }

    /// Changes a record, as [`zstorage::Records::update`]; waits as [`Writer::create`].
    ///
    /// # Errors
    /// [`WriterError`].
    pub async fn update(
        &self,
        table: &OpenTable,
        id: RecordId,
        fields: &RawFields,
        if_match: Option<u64>,
        by: &By,
        wait: bool,
    ) -> Result<Answer, WriterError> {
        let start = Instant::now();
        let table = self.open(table).await.map_err(WriteError::from)?;
        let written = self.courier.records.update(&table, id, fields, if_match, by).await?;
        self.finish(written, wait, start).await
    }

    /// Removes a record, as [`zstorage::Records::delete`]; waits as [`Writer::create`].
    ///
    /// # Errors
    /// [`WriterError`].
    pub async fn delete(
        &self,
        table: &OpenTable,
        id: RecordId,
        if_match: Option<u64>,
        by: &By,
        wait: bool,
    ) -> Result<Answer, WriterError> {
        let start = Instant::now();
        let table = self.open(table).await.map_err(WriteError::from)?;
        let written = self.courier.records.delete(&table, id, if_match, by).await?;
        self.finish(written, wait, start).await
    }

    /// Does all of `changes` in one transaction or none, as [`zstorage::Records::batch`]; waits as [`Writer::create`].
    ///
    /// # Errors
    /// [`WriteError`], of the batch as a whole.
    pub async fn atomic(&self, changes: Vec<Change>, by: &By, wait: bool) -> Result<Answers, WriteError> {
        let start = Instant::now();
        let changes = self.open_all(changes.into_iter().enumerate().collect()).await?;
        let changes = changes.into_iter().map(|(_, change)| change).collect();
        let written = self.courier.records.batch(changes, true, by).await?;
        let answers =
            written.into_iter().map(|written| Ok(Answer::of(written.map_err(WriterError::Write)?))).collect();
        Ok(self.told(answers, wait, start).await)
    }

    /// Opens the tables of `changes`, each once.
    pub(crate) async fn open_all(
        &self,
        mut changes: Vec<(usize, Change)>,
    ) -> Result<Vec<(usize, Change)>, StoreError> {
        let mut opened: HashMap<TablePrefix, OpenTable> = HashMap::new();
        for (_, change) in &mut changes {
            let prefix = change.table.schema.table().prefix;
            let table = match opened.get(&prefix) {
                Some(table) => table.clone(),
                None => self.open(&change.table).await?,
            };
            change.table = table.clone();
            opened.insert(prefix, table);
        }
        Ok(changes)
    }

    /// Ends what is held and waits for what is to be waited for.
    async fn finish(&self, written: Written, wait: bool, start: Instant) -> Result<Answer, WriterError> {
        let answers = vec![self.settle(written, start).await];
        self.told(answers, wait, start).await.pop().expect("one write has one answer")
    }
}

impl Answer {
    /// The answer to a write whose messages are all on their way.
    pub(crate) fn of(written: Written) -> Answer {
        let on_its_way = |pending: &Pending| Sent {
            entry: pending.entry,
            message_id: pending.message_id,
            queue: pending.queue,
            engine_id: None,
            state: EntryState::Due,
        };
        let messages = written.messages.iter().map(on_its_way).collect();
        Answer { written, messages }
    }
}

fn store_error(error: CatalogError) -> StoreError {
    match error {
        CatalogError::Store(error) => error,
        // Reading takes no names and meets no versions.
        CatalogError::Taken { .. } | CatalogError::Unfit(_) | CatalogError::Conflict => {
            StoreError::Busy { operation: "look up a queue" }
        }
    }
}

use std::sync::Arc;

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::{Queue, QueueId, QueueName, QueueState};

use super::{Catalog, CatalogError, name_contains, queue_item};
use crate::item::{Reader, Writer, text};
use crate::table::{Action, Expression, Undone};
use crate::{Cursor, Page, StoreError};

/// What no two queues have in common is kept as an item of its own, so that one transaction can take it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Guard {
    /// A name belongs to one queue.
    Name(String),
    /// An SQS queue that our own role uses belongs to one registration: a second would be a way around the scopes and
    /// the schema of the first, and two workers would share its messages unseen.
    Arn(String),
}

impl Guard {
    fn all(queue: &Queue) -> Vec<Guard> {
        let name = Guard::Name(queue.name.to_string());
        let arn = queue.sqs().filter(|_| queue.credentials.is_none()).map(|place| Guard::Arn(place.arn()));
        [Some(name), arn].into_iter().flatten().collect()
    }

    fn key(&self) -> (&'static str, &str) {
        match self {
            Guard::Name(name) => ("queue-name", name),
            Guard::Arn(arn) => ("queue-arn", arn),
        }
    }

    /// The field of the API that this is about.
    fn field(&self) -> &'static str {
        match self {
            Guard::Name(_) => "name",
            Guard::Arn(_) => "url",
        }
    }

    fn take(&self, queue: QueueId) -> Action {
        let (pk, sk) = self.key();
        Action::Put(Writer::new(pk, sk).set("queue-id", text(queue)).done(), Some(Expression::absent()))
    }

    fn free(&self, queue: QueueId) -> Action {
        let (pk, sk) = self.key();
        let condition = Expression::new("attribute_not_exists(pk) OR #queue = :queue")
            .name("#queue", "queue-id")
            .value(":queue", text(queue));
        Action::Delete { pk: pk.to_owned(), sk: sk.to_owned(), condition }
    }
}

impl Catalog {
    /// Registers `queue` and takes its name, and its SQS queue if the worker is attached: all in one transaction, so
    /// that of any number of simultaneous calls with one name exactly one succeeds.
    ///
    /// # Errors
    /// [`CatalogError::Taken`] with the field; the store's.
    pub async fn create_queue(&self, queue: &Queue) -> Result<(), CatalogError> {
        let guards = Guard::all(queue);
        let mut actions: Vec<Action> = guards.iter().map(|guard| guard.take(queue.id)).collect();
        actions.push(Action::Put(queue_item::write(queue), Some(Expression::absent())));
        let done = self.0.table.transact("create a queue", actions).await;
        done.map_err(|undone| taken(undone, &guards))?;
        self.hold(Arc::new(queue.clone()));
        Ok(())
    }

    /// The queue with this id, known as it was at most 10 s ago.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn queue_by_id(&self, id: QueueId) -> Result<Option<Arc<Queue>>, CatalogError> {
        match self.0.queues.get(&id, self.0.clock.now()) {
            Some(queue) => Ok(Some(queue)),
            None => self.fresh_queue(id).await,
        }
    }

    /// The queue of this name, known as it was at most 10 s ago.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn queue_by_name(&self, name: &QueueName) -> Result<Option<Arc<Queue>>, CatalogError> {
        let known = self.0.names.get(name, self.0.clock.now());
        self.by_guard(&Guard::Name(name.to_string()), known).await
    }

    /// The registration of the SQS queue `arn` that our own role uses, known as it was at most 10 s ago.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn queue_by_arn(&self, arn: &str) -> Result<Option<Arc<Queue>>, CatalogError> {
        let known = self.0.arns.get(&arn.to_owned(), self.0.clock.now());
        self.by_guard(&Guard::Arn(arn.to_owned()), known).await
    }

    async fn by_guard(
        &self,
        guard: &Guard,
        known: Option<QueueId>,
    ) -> Result<Option<Arc<Queue>>, CatalogError> {
        if let Some(id) = known
            && let Some(queue) = self.queue_by_id(id).await?
            && Guard::all(&queue).contains(guard)
        {
            return Ok(Some(queue));
        }
        let (pk, sk) = guard.key();
        let Some(item) = self.0.table.get("look up a queue", pk, sk).await? else { return Ok(None) };
        let id = Reader(&item).parsed("queue-id").map_err(CatalogError::Store)?;
        // Between the two reads the queue may have given the name away: then nobody has it that we know of.
        Ok(self.fresh_queue(id).await?.filter(|queue| Guard::all(queue).contains(guard)))
    }

    /// The queue with this id as it is now, past the cache.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn fresh_queue(&self, id: QueueId) -> Result<Option<Arc<Queue>>, CatalogError> {
        let Some(item) = self.0.table.get("read a queue", queue_item::PK, &id.to_string()).await? else {
            self.0.queues.remove(&id);
            return Ok(None);
        };
        let queue = Arc::new(queue_item::read(&item)?);
        self.hold(queue.clone());
        Ok(Some(queue))
    }

    /// Changes the queue `old` to `new`, if it still has the version of `old`; a new name or SQS queue is taken and the
    /// old one freed in the same transaction. Answers the queue as it is now: its version is that of `old` plus one,
    /// whatever `new` says; its id stays.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`], [`CatalogError::Taken`]; the store's.
    pub async fn update_queue(&self, old: &Queue, new: &Queue) -> Result<Arc<Queue>, CatalogError> {
        let stored = Queue { id: old.id, version: old.version + 1, ..new.clone() };
        let (had, has) = (Guard::all(old), Guard::all(&stored));
        let taken_now: Vec<Guard> = has.iter().filter(|guard| !had.contains(guard)).cloned().collect();
        let mut actions: Vec<Action> = taken_now.iter().map(|guard| guard.take(old.id)).collect();
        actions.push(Action::Put(queue_item::write(&stored), Some(super::at_version(old.version))));
        actions.extend(had.iter().filter(|guard| !has.contains(guard)).map(|guard| guard.free(old.id)));
        let done = self.0.table.transact("change a queue", actions).await;
        done.map_err(|undone| {
            self.0.queues.remove(&old.id);
            taken(undone, &taken_now)
        })?;
        let stored = Arc::new(stored);
        self.hold(stored.clone());
        Ok(stored)
    }

    /// Removes `queue` and frees what it had taken, if it still has its version. One that is gone already is no error.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`]; the store's.
    pub async fn delete_queue(&self, queue: &Queue) -> Result<(), CatalogError> {
        let mut condition = super::at_version(queue.version);
        condition.text = format!("attribute_not_exists(pk) OR {}", condition.text);
        let (pk, sk) = (queue_item::PK.to_owned(), queue.id.to_string());
        let mut actions = vec![Action::Delete { pk, sk, condition }];
        // A name that someone else has taken since is not freed, and that is no fault of this queue.
        actions.extend(self.own_guards(queue).await?.iter().map(|guard| guard.free(queue.id)));
        let done = self.0.table.transact("delete a queue", actions).await;
        self.0.queues.remove(&queue.id);
        done.map_err(super::changed)
    }

    /// Holds a transaction back unless the queue is registered and in use.
    pub(super) fn queue_in_use(&self, id: QueueId) -> TransactWriteItem {
        let condition = Expression::new("#state = :ready")
            .name("#state", "state")
            .value(":ready", text(queue_item::state_word(QueueState::Ready)));
        self.0.table.wire(Action::Check { pk: queue_item::PK.to_owned(), sk: id.to_string(), condition })
    }

    /// The guards of `queue` that are its own at this moment.
    async fn own_guards(&self, queue: &Queue) -> Result<Vec<Guard>, StoreError> {
        let mut own = Vec::new();
        for guard in Guard::all(queue) {
            let (pk, sk) = guard.key();
            let item = self.0.table.get("delete a queue", pk, sk).await?;
            let holder = item.map(|item| Reader(&item).parsed::<QueueId>("queue-id")).transpose()?;
            if holder == Some(queue.id) {
                own.push(guard);
            }
        }
        Ok(own)
    }

    /// Up to `limit` queues (at least one is asked for) behind `cursor`, oldest first; with `search`, those alone whose
    /// name has it as a part, whatever the case. A queue that is there all the while is on exactly one of the pages.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn list_queues(
        &self,
        search: Option<&str>,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Queue>, CatalogError> {
        let filter = search.filter(|search| !search.is_empty()).map(name_contains);
        let read = |item: &_| Ok((queue_item::read(item)?, queue_item::id(item)?.to_string()));
        self.page("list queues", queue_item::PK, filter, limit, cursor, read).await
    }

    /// Remembers what was just read or written.
    fn hold(&self, queue: Arc<Queue>) {
        let now = self.0.clock.now();
        for guard in Guard::all(&queue) {
            match guard {
                Guard::Name(_) => self.0.names.put(queue.name.clone(), queue.id, now, |_| false),
                Guard::Arn(arn) => self.0.arns.put(arn, queue.id, now, |_| false),
            }
        }
        let version = queue.version;
        self.0.queues.put(queue.id, queue, now, |held| held.version > version);
    }
}

/// The first actions of such a transaction take `guards`, in this order; the others stand on the queue itself.
fn taken(undone: Undone, guards: &[Guard]) -> CatalogError {
    match undone {
        Undone::Conditions(places) => match places.first().and_then(|at| guards.get(*at)) {
            // When the queue itself has changed as well, the caller must look again before anything else counts.
            Some(guard) if places.iter().all(|at| *at < guards.len()) => {
                CatalogError::Taken { field: guard.field() }
            }
            _ => CatalogError::Conflict,
        },
        Undone::Store(error) => error.into(),
    }
}

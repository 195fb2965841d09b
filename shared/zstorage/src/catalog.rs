mod destination_text;
mod key_item;
mod keys;
mod package_files;
mod package_item;
mod package_reads;
mod package_secrets;
mod packages;
mod pages;
mod queue_item;
mod queues;
mod table_item;
mod tables;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use domain::{ApiKey, Clock, Faults, KeyId, Queue, QueueId, QueueName};
use jiff::SignedDuration;

use crate::cache::Cache;
use crate::item::{Item, text};
use crate::table::{Expression, Range, Table, Undone};
use crate::{Cursor, Page, StoreError};

pub use packages::{PackageError, Released};

/// How long a queue may be known as it was, by the wall clock.
const QUEUE_CACHE: SignedDuration = SignedDuration::from_secs(10);

/// How long a key may be known as it was: so long may a revoked one still open in another process.
const KEY_CACHE: SignedDuration = SignedDuration::from_secs(60);

/// Items read at once when a search passes most of them by.
const SEARCH_STEP: i32 = 200;

/// The registry of queues, packages, tables and their pages, and the API keys. Cheap to clone; clones share their caches.
///
/// Everything is read strongly consistent and cached when found: queues for 10 s, keys for 60 s. What this process
/// writes, it knows at once.
#[derive(Clone, Debug)]
pub struct Catalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Table,
    clock: Clock,
    queues: Cache<QueueId, Arc<Queue>>,
    names: Cache<QueueName, QueueId>,
    arns: Cache<String, QueueId>,
    keys: Cache<KeyId, Arc<ApiKey>>,
    tables: tables::KnownTables,
}

/// Why the catalog did not do as it was asked. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A queue, a table or a page is there already that has what is unique.
    #[error("another has this {field} already")]
    Taken {
        /// `name` or `apiName`; or `url`: the worker is attached to this SQS queue by another registration.
        field: &'static str,
    },
    /// What was to be stored is not sound: every fault of it.
    #[error(transparent)]
    Unfit(Faults),
    /// What was to be changed is not as the caller knew it any more, or is gone: read it again.
    #[error("it was changed by another request meanwhile; read it again and repeat the change")]
    Conflict,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CatalogError {
    /// Whether another request was there first.
    pub fn is_conflict(&self) -> bool {
        matches!(self, CatalogError::Taken { .. } | CatalogError::Conflict)
    }

    /// Whether the same request may work in a moment.
    pub fn is_retryable(&self) -> bool {
        matches!(self, CatalogError::Store(error) if error.is_retryable())
    }
}

impl Catalog {
    /// The catalog kept in `table`, whose key is `pk` and `sk`. `clock` is the wall clock that the caches age by.
    pub fn new(client: Client, table: String, clock: Clock) -> Catalog {
        Catalog(Arc::new(Inner {
            table: Table { client, name: table },
            clock,
            queues: Cache::new(QUEUE_CACHE),
            names: Cache::new(QUEUE_CACHE),
            arns: Cache::new(QUEUE_CACHE),
            keys: Cache::new(KEY_CACHE),
            tables: tables::KnownTables::new(),
        }))
    }

    /// One page of the partition `pk`, in the order of its sort keys, each item exactly once over the pages.
    async fn page<T>(
        &self,
        operation: &'static str,
        pk: &str,
        filter: Option<Expression>,
        limit: usize,
        cursor: Option<&Cursor>,
        read: impl Fn(&Item) -> Result<(T, String), StoreError>,
    ) -> Result<Page<T>, CatalogError> {
        let limit = limit.max(1);
        // One more than asked for tells whether there is a next page, so that no page comes back empty.
        let step = match &filter {
            None => i32::try_from(limit + 1).unwrap_or(SEARCH_STEP),
            Some(_) => SEARCH_STEP,
        };
        let mut found: Vec<(T, String)> = Vec::new();
        let mut after = cursor.map(|cursor| cursor.0.clone());
        loop {
            let range = Range { from: "0", after: after.as_deref() };
            let (items, last) =
                self.0.table.query(operation, pk, &range, filter.as_ref(), Some(step)).await?;
            for item in items.iter().take(limit + 1 - found.len()) {
                found.push(read(item)?);
            }
            if last.is_none() || found.len() > limit {
                break;
            }
            after = last;
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(_, sk)| Cursor(sk.clone()));
        Ok(Page { items: found.into_iter().map(|(item, _)| item).collect(), next })
    }
}

/// What was read still has this version.
fn at_version(version: u64) -> Expression {
    Expression::at_version("version", version)
}

/// What stands for a failed condition of a write that has no guards.
fn changed(undone: Undone) -> CatalogError {
    match undone {
        Undone::Conditions(_) => CatalogError::Conflict,
        Undone::Store(error) => error.into(),
    }
}

/// A filter on names: part of them, whatever its case.
fn name_contains(search: &str) -> Expression {
    Expression::new("contains(#folded, :search)")
        .name("#folded", queue_item::FOLDED_NAME)
        .value(":search", text(queue_item::fold(search)))
}

use std::sync::Arc;

use aws_sdk_dynamodb::types::{ReturnValue, TransactWriteItem};
use domain::{ApiName, Fault, Faults, Job, QueueId, Table, TablePrefix, TableSchema};
use jiff::{SignedDuration, Timestamp};

use super::{Catalog, CatalogError, changed, name_contains, table_item};
use crate::cache::Cache;
use crate::item::{Item, Reader, Writer, key, number, text};
use crate::jobs::Jobs;
use crate::table::{Action, Expression, Undone};
use crate::{Cursor, Page, StoreError};

/// How long a table may be known as it was, by the wall clock.
const TABLE_CACHE: SignedDuration = SignedDuration::from_secs(10);

/// Where the number of the next new table stands.
const COUNTER: (&str, &str) = ("counter", "table-prefix");

/// The partition of the guards of tables' names.
const NAME_PK: &str = "table-name";

/// Tables as they were read or written last, compiled.
#[derive(Debug)]
pub(super) struct KnownTables {
    schemas: Cache<TablePrefix, Arc<TableSchema>>,
    names: Cache<ApiName, TablePrefix>,
}

impl KnownTables {
    pub(super) fn new() -> KnownTables {
        KnownTables { schemas: Cache::new(TABLE_CACHE), names: Cache::new(TABLE_CACHE) }
    }

    fn hold(&self, schema: &Arc<TableSchema>, now: Timestamp) {
        let table = schema.table();
        self.names.put(table.api_name.clone(), table.prefix, now, |_| false);
        self.schemas.put(table.prefix, Arc::clone(schema), now, |held| held.table().version > table.version);
    }
}

impl Catalog {
    /// A prefix that no table had before and none will have after: each call counts one on.
    ///
    /// # Errors
    /// [`CatalogError::Unfit`] when all 22,528 are given away; the store's.
    pub async fn take_table_prefix(&self) -> Result<TablePrefix, CatalogError> {
        const OPERATION: &str = "count a new table";
        let call = self
            .0
            .table
            .client
            .update_item()
            .table_name(&self.0.table.name)
            .set_key(Some(key(COUNTER.0, COUNTER.1)))
            .update_expression("ADD #next :one")
            .expression_attribute_names("#next", "next")
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::UpdatedNew);
        let answer = call.send().await.map_err(|error| StoreError::from_call(OPERATION, error))?;
        let counted: u32 = Reader(&answer.attributes.unwrap_or_default()).number("next")?;
        TablePrefix::nth(counted.saturating_sub(1)).ok_or_else(|| {
            let message = "no more tables can be made: every prefix was given away";
            CatalogError::Unfit(Fault::new("", "too-many", message).into())
        })
    }

    /// Stores the new table and takes its name: of any number of simultaneous calls with one name exactly one succeeds. Its
    /// prefix is one of [`Catalog::take_table_prefix`].
    ///
    /// # Errors
    /// [`CatalogError::Unfit`], [`CatalogError::Taken`]; the store's.
    pub async fn create_table(&self, table: &Table) -> Result<Arc<TableSchema>, CatalogError> {
        let schema = compiled(table.clone())?;
        let put = put(table, Expression::absent())?;
        let actions = vec![take_name(table), put];
        self.0.table.transact("create a table", actions).await.map_err(|undone| taken(undone, true))?;
        self.0.tables.hold(&schema, self.0.clock.now());
        Ok(schema)
    }

    /// The table of this name, known as it was at most 10 s ago.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn table_by_name(&self, name: &ApiName) -> Result<Option<Arc<TableSchema>>, CatalogError> {
        let has_it = |schema: &Arc<TableSchema>| schema.table().api_name == *name;
        if let Some(prefix) = self.0.tables.names.get(name, self.0.clock.now())
            && let Some(schema) = self.table_by_prefix(prefix).await?.filter(has_it)
        {
            return Ok(Some(schema));
        }
        let guard = self.0.table.get("look up a table", NAME_PK, name.as_str()).await?;
        let Some(guard) = guard else { return Ok(None) };
        let prefix = Reader(&guard).parsed("table").map_err(CatalogError::Store)?;
        // Between the two reads the table may have given the name away: then nobody has it that we know of.
        Ok(self.fresh_table(prefix).await?.filter(has_it))
    }

    /// The table of this prefix, known as it was at most 10 s ago.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn table_by_prefix(
        &self,
        prefix: TablePrefix,
    ) -> Result<Option<Arc<TableSchema>>, CatalogError> {
        match self.0.tables.schemas.get(&prefix, self.0.clock.now()) {
            Some(schema) => Ok(Some(schema)),
            None => self.fresh_table(prefix).await,
        }
    }

    /// The table of this prefix as it is now, past the cache: the one to change.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn fresh_table(&self, prefix: TablePrefix) -> Result<Option<Arc<TableSchema>>, CatalogError> {
        let item = self.0.table.get("read a table", table_item::PK, prefix.as_str()).await?;
        let Some(item) = item else {
            self.0.tables.schemas.remove(&prefix);
            return Ok(None);
        };
        let schema = self.schema_of(&item)?;
        self.0.tables.hold(&schema, self.0.clock.now());
        Ok(Some(schema))
    }

    /// Changes the table `old` to `new`, if it still has the version of `old`; a new name is taken and the old one freed in the same
    /// transaction. Answers the table as it is now: its version is that of `old` plus one, whatever `new` says; its prefix,
    /// its data key and when it was made stay.
    ///
    /// # Errors
    /// [`CatalogError::Unfit`], [`CatalogError::Conflict`], [`CatalogError::Taken`]; the store's.
    pub async fn update_table(&self, old: &Table, new: &Table) -> Result<Arc<TableSchema>, CatalogError> {
        self.change_table(old, new, Vec::new()).await
    }

    /// As [`Catalog::update_table`], and saves `job` in the same transaction.
    ///
    /// # Errors
    /// As there.
    pub async fn update_table_with_job(
        &self,
        old: &Table,
        new: &Table,
        jobs: &Jobs,
        job: &Job,
    ) -> Result<Arc<TableSchema>, CatalogError> {
        self.change_table(old, new, vec![jobs.birth(job)]).await
    }

    /// As [`Catalog::update_table`], while `queue` is in use: what ties a table to a queue and what deletes that queue never pass
    /// each other unseen.
    ///
    /// # Errors
    /// As there; [`CatalogError::Conflict`] also where the queue is not in use.
    pub async fn update_table_with_queue(
        &self,
        old: &Table,
        new: &Table,
        queue: QueueId,
    ) -> Result<Arc<TableSchema>, CatalogError> {
        self.change_table(old, new, vec![self.queue_in_use(queue)]).await
    }

    async fn change_table(
        &self,
        old: &Table,
        new: &Table,
        others: Vec<TransactWriteItem>,
    ) -> Result<Arc<TableSchema>, CatalogError> {
        let stored = Table {
            prefix: old.prefix,
            data_key: old.data_key.clone(),
            created_at: old.created_at,
            version: old.version + 1,
            ..new.clone()
        };
        let schema = compiled(stored.clone())?;
        let renamed = old.api_name != stored.api_name;
        let mut actions = Vec::new();
        if renamed {
            actions.push(take_name(&stored));
        }
        actions.push(put(&stored, super::at_version(old.version))?);
        if renamed {
            actions.push(free_name(old));
        }
        let done = self.0.table.transact_with("change a table", actions, others).await;
        done.map_err(|undone| {
            self.0.tables.schemas.remove(&old.prefix);
            taken(undone, renamed)
        })?;
        self.0.tables.hold(&schema, self.0.clock.now());
        Ok(schema)
    }

    /// Removes `table` and frees its name, if it still has its version. Its records stay: whoever asks has removed them.
    /// One that is gone already is no error.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`]; the store's.
    pub async fn delete_table(&self, table: &Table) -> Result<(), CatalogError> {
        let mut condition = super::at_version(table.version);
        condition.text = format!("attribute_not_exists(pk) OR {}", condition.text);
        let (pk, sk) = (table_item::PK.to_owned(), table.prefix.to_string());
        let mut actions = vec![Action::Delete { pk, sk, condition }];
        // A name that another table has taken since is not freed, and that is no fault of this one.
        let guard = self.0.table.get("delete a table", NAME_PK, table.api_name.as_str()).await?;
        let holder = guard.map(|guard| Reader(&guard).parsed::<TablePrefix>("table")).transpose()?;
        if holder == Some(table.prefix) {
            actions.push(free_name(table));
        }
        let done = self.0.table.transact("delete a table", actions).await;
        self.0.tables.schemas.remove(&table.prefix);
        done.map_err(changed)
    }

    /// Up to `limit` tables (at least one is asked for) behind `cursor`, oldest first; with `search`, those alone whose name
    /// has it as a part, whatever the case. A table that is there all the while is on exactly one of the pages.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn list_tables(
        &self,
        search: Option<&str>,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Arc<TableSchema>>, CatalogError> {
        let filter = search.filter(|search| !search.is_empty()).map(name_contains);
        let read = |item: &Item| Ok((self.schema_of(item)?, table_item::prefix(item)?.to_string()));
        self.page("list tables", table_item::PK, filter, limit, cursor, read).await
    }

    /// The table of `item`, compiled once per version.
    fn schema_of(&self, item: &Item) -> Result<Arc<TableSchema>, StoreError> {
        let table = table_item::read(item)?;
        match self.0.tables.schemas.last(&table.prefix) {
            Some(known) if *known.table() == table => Ok(known),
            _ => {
                let schema = TableSchema::compile(table);
                let schema =
                    schema.map_err(|_| Reader(item).fault("definition", "is not sound by our rules"));
                Ok(Arc::new(schema?))
            }
        }
    }
}

fn compiled(table: Table) -> Result<Arc<TableSchema>, CatalogError> {
    TableSchema::compile(table).map(Arc::new).map_err(CatalogError::Unfit)
}

fn put(table: &Table, condition: Expression) -> Result<Action, CatalogError> {
    let item = table_item::write(table);
    let bytes = item.get("definition").and_then(|text| text.as_s().ok()).map_or(0, String::len);
    if bytes > table_item::MAX_DEFINITION_BYTES {
        let most = table_item::MAX_DEFINITION_BYTES;
        let message = format!("a table's definition may have {most} bytes in all, and this one has {bytes}");
        return Err(CatalogError::Unfit(Faults::from(Fault::new("", "too-large", message))));
    }
    Ok(Action::Put(item, Some(condition)))
}

fn take_name(table: &Table) -> Action {
    let item = Writer::new(NAME_PK, table.api_name.as_str()).set("table", text(table.prefix)).done();
    Action::Put(item, Some(Expression::absent()))
}

fn free_name(table: &Table) -> Action {
    let condition = Expression::new("attribute_not_exists(pk) OR #table = :table")
        .name("#table", "table")
        .value(":table", text(table.prefix));
    Action::Delete { pk: NAME_PK.to_owned(), sk: table.api_name.to_string(), condition }
}

/// Where a name is taken, that is the first action; the others stand on the table itself and on what comes with it.
fn taken(undone: Undone, takes_name: bool) -> CatalogError {
    match undone {
        Undone::Conditions(places) if takes_name && places == [0] => CatalogError::Taken { field: "apiName" },
        undone => changed(undone),
    }
}

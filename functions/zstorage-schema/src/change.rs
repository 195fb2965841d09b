//! Finding a table and changing its design: read, edit, compile, save; a lost race is run again.

use std::sync::Arc;

use api::{Caller, IfMatch, Kind, Problem};
use domain::{
    ApiName, Fault, Faults, FieldKind, Job, JobId, JobKind, Names, Scope, Table, TableSchema, TableState,
};
use jiff::{SignedDuration, Timestamp};
use queue::SendError;
use serde_json::{Value, json};
use zstorage::{CatalogError, OpenTable, SealError};

use crate::SchemaState;
use crate::design::{Edit, Lookups};
use crate::documents::{self, QueueNames, TableNames};

/// A lost race is run again at most so often.
pub(crate) const TRIES: usize = 5;

/// A process knows a table as it was at most so long ago, seconds: the catalog's cache.
const CACHED_SECS: u32 = 10;

/// The code of a name that another part of the table has.
const TAKEN: &str = "taken";

/// The code of a strict link beside another one.
const SECOND_STRICT: &str = "second-strict";

/// What makes a scope of a table's name.
pub(crate) type TableScope = fn(Names<ApiName>) -> Scope;

impl SchemaState {
    /// The table of this name as it is stored now, if the caller has the right of `scope` to it.
    pub(crate) async fn table(
        &self,
        caller: &Caller,
        name: &str,
        scope: TableScope,
    ) -> Result<Arc<TableSchema>, Problem> {
        let unknown = |asked: &Scope| caller.unknown(asked, "table of this name");
        let name = ApiName::parse(name).map_err(|_no_name| unknown(&scope(Names::Any)))?;
        let asked = scope(Names::One(name.clone()));
        caller.require(&asked)?;
        let Some(known) = self.catalog.table_by_name(&name).await? else { return Err(unknown(&asked)) };
        let fresh = self.catalog.fresh_table(known.table().prefix).await?;
        fresh.filter(|fresh| fresh.table().api_name == name).ok_or_else(|| unknown(&asked))
    }

    /// What the tables are called that `table` looks up.
    pub(crate) async fn names(&self, table: &Table) -> Result<TableNames, Problem> {
        let mut names = TableNames::new();
        for field in &table.fields {
            if let FieldKind::Lookup { table: prefix } = &field.kind
                && !names.contains_key(prefix)
                && let Some(found) = self.catalog.table_by_prefix(*prefix).await?
            {
                names.insert(*prefix, found.table().api_name.clone());
            }
        }
        Ok(names)
    }

    /// What the queues are called that links of `table` point to.
    pub(crate) async fn queue_names(&self, table: &Table) -> Result<QueueNames, Problem> {
        let mut names = QueueNames::new();
        for link in &table.links {
            if !names.contains_key(&link.queue)
                && let Some(queue) = self.catalog.queue_by_id(link.queue).await?
            {
                names.insert(queue.id, queue.name.clone());
            }
        }
        Ok(names)
    }

    /// The tables of these names that are there, each of which the caller must have the right to see.
    pub(crate) async fn lookups<'n>(
        &self,
        caller: &Caller,
        names: impl Iterator<Item = &'n ApiName>,
    ) -> Result<Lookups, Problem> {
        let mut lookups = Lookups::new();
        for name in names {
            if lookups.contains_key(name) {
                continue;
            }
            caller.require(&Scope::table_read(name))?;
            let Some(known) = self.catalog.table_by_name(name).await? else { continue };
            let fresh = self.catalog.fresh_table(known.table().prefix).await?;
            // Whoever looked up a table that goes could soon not be written any more.
            if let Some(found) = fresh.filter(|fresh| fresh.table().state == TableState::Ready) {
                lookups.insert(name.clone(), found.table().prefix);
            }
        }
        Ok(lookups)
    }

    /// The table with its keys, so that its records can be read.
    pub(crate) async fn open(&self, schema: Arc<TableSchema>) -> Result<OpenTable, Problem> {
        let keys = self.keys.of(schema.table()).await.map_err(|error| of_sealer(&error))?;
        Ok(OpenTable { schema, keys, queues: Arc::default() })
    }

    /// The table's document, with the names of what it looks up.
    pub(crate) async fn document(&self, table: &Table) -> Result<Value, Problem> {
        Ok(documents::of_table(table, &self.names(table).await?, &self.queue_names(table).await?))
    }

    /// The document of a table that was changed just now; it says when every process knows the change.
    pub(crate) async fn changed_document(&self, table: &Table) -> Result<Value, Problem> {
        let mut document = self.document(table).await?;
        document["active-from"] = json!(self.active_from(table.updated_at).to_string());
        Ok(document)
    }

    /// When every process knows what was saved at `saved_at`.
    pub(crate) fn active_from(&self, saved_at: Timestamp) -> Timestamp {
        // Where jobs need not wait for caches, there is one process, and it knows already.
        let secs = CACHED_SECS.min(self.job_delay_secs);
        saved_at.checked_add(SignedDuration::from_secs(secs.into())).unwrap_or(saved_at)
    }

    /// Changes the design of the table `name`, if it has the version of `if_match`, by `edit`, which is given the table as it is,
    /// what its lookups' tables are called, and the id that a job would have.
    pub(crate) async fn change(
        &self,
        caller: &Caller,
        name: &str,
        if_match: &IfMatch,
        edit: impl Fn(&Table, &TableNames, JobId) -> Result<Edit, Problem>,
    ) -> Result<Arc<TableSchema>, Problem> {
        let id = JobId::new(self.clock.now(), &mut rand::rng());
        let mut rung = false;
        for _ in 0..TRIES {
            let schema = self.table(caller, name, Scope::TableWrite).await?;
            let table = schema.table();
            if table.state == TableState::Deleting {
                return Err(Problem::new(Kind::Conflict, "the table is being deleted"));
            }
            if_match.require(table.version)?;
            let mut edit = if_match.beside(edit(table, &self.names(table).await?, id))?;
            if edit.table == *table && edit.faults.is_empty() {
                return Ok(schema);
            }
            edit.table.updated_at = self.clock.now();
            sound(&edit)?;
            let saved = match (edit.build, edit.queue) {
                (None, None) => self.catalog.update_table(table, &edit.table).await,
                (None, Some(queue)) => self.catalog.update_table_with_queue(table, &edit.table, queue).await,
                (Some(index), _) => {
                    let kind = JobKind::BuildIndex { table: table.prefix, index };
                    if !rung {
                        self.ring(id).await?;
                        rung = true;
                    }
                    let job = Job::new(id, kind, self.clock.now());
                    self.catalog.update_table_with_job(table, &edit.table, &self.jobs, &job).await
                }
            };
            match saved {
                Err(CatalogError::Conflict) => {}
                saved => return Ok(saved?),
            }
        }
        Err(CatalogError::Conflict.into())
    }

    /// Marks the table as being deleted, and starts the job `id` that removes what is in it, and then the table.
    pub(crate) async fn drop_table(&self, table: &Table, id: JobId) -> Result<Job, CatalogError> {
        let job = Job::new(id, JobKind::DropTable { table: table.prefix }, self.clock.now());
        let deleting = Table { state: TableState::Deleting, updated_at: self.clock.now(), ..table.clone() };
        self.catalog.update_table_with_job(table, &deleting, &self.jobs, &job).await?;
        Ok(job)
    }

    /// Sends a job's first message. It comes before the job is saved, so that no job is ever without one.
    pub(crate) async fn ring(&self, job: JobId) -> Result<(), Problem> {
        self.jobs_queue.ring(job, 0, self.job_delay_secs).await.map_err(|error: SendError| {
            tracing::error!(job.id = %job, %error, "A job could not be put on its queue.");
            let detail =
                "the queue of jobs does not take the job this needs, so nothing was changed; try again";
            Problem::new(Kind::Unavailable, detail).retry_after(5)
        })
    }
}

/// What is told when a table's key cannot be made or opened.
pub(crate) fn of_sealer(error: &SealError) -> Problem {
    tracing::error!(%error, "A table's key could not be made or opened.");
    Problem::new(Kind::Unavailable, "the table's key cannot be made or opened at the moment; try again")
        .retry_after(5)
}

/// Whether what `edit` says compiles; every fault that it has.
fn sound(edit: &Edit) -> Result<(), Problem> {
    let compiled = TableSchema::compile(edit.table.clone());
    let mut faults = edit.faults.clone();
    faults.0.extend(compiled.err().map(|found| within(found, &edit.part).0).into_iter().flatten());
    match faults.0.iter().all(|fault| fault.code == SECOND_STRICT) {
        true if faults.is_empty() => Ok(()),
        true => Err(of_second_strict(faults)),
        false => Err(faults.into()),
    }
}

/// Faults as the caller sees them who gave one part of a table: that part's path is left away; an empty part is the whole.
fn within(faults: Faults, part: &str) -> Faults {
    let Some((list, _)) = part.split_once('/') else { return faults };
    let inner = |fault: Fault| {
        let rest = fault.path.strip_prefix(part).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        // Where two parts cannot stand together, the one that was there is not at fault, though it may come later.
        let in_others_way = [TAKEN, SECOND_STRICT].contains(&fault.code);
        let of_other = || fault.path.strip_prefix(list)?.strip_prefix('/')?.split_once('/');
        let path = match (rest, in_others_way) {
            (Some(rest), _) => rest.strip_prefix('/').unwrap_or_default().to_owned(),
            (None, true) => of_other().map_or_else(|| fault.path.clone(), |(_, rest)| rest.to_owned()),
            (None, false) => fault.path.clone(),
        };
        Fault { path, ..fault }
    };
    Faults(faults.0.into_iter().map(inner).collect())
}

/// What is told of links of which two would be strict at once.
fn of_second_strict(faults: Faults) -> Problem {
    let detail = "an enabled strict link of this table is on the same operation already, and a write waits for one queue alone";
    let told = |fault: Fault| Fault { message: detail.to_owned(), ..fault };
    faults.0.into_iter().map(told).fold(Problem::new(Kind::Conflict, detail), Problem::with_fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_from_the_part_that_was_given() {
        let check = |path: &str, code: &'static str, part: &str, expect: &str| {
            let told = within(Fault::new(path, code, "m").into(), part);
            assert_eq!(told.0[0].path, expect, "{path} {part}");
        };
        check("fields/1/min", "min", "fields/1", "min");
        check("fields/1", "number", "fields/1", "");
        check("fields/10/min", "min", "fields/1", "fields/10/min");
        check("rules/0/expression", "expression", "fields/1", "rules/0/expression");
        check("fields/3/apiName", "taken", "fields/1", "apiName");
        check("rules/3/name", "taken", "fields/1", "rules/3/name");
        check("links/2/mode", "second-strict", "links/0", "mode");
        check("fields/3/apiName", "taken", "", "fields/3/apiName");
    }
}

use std::sync::Arc;

use domain::{ApiName, Fault, Names, RecordId, Scope, TableSchema};
use zstorage::{Catalog, DataKeys, OpenTable};

use crate::{Caller, Kind, Problem};

/// What makes a scope of a table's name, such as [`Scope::RecordWrite`].
pub type TableScope = fn(Names<ApiName>) -> Scope;

/// Where requests about records find the tables that they name. A key learns of no table that it has no right to.
#[derive(Clone)]
pub struct Tables {
    catalog: Catalog,
    keys: DataKeys,
}

impl Tables {
    /// Tables as the catalog knows them, opened with `keys`.
    pub fn new(catalog: Catalog, keys: DataKeys) -> Tables {
        Tables { catalog, keys }
    }

    /// The table of this name, if `caller` has the right of `scope` to it.
    ///
    /// # Errors
    /// 403 without the right, 404 where the right covers every table; 503 from the store.
    pub async fn named(&self, caller: &Caller, name: &str, scope: TableScope) -> Result<OpenTable, Problem> {
        let unknown = |asked: &Scope| {
            let problem = caller.unknown(asked, "table of this name");
            let fault = || Fault::new("apiName", "unknown-table", "there is no table of this name");
            if problem.kind() == Kind::NotFound { problem.with_fault(fault()) } else { problem }
        };
        let name = ApiName::parse(name).map_err(|_no_name| unknown(&scope(Names::Any)))?;
        let asked = scope(Names::One(name.clone()));
        caller.require(&asked)?;
        let schema = self.catalog.table_by_name(&name).await?.ok_or_else(|| unknown(&asked))?;
        self.open(schema).await
    }

    /// The record's id and its table, if `caller` has the right of `scope` to it. Whether the record is there is not asked.
    ///
    /// # Errors
    /// As [`Tables::named`].
    pub async fn of_record(
        &self,
        caller: &Caller,
        id: &str,
        scope: TableScope,
    ) -> Result<(OpenTable, RecordId), Problem> {
        let found = match id.parse::<RecordId>() {
            Ok(id) => self.catalog.table_by_prefix(id.table()).await?.map(|schema| (schema, id)),
            Err(_no_id_of_ours) => None,
        };
        // One answer for a table that is not there and one that is another's: ids can be made up, and would tell its name.
        let may =
            |table: &TableSchema| caller.scopes.cover(&scope(Names::One(table.table().api_name.clone())));
        let found = found.filter(|(schema, _)| may(schema));
        let (schema, id) = found.ok_or_else(|| caller.unknown(&scope(Names::Any), "record of this id"))?;
        Ok((self.open(schema).await?, id))
    }

    async fn open(&self, schema: Arc<TableSchema>) -> Result<OpenTable, Problem> {
        let keys = self.keys.of(schema.table()).await.map_err(|error| {
            tracing::error!(error.message = domain::causes(&error), table.name = %schema.table().api_name, "The data key of a table could not be opened.");
            Problem::new(Kind::Unavailable, "the key of this table cannot be opened now; try again").retry_after(5)
        })?;
        Ok(OpenTable { schema, keys, queues: Arc::default() })
    }
}

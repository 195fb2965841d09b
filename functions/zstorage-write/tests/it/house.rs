use axum::Router;
use zstorage::Records;
use zstorage_write::WriteState;

use crate::store::{Answer, call};
use crate::tables::Tables;

/// `zstorage-write` with all that it stands on.
pub(crate) struct House {
    pub(crate) tables: Tables,
    pub(crate) served: Router,
    pub(crate) key: String,
}

impl House {
    pub(crate) async fn start() -> House {
        let tables = Tables::start().await;
        let records = tables.records.clone();
        House::over(tables, records).await
    }

    /// With other records than those of its tables: some out of reach, say.
    pub(crate) async fn over(tables: Tables, records: Records) -> House {
        let state = WriteState { tables: tables.tables.clone(), records };
        let keys = api::Keys::new(tables.store.catalog.clone(), tables.store.clock.clone());
        let key = tables.store.key(&["*"]).await;
        House { served: api::serve(zstorage_write::router(state), keys), tables, key }
    }

    pub(crate) async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        call(&self.served, &self.key, line, headers, body.as_bytes()).await
    }

    /// Asks with a key of these scopes.
    pub(crate) async fn ask_as(&self, scopes: &[&str], line: &str, body: &str) -> Answer {
        let key = self.tables.store.key(scopes).await;
        call(&self.served, &key, line, &[], body.as_bytes()).await
    }
}

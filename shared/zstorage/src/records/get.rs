use domain::{Record, RecordId};

use super::item::{key_of, record_of};
use super::{OpenTable, Records};
use crate::StoreError;

impl Records {
    /// The record with this id, strongly consistent: one call, and what was written a moment ago is seen. An id of another
    /// table is nobody's here.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn get(&self, open: &OpenTable, id: RecordId) -> Result<Option<Record>, StoreError> {
        if id.table() != open.schema.table().prefix {
            return Ok(None);
        }
        let (pk, sk) = key_of(id);
        let item = self.table.get("read a record", &pk, &sk).await?;
        item.map(|item| record_of(open, &item)).transpose()
    }
}

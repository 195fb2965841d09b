//! Stray guards: their holder is gone, or has other values by now. For as long as its catalog is cached, a process writes records by
//! the design that their table had, so without the guards of an index that was made since.

use domain::{Index, RecordId};

use super::guard::{self, guard_of};
use super::item::{at_version, key_of, record_of};
use super::{OpenTable, Records};
use crate::StoreError;
use crate::table::{Action, Expression};

/// A guard's holder that has not what it guards, as it was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stray {
    pub(super) holder: RecordId,
    /// The holder's version; `None` = it is gone.
    pub(super) version: Option<u64>,
}

/// Who has what a guard guards.
pub(super) enum Held {
    /// The guard is free.
    Free,
    /// This record.
    By(RecordId),
    /// None that the guard names.
    Stray(Stray),
}

impl Stray {
    /// The holder is as it was seen: then whoever needs the guard may take it.
    pub(super) fn check(self) -> Action {
        let (pk, sk) = key_of(self.holder);
        let condition = self.version.map_or_else(Expression::absent, at_version);
        Action::Check { pk, sk, condition }
    }
}

impl Records {
    /// Who holds `guard` of `index`, and whether by right.
    pub(super) async fn held(
        &self,
        open: &OpenTable,
        index: &Index,
        guard: &str,
    ) -> Result<Held, StoreError> {
        const OPERATION: &str = "read who has a unique value";
        let Some(item) = self.table.get(OPERATION, guard, guard::SK).await? else { return Ok(Held::Free) };
        let holder = guard::holder(&item)?;
        let (pk, sk) = key_of(holder);
        let Some(item) = self.table.get(OPERATION, &pk, &sk).await? else {
            return Ok(Held::Stray(Stray { holder, version: None }));
        };
        let record = record_of(open, &item)?;
        match guard_of(open.schema.table(), index, &record.values) {
            Some(own) if own == guard => Ok(Held::By(holder)),
            _ => Ok(Held::Stray(Stray { holder, version: Some(record.version) })),
        }
    }
}

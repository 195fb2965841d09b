//! Stray guards: their holder is gone, or has other values by now. For as long as its catalog is cached, a process writes records by
//! the design that their table had, so without the guards of an index that was made since. A guard that a strict write has taken
//! is none while the write is held, though its holder is not there yet, or as it was.

use domain::{Index, RecordId};

use super::guard::{self, guard_of};
use super::held::{marked_by, unheld_at};
use super::item::{key_of, record_of};
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
    /// A record, once a strict write of it stands, which may still be undone.
    ByHeldWrite,
    /// None that the guard names.
    Stray(Stray),
}

impl Stray {
    /// The holder is as it was seen, and no strict write is about to give it what the guard guards: then whoever needs it may take it.
    pub(super) fn check(self) -> Action {
        let (pk, sk) = key_of(self.holder);
        let condition = self.version.map_or_else(Expression::absent, unheld_at);
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
        // The entry is asked first: what it holds no more, the record read after it has.
        if let Some(entry) = marked_by(&item)?
            && self.is_held(&entry).await?
        {
            return Ok(Held::ByHeldWrite);
        }
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

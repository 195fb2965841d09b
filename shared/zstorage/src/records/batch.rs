use futures::stream::{self, StreamExt};

use super::row::RowKey;
use super::write::Answers;
use super::{By, Change, Records, WriteError};

/// Operations of a batch that is not atomic done at once.
const AT_ONCE: usize = 8;

impl Records {
    /// Does many changes. Atomic: all in one transaction, or none; then each that stood in the way has its reason and each other
    /// [`WriteError::Undone`]. Not atomic: each in a transaction of its own, several at once and in no order; one that fails
    /// keeps no other from being done. The idempotency key is for the whole batch; of one that is not atomic each operation
    /// has its own share of it, too: repeated, the batch goes on where it was cut off.
    ///
    /// # Errors
    /// [`WriteError::OtherBody`], and then nothing of it was done; [`WriteError::Store`]. For an atomic batch what else is true of
    /// it as a whole: [`WriteError::TooMany`], [`WriteError::TooLarge`], [`WriteError::Contended`].
    pub async fn batch(&self, changes: Vec<Change>, atomic: bool, by: &By) -> Result<Answers, WriteError> {
        if atomic {
            return match changes.is_empty() {
                true => Ok(Vec::new()),
                false => self.commit(&changes, RowKey::of(by, None).as_ref()).await,
            };
        }
        if let Some(row) = RowKey::of(by, None)
            && !changes.is_empty()
        {
            self.claim(&row).await?;
        }
        let one = async |(operation, change): (usize, Change)| {
            let row = RowKey::of(by, Some(operation));
            let mut answers = self.commit(&[change], row.as_ref()).await?;
            answers.pop().expect("one change has one answer")
        };
        Ok(stream::iter(changes.into_iter().enumerate()).map(one).buffered(AT_ONCE).collect().await)
    }
}

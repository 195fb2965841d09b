use std::collections::HashMap;

use futures::stream::{self, StreamExt};

use super::links::strict_faults;
use super::row::RowKey;
use super::write::Answers;
use super::{By, Change, Records, WriteError, Written};

/// Operations of a batch that is not atomic done at once.
const AT_ONCE: usize = 8;

impl Records {
    /// Does many changes. Atomic: all in one transaction, or none; then each that stood in the way has its reason and each other
    /// [`WriteError::Undone`]. Not atomic: each in a transaction of its own, those on one record in their order, else several at
    /// once and in no order; one that fails keeps no other from being done. The idempotency key is for the whole batch; of one that is not atomic each operation
    /// has its own share of it, too: repeated, the batch goes on where it was cut off. An atomic batch cannot wait for a queue:
    /// operations that a strict link is asked at are [`WriteError::Invalid`]. Of one that is not atomic each is held for itself.
    ///
    /// # Errors
    /// [`WriteError::OtherBody`], and then nothing of it was done; [`WriteError::Store`]. For an atomic batch what else is true of
    /// it as a whole: [`WriteError::TooMany`], [`WriteError::TooLarge`], [`WriteError::Contended`].
    pub async fn batch(&self, changes: Vec<Change>, atomic: bool, by: &By) -> Result<Answers, WriteError> {
        if atomic {
            if changes.is_empty() {
                return Ok(Vec::new());
            }
            let (row, strict) = (RowKey::of(by, None), strict_faults(&changes));
            return match strict.is_empty() {
                true => self.commit(&changes, row.as_ref(), by.depth).await,
                false => self.refused(&changes, row.as_ref(), strict).await,
            };
        }
        self.each(changes.into_iter().enumerate().collect(), by).await
    }

    /// A batch that is not atomic of which some operations are not tried: each of `changes` with its place among all of them.
    /// By its place it finds its share of the idempotency key, whatever was wrong with others this time or the last. Answers
    /// stand in the order of the places.
    ///
    /// # Errors
    /// As [`Records::batch`].
    pub async fn each(&self, changes: Vec<(usize, Change)>, by: &By) -> Result<Answers, WriteError> {
        if let Some(row) = RowKey::of(by, None)
            && !changes.is_empty()
        {
            self.claim(&row).await?;
        }
        let in_turn = async |changes: Vec<(usize, Change)>| {
            let mut answers = Vec::with_capacity(changes.len());
            for (operation, change) in changes {
                answers.push((operation, self.share(operation, change, by).await));
            }
            answers
        };
        let all = stream::iter(by_record(changes)).map(in_turn).buffer_unordered(AT_ONCE);
        let mut answers: Vec<_> = all.concat().await;
        answers.sort_by_key(|(operation, _)| *operation);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// Does one operation of a batch, under its own share of the idempotency key.
    async fn share(&self, operation: usize, change: Change, by: &By) -> Result<Written, WriteError> {
        let row = RowKey::of(by, Some(operation));
        let mut answers = self.commit(&[change], row.as_ref(), by.depth).await?;
        answers.pop().expect("one change has one answer")
    }
}

/// The operations, each with its place, those on one record together: at once they would only be in each other's way.
fn by_record(changes: Vec<(usize, Change)>) -> Vec<Vec<(usize, Change)>> {
    let mut all: Vec<Vec<(usize, Change)>> = Vec::new();
    let mut places = HashMap::new();
    for (operation, change) in changes {
        let next = all.len();
        let place = change.id().map_or(next, |id| *places.entry(id).or_insert(next));
        if place == next {
            all.push(Vec::new());
        }
        all[place].push((operation, change));
    }
    all
}

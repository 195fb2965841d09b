//! Held entries: what a strict link waits with. They change in one transaction with their records, so here are actions. Each
//! list begins with the entry's own item, whose condition alone tells whether the entry still is as it was seen.

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::{EntryKey, EntryState, OutboxEntry, TablePrefix};

use super::Outbox;
use super::change::as_seen;
use super::due::{OutboxGroup, PAGE, Row};
use super::item::{keys, part_sk};
use crate::StoreError;
use crate::parts::parts;
use crate::table::{Action, Expression};

impl Outbox {
    /// The held entries of a table, by the index. It lags a little: one that was stored or settled a moment ago may be missing
    /// or there.
    ///
    /// # Errors
    /// The store's alone.
    pub(crate) async fn held_keys(&self, table: TablePrefix) -> Result<Vec<EntryKey>, StoreError> {
        let mut held = Vec::new();
        for shard in 0..Outbox::SHARDS {
            let mut after = None;
            loop {
                let (rows, last) = self.rows(OutboxGroup::Due, shard, None, after.as_ref(), PAGE).await?;
                let is_of = |key: &EntryKey| key.record().is_some_and(|record| record.table() == table);
                let keys = rows.into_iter().filter(|row| row.state == EntryState::Held).map(Row::key);
                held.extend(keys.filter(is_of));
                after = last;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(held)
    }

    /// The held entry is published: its record stands now. With a fence, only while that lease stands.
    pub(crate) fn publish_held(
        &self,
        held: &OutboxEntry,
        engine_id: Option<&str>,
        fence: Option<u64>,
    ) -> Vec<TransactWriteItem> {
        let (change, condition) =
            (self.publishing(held, engine_id), as_seen(held, &[EntryState::Held], fence));
        let actions = self.closing(&held.key, parts(&held.body).len(), change, condition);
        actions.into_iter().map(|action| self.table.wire(action)).collect()
    }

    /// The held entry is given up for `reason`: its record stands now, its message is a letter. With a fence, only while that
    /// lease stands.
    pub(crate) fn park_held(
        &self,
        held: &OutboxEntry,
        reason: &str,
        fence: Option<u64>,
    ) -> Vec<TransactWriteItem> {
        let (change, condition) = (self.parking(held, reason), as_seen(held, &[EntryState::Held], fence));
        // Parked is not done with: no part is cleaned away.
        let actions = self.closing(&held.key, 0, change, condition);
        actions.into_iter().map(|action| self.table.wire(action)).collect()
    }

    /// The held entry is taken back, which only works while nobody ever leased it: no message of it can be on its way. It
    /// leaves nothing, for the record's next write has the same version, and so the same key.
    pub(crate) fn remove_held(&self, held: &OutboxEntry) -> Vec<TransactWriteItem> {
        let (pk, sk) = keys(&held.key);
        let part =
            |at| Action::Delete { pk: pk.clone(), sk: part_sk(&sk, at), condition: Expression::present() };
        let parts: Vec<Action> = (0..parts(&held.body).len()).map(part).collect();
        let condition = as_seen(held, &[EntryState::Held], Some(0));
        let head = Action::Delete { pk, sk, condition };
        std::iter::once(head).chain(parts).map(|action| self.table.wire(action)).collect()
    }
}

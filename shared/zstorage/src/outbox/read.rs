use std::collections::HashMap;

use domain::{EntryKey, EntryState, MessageId, OutboxEntry};

use super::Outbox;
use super::item::{self, Head, keys, part_sk, sk_of};
use crate::StoreError;
use crate::item::{Item, Reader, key, text};

/// The last version that has a place.
const LAST_VERSION: u64 = 999_999_999_999;

impl Outbox {
    /// The entry of this key with its body, as it is now.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn entry(&self, key: &EntryKey) -> Result<Option<OutboxEntry>, StoreError> {
        match self.head(key).await? {
            Some(head) => self.whole(head).await,
            None => Ok(None),
        }
    }

    /// The entry of this key as [`Outbox::entry`] gives it, and the state of the one before it, of the same record and link:
    /// both of one moment. Before a scheduled message there is none.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn with_predecessor(
        &self,
        key: &EntryKey,
    ) -> Result<(Option<OutboxEntry>, Option<EntryState>), StoreError> {
        let EntryKey::Link { link, version, .. } = key else { return Ok((self.entry(key).await?, None)) };
        let items = self.neighbours(key, (sk_of(*link, 0), sk_of(*link, *version)), true, 2).await?;
        let mut heads = Vec::new();
        for item in &items {
            heads.push(item::read(item)?);
        }
        let own = heads.iter().position(|head| head.entry.key == *key).map(|at| heads.remove(at));
        let before = heads.first().map(|head| head.entry.state);
        let own = match own {
            Some(head) => self.whole(head).await?,
            None => None,
        };
        Ok((own, before))
    }

    /// The next entry of the same record and link, if there is one by now. None comes behind a scheduled message.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn successor(&self, key: &EntryKey) -> Result<Option<OutboxEntry>, StoreError> {
        match self.head_behind(key).await? {
            Some(head) => self.whole(head).await,
            None => Ok(None),
        }
    }

    /// The entry before this one, of the same record and link, **with an empty body** where that lies in parts.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn predecessor(&self, key: &EntryKey) -> Result<Option<OutboxEntry>, StoreError> {
        let EntryKey::Link { link, version, .. } = key else { return Ok(None) };
        let range = (sk_of(*link, 0), sk_of(*link, version.saturating_sub(1)));
        let items = self.neighbours(key, range, true, 1).await?;
        Ok(items.first().map(item::read).transpose()?.map(|head| head.entry))
    }

    pub(super) async fn head(&self, key: &EntryKey) -> Result<Option<Head>, StoreError> {
        let (pk, sk) = keys(key);
        let item = self.table.get("read an outbox entry", &pk, &sk).await?;
        item.as_ref().map(item::read).transpose()
    }

    /// Whose message the entry of this key is, and its state.
    pub(crate) async fn state_of(
        &self,
        key: &EntryKey,
    ) -> Result<Option<(MessageId, EntryState)>, StoreError> {
        Ok(self.head(key).await?.map(|head| (head.entry.message_id, head.entry.state)))
    }

    pub(super) async fn head_behind(&self, key: &EntryKey) -> Result<Option<Head>, StoreError> {
        let EntryKey::Link { link, version, .. } = key else { return Ok(None) };
        let range = (sk_of(*link, version.saturating_add(1)), sk_of(*link, LAST_VERSION));
        let items = self.neighbours(key, range, false, 1).await?;
        items.first().map(item::read).transpose()
    }

    /// Up to `limit` items of the partition of `key` with sort keys in `range`, both ends included, in one consistent read.
    async fn neighbours(
        &self,
        key: &EntryKey,
        range: (String, String),
        backwards: bool,
        limit: i32,
    ) -> Result<Vec<Item>, StoreError> {
        let call = self
            .table
            .client
            .query()
            .table_name(&self.table.name)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(keys(key).0))
            .expression_attribute_values(":from", text(range.0))
            .expression_attribute_values(":to", text(range.1))
            .scan_index_forward(!backwards)
            .consistent_read(true)
            .limit(limit);
        let answer = call.send().await;
        let answer = answer.map_err(|error| StoreError::from_call("read entries of a record", error))?;
        Ok(answer.items.unwrap_or_default())
    }

    /// The entry with its body. `None` = its parts are being cleaned away, some first: its time to live is over.
    pub(super) async fn whole(&self, head: Head) -> Result<Option<OutboxEntry>, StoreError> {
        let Head { mut entry, parts } = head;
        if parts == 0 {
            return Ok(Some(entry));
        }
        let (pk, sk) = keys(&entry.key);
        let sks: Vec<String> = (0..parts).map(|at| part_sk(&sk, at)).collect();
        let wanted = sks.iter().map(|sk| key(&pk, sk)).collect();
        let items = self.table.get_all("read the body of an outbox entry", wanted, None).await?;
        let mut texts = HashMap::new();
        for item in &items {
            let reader = Reader(item);
            texts.insert(reader.text("sk")?, reader.text("part")?);
        }
        let body: Option<Vec<&str>> = sks.iter().map(|sk| texts.get(sk.as_str()).copied()).collect();
        match body {
            Some(body) => {
                entry.body = body.concat();
                Ok(Some(entry))
            }
            None if entry.state.lets_others_pass() => Ok(None),
            None => Err(lacks_a_part(&entry.key)),
        }
    }
}

/// A body that is not whole.
pub(super) fn lacks_a_part(key: &EntryKey) -> StoreError {
    let (pk, sk) = keys(key);
    StoreError::Item { item: format!("{pk} / {sk}"), fault: "body lacks a part".to_owned() }
}

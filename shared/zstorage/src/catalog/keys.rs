use std::sync::Arc;

use domain::{ApiKey, KeyId};

use super::{Catalog, CatalogError, changed, key_item};
use crate::item::bytes;
use crate::table::{Action, Expression};
use crate::{Cursor, Page};

impl Catalog {
    /// Stores a new key.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] if its id is there already; the store's.
    pub async fn create_key(&self, key: &ApiKey) -> Result<(), CatalogError> {
        let action = Action::Put(key_item::write(key), Some(Expression::absent()));
        self.0.table.transact("create a key", vec![action]).await.map_err(changed)?;
        self.hold_key(Arc::new(key.clone()));
        Ok(())
    }

    /// The key with this id, known as it was at most 60 s ago. Revoked and ended ones are answered, too:
    /// [`ApiKey::opens`] judges.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn key(&self, id: KeyId) -> Result<Option<Arc<ApiKey>>, CatalogError> {
        match self.0.keys.get(&id, self.0.clock.now()) {
            Some(key) => Ok(Some(key)),
            None => self.fresh_key(id).await,
        }
    }

    /// The key with this id as it is now, past the cache: the one to change.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn fresh_key(&self, id: KeyId) -> Result<Option<Arc<ApiKey>>, CatalogError> {
        let Some(item) = self.0.table.get("read a key", key_item::PK, &id.to_string()).await? else {
            self.0.keys.remove(&id);
            return Ok(None);
        };
        let key = Arc::new(key_item::read(&item)?);
        self.hold_key(key.clone());
        Ok(Some(key))
    }

    /// Up to `limit` keys (at least one is asked for) behind `cursor`, oldest first, each on exactly one of the pages.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn list_keys(
        &self,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<ApiKey>, CatalogError> {
        let read = |item: &_| Ok((key_item::read(item)?, key_item::id(item)?.to_string()));
        self.page("list keys", key_item::PK, None, limit, cursor, read).await
    }

    /// Changes the key `old` to `new`, if it is still as `old` says; its id stays. This process knows it at once, others
    /// within 60 s.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`]; the store's.
    pub async fn update_key(&self, old: &ApiKey, new: &ApiKey) -> Result<(), CatalogError> {
        self.change_key(old, new, None).await
    }

    /// As [`Catalog::update_key`], if besides the key `beside` is still as it says: for a change that is right only while
    /// another key stands.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when either has changed; the store's.
    pub async fn update_key_beside(
        &self,
        old: &ApiKey,
        new: &ApiKey,
        beside: &ApiKey,
    ) -> Result<(), CatalogError> {
        self.change_key(old, new, Some(beside)).await
    }

    async fn change_key(
        &self,
        old: &ApiKey,
        new: &ApiKey,
        beside: Option<&ApiKey>,
    ) -> Result<(), CatalogError> {
        let unchanged = |key: &ApiKey| {
            Expression::new("#fingerprint = :fingerprint")
                .name("#fingerprint", key_item::FINGERPRINT)
                .value(":fingerprint", bytes(&key_item::fingerprint(key)))
        };
        let stored = ApiKey { id: old.id, ..new.clone() };
        let mut actions = vec![Action::Put(key_item::write(&stored), Some(unchanged(old)))];
        actions.extend(beside.map(|key| Action::Check {
            pk: key_item::PK.to_owned(),
            sk: key.id.to_string(),
            condition: unchanged(key),
        }));
        let done = self.0.table.transact("change a key", actions).await;
        self.0.keys.remove(&old.id);
        done.map_err(changed)?;
        self.hold_key(Arc::new(stored));
        Ok(())
    }

    /// Remembers what was just read or written. A key that is known to be revoked is not opened again by a slow reader.
    fn hold_key(&self, key: Arc<ApiKey>) {
        let open = key.revoked_at.is_none();
        self.0.keys.put(key.id, key, self.0.clock.now(), |held| open && held.revoked_at.is_some());
    }
}

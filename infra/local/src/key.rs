//! API keys made without the API: the first one of a house or a stack.

use domain::{ApiKey, ApiKeyText, KeyId, KeySecret, Scopes, Secret};
use jiff::Timestamp;
use zstorage::{Catalog, CatalogError};

/// Makes a key, of which only a hash is kept, and answers its text, to be shown once.
pub(crate) async fn create(
    catalog: &Catalog,
    label: &str,
    scopes: Scopes,
    now: Timestamp,
) -> Result<Secret, CatalogError> {
    let mut random = rand::rng();
    let text = ApiKeyText { id: KeyId::new(now, &mut random), secret: KeySecret::new(&mut random) };
    let key = ApiKey {
        id: text.id,
        label: label.to_owned(),
        scopes,
        secret_hashes: vec![text.secret.hash()],
        created_at: now,
        expires_at: None,
        revoked_at: None,
    };
    catalog.create_key(&key).await?;
    Ok(text.reveal())
}

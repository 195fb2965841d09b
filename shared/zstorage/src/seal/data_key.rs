use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aes_gcm::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use aws_sdk_kms::types::DataKeySpec;
use domain::{FieldId, RecordId, Sealed, Secret, Table, TablePrefix};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Bound, SealError, Sealer, kms_error};

/// The first byte of a sealed text: the form, so that a later one can be told from it.
const FORM: u8 = 1;

const NONCE_BYTES: usize = 12;

/// A table's data key in clear: all its other keys come from it. Wiped when dropped, never shown.
pub struct DataKey(Zeroizing<[u8; 32]>);

/// What a table's data key is for: the key of encrypted text, and the key that cursors are signed with.
pub struct TableKeys {
    encryption: Aes256Gcm,
    cursor: Hmac<Sha256>,
}

/// The keys of tables, each unwrapped once in a process. Cheap to clone; clones share what they know.
#[derive(Clone, Debug)]
pub struct DataKeys {
    sealer: Sealer,
    // A table's data key is made with it and never changes, and prefixes are never given twice: nothing here grows old.
    known: Arc<Mutex<HashMap<TablePrefix, Arc<TableKeys>>>>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

impl fmt::Debug for TableKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TableKeys(..)")
    }
}

impl DataKey {
    /// What `bytes` are the whole of.
    pub(crate) fn of(bytes: &[u8]) -> Result<DataKey, SealError> {
        let key: [u8; 32] = bytes.try_into().map_err(|_| SealError::Closed)?;
        Ok(DataKey(Zeroizing::new(key)))
    }

    /// The keys that come from it.
    pub fn table_keys(&self) -> TableKeys {
        let derive = |purpose: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            Hkdf::<Sha256>::new(None, self.0.as_slice())
                .expand(purpose, key.as_mut_slice())
                .expect("HKDF gives far more than 32 bytes");
            key
        };
        let encryption = derive(b"queuelink encrypted text");
        let cursor = derive(b"queuelink cursor");
        TableKeys {
            encryption: Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(encryption.as_slice())),
            cursor: <Hmac<Sha256> as Mac>::new_from_slice(cursor.as_slice())
                .expect("HMAC takes keys of any length"),
        }
    }
}

impl TableKeys {
    /// Seals the text of one field of one record: it opens at no other place.
    pub(crate) fn seal(&self, record: RecordId, field: FieldId, clear: &Secret) -> Vec<u8> {
        let nonce = Aes256Gcm::generate_nonce(&mut OsRng);
        let place = place(record, field);
        let payload = Payload { msg: clear.expose().as_bytes(), aad: place.as_bytes() };
        let sealed = self.encryption.encrypt(&nonce, payload);
        let sealed = sealed.expect("AES-GCM takes texts far longer than ours");
        [&[FORM], nonce.as_slice(), &sealed].concat()
    }

    /// Opens what was sealed for this place.
    pub(crate) fn open(&self, record: RecordId, field: FieldId, sealed: &[u8]) -> Option<Secret> {
        let (form, rest) = sealed.split_first()?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES)?;
        let place = place(record, field);
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let clear = (*form == FORM).then(|| self.encryption.decrypt(Nonce::from_slice(nonce), payload).ok());
        String::from_utf8(clear.flatten()?).ok().map(Secret::new)
    }

    /// The signature of a cursor.
    pub(crate) fn sign_cursor(&self, bytes: &[u8]) -> [u8; 32] {
        self.cursor.clone().chain_update(bytes).finalize().into_bytes().into()
    }

    /// Whether `signature` is that of `bytes`; how long it takes does not tell how near it is.
    pub(crate) fn is_signature_of(&self, bytes: &[u8], signature: &[u8]) -> bool {
        self.cursor.clone().chain_update(bytes).verify_slice(signature).is_ok()
    }
}

/// Table (in the record's id), record and field.
fn place(record: RecordId, field: FieldId) -> String {
    format!("{record}/{}", field.0)
}

impl Sealer {
    /// A new data key for the table with this prefix: wrapped, as the table keeps it, and in clear.
    ///
    /// # Errors
    /// [`SealError::Kms`].
    pub async fn new_data_key(&self, table: TablePrefix) -> Result<(Sealed, DataKey), SealError> {
        let bound = Bound::table(table);
        match self {
            Sealer::KeyFile(key) => {
                let clear = DataKey(Zeroizing::new(Aes256Gcm::generate_key(OsRng).into()));
                let sealed = key.seal(clear.0.as_slice(), bound.data.as_bytes());
                Ok((Sealed(sealed), clear))
            }
            Sealer::Kms { client, key_id } => {
                let call = client.generate_data_key().key_id(key_id).key_spec(DataKeySpec::Aes256);
                let call = call.set_encryption_context(Some(bound.kms_context()));
                let answer = call.send().await.map_err(|error| kms_error("seal", error))?;
                let sealed = answer.ciphertext_blob.ok_or(SealError::Closed)?.into_inner();
                let clear = Zeroizing::new(answer.plaintext.ok_or(SealError::Closed)?.into_inner());
                Ok((Sealed(sealed), DataKey::of(&clear)?))
            }
        }
    }

    /// The data key of the table with this prefix, unwrapped.
    ///
    /// # Errors
    /// [`SealError::Closed`], [`SealError::Kms`].
    pub async fn open_data_key(&self, table: TablePrefix, sealed: &Sealed) -> Result<DataKey, SealError> {
        DataKey::of(&self.open_bytes(&Bound::table(table), sealed).await?)
    }
}

impl DataKeys {
    /// Keys that `sealer` unwraps.
    pub fn new(sealer: Sealer) -> DataKeys {
        DataKeys { sealer, known: Arc::default() }
    }

    /// The keys of `table`. Costs a call of KMS the first time in a process.
    ///
    /// # Errors
    /// As [`Sealer::open_data_key`].
    pub async fn of(&self, table: &Table) -> Result<Arc<TableKeys>, SealError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&table.prefix).cloned();
        if let Some(keys) = known {
            return Ok(keys);
        }
        let key = self.sealer.open_data_key(table.prefix, &table.data_key).await?;
        let keys = Arc::new(key.table_keys());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(table.prefix, Arc::clone(&keys));
        Ok(keys)
    }
}

mod data_key;
mod key_file;

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use aws_sdk_kms::primitives::Blob;
use domain::{Credentials, OnDemand, PackageName, QueueId, Sealed, Secret, SecretName, TablePrefix};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

pub use data_key::{DataKey, DataKeys, TableKeys};
pub use key_file::KeyFile;

/// KMS encrypts at most this much by itself, bytes.
const MAX_PLAIN_BYTES: usize = 4096;

/// What a seal is bound to: what was sealed for one queue, one table, or as one secret of one package, opens as no other.
struct Bound {
    /// KMS's encryption context. Roles are bound to its keys by the template.
    context: Vec<(&'static str, String)>,
    /// The same for a key file, as bytes that no other binding has.
    data: String,
}

impl Bound {
    fn queue(id: QueueId) -> Bound {
        Bound { context: vec![("queue-id", id.to_string())], data: id.to_string() }
    }

    fn table(prefix: TablePrefix) -> Bound {
        Bound { context: vec![("table", prefix.to_string())], data: format!("table/{prefix}") }
    }

    fn secret(package: &PackageName, name: &SecretName) -> Bound {
        Bound {
            context: vec![("package", package.to_string()), ("secret", name.to_string())],
            data: format!("package#{package}#{name}"),
        }
    }

    fn kms_context(&self) -> HashMap<String, String> {
        self.context.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }
}

/// Seals credentials, so that neither the table nor its backups give them away. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Sealer {
    /// On AWS: by a key that never leaves KMS.
    Kms {
        /// KMS in our region; few requests need it.
        client: OnDemand<aws_sdk_kms::Client>,
        /// Id, ARN or alias of the key.
        key_id: String,
    },
    /// Elsewhere: by a key in a file.
    KeyFile(KeyFile),
}

/// Why credentials could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file is not usable.
    #[error("the key file {path} {fault}")]
    KeyFile {
        /// Where it is.
        path: String,
        /// What is wrong with it, a half sentence.
        fault: String,
        /// What the system said.
        #[source]
        source: Option<std::io::Error>,
    },
    /// User name and password, or a secret, are too long to be sealed.
    #[error("what is sealed may have about {MAX_PLAIN_BYTES} bytes in all, not {bytes}")]
    TooLong {
        /// Their length, bytes.
        bytes: usize,
    },
    /// They were sealed by another key or for another queue or secret, or were tampered with.
    #[error("this does not open: it was sealed by another key or for something else")]
    Closed,
    /// KMS did not do it.
    #[error("KMS did not {operation} what is secret")]
    Kms {
        /// `seal` or `open`.
        operation: &'static str,
        /// Whether the same call may work later.
        retryable: bool,
        /// What the SDK says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl SealError {
    /// Whether the same request may work in a moment.
    pub fn is_retryable(&self) -> bool {
        matches!(self, SealError::Kms { retryable: true, .. })
    }
}

/// What is inside a seal. Wiped when dropped.
#[derive(Serialize, Deserialize)]
struct Plain {
    username: String,
    password: String,
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.username.zeroize();
        self.password.zeroize();
    }
}

impl Sealer {
    /// The key `key_id` (an id, an ARN or an alias) in KMS.
    pub fn kms(client: OnDemand<aws_sdk_kms::Client>, key_id: String) -> Sealer {
        Sealer::Kms { client, key_id }
    }

    /// The key in the file at `path`, which [`Sealer::create_key_file`] made.
    ///
    /// # Errors
    /// [`SealError::KeyFile`] when it is absent, damaged or open to others.
    pub fn from_key_file(path: &Path) -> Result<Sealer, SealError> {
        KeyFile::read(path).map(Sealer::KeyFile)
    }

    /// Makes a new key in a new file at `path` that only its owner may read. A file that is there stays as it is, and
    /// that is an error: a key overwritten is a secret lost.
    ///
    /// # Errors
    /// [`SealError::KeyFile`].
    pub fn create_key_file(path: &Path) -> Result<(), SealError> {
        KeyFile::create(path)
    }

    /// Seals the credentials of `queue`.
    ///
    /// # Errors
    /// [`SealError::TooLong`], [`SealError::Kms`].
    pub async fn seal(&self, queue: QueueId, credentials: &Credentials) -> Result<Sealed, SealError> {
        let plain = Plain {
            username: credentials.username.expose().to_owned(),
            password: credentials.password.expose().to_owned(),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&plain).expect("two texts are JSON"));
        self.seal_bytes(&Bound::queue(queue), &plain).await
    }

    /// Opens what was sealed for `queue`.
    ///
    /// # Errors
    /// [`SealError::Closed`], [`SealError::Kms`].
    pub async fn open(&self, queue: QueueId, sealed: &Sealed) -> Result<Credentials, SealError> {
        let plain = self.open_bytes(&Bound::queue(queue), sealed).await?;
        let plain: Plain = serde_json::from_slice(&plain).map_err(|_| SealError::Closed)?;
        Ok(Credentials { username: Secret::new(&plain.username), password: Secret::new(&plain.password) })
    }

    /// Seals the secret `name` of `package`.
    ///
    /// # Errors
    /// [`SealError::TooLong`], [`SealError::Kms`].
    pub async fn seal_secret(
        &self,
        package: &PackageName,
        name: &SecretName,
        secret: &Secret,
    ) -> Result<Sealed, SealError> {
        self.seal_bytes(&Bound::secret(package, name), secret.expose().as_bytes()).await
    }

    /// Opens what was sealed as the secret `name` of `package`.
    ///
    /// # Errors
    /// [`SealError::Closed`], [`SealError::Kms`].
    pub async fn open_secret(
        &self,
        package: &PackageName,
        name: &SecretName,
        sealed: &Sealed,
    ) -> Result<Secret, SealError> {
        let plain = self.open_bytes(&Bound::secret(package, name), sealed).await?;
        std::str::from_utf8(&plain).map(Secret::new).map_err(|_| SealError::Closed)
    }

    async fn seal_bytes(&self, bound: &Bound, plain: &[u8]) -> Result<Sealed, SealError> {
        if plain.len() > MAX_PLAIN_BYTES {
            return Err(SealError::TooLong { bytes: plain.len() });
        }
        match self {
            Sealer::KeyFile(key) => Ok(Sealed(key.seal(plain, bound.data.as_bytes()))),
            Sealer::Kms { client, key_id } => {
                let call = client.encrypt().key_id(key_id).plaintext(Blob::new(plain));
                let call = call.set_encryption_context(Some(bound.kms_context()));
                let answer = call.send().await.map_err(|error| kms_error("seal", error))?;
                answer.ciphertext_blob.map(|blob| Sealed(blob.into_inner())).ok_or(SealError::Closed)
            }
        }
    }

    async fn open_bytes(&self, bound: &Bound, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let plain = match self {
            Sealer::KeyFile(key) => key.open(&sealed.0, bound.data.as_bytes()).ok_or(SealError::Closed)?,
            Sealer::Kms { client, key_id } => {
                let blob = Blob::new(sealed.0.as_slice());
                let call = client.decrypt().key_id(key_id).ciphertext_blob(blob);
                let call = call.set_encryption_context(Some(bound.kms_context()));
                let answer = call.send().await.map_err(|error| match error.as_service_error() {
                    Some(refusal)
                        if refusal.is_invalid_ciphertext_exception()
                            || refusal.is_incorrect_key_exception() =>
                    {
                        SealError::Closed
                    }
                    _ => kms_error("open", error),
                })?;
                answer.plaintext.ok_or(SealError::Closed)?.into_inner()
            }
        };
        Ok(Zeroizing::new(plain))
    }
}

fn kms_error<E>(operation: &'static str, error: aws_sdk_kms::error::SdkError<E>) -> SealError
where
    E: aws_sdk_kms::error::ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
    let retryable = match &error {
        SdkError::ServiceError(refusal) => {
            refusal.raw().status().is_server_error() || error.code() == Some("ThrottlingException")
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    };
    SealError::Kms { operation, retryable, source: Box::new(error) }
}

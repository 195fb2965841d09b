use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use aes_gcm::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::SealError;

/// The first byte of what this sealer makes: the form, so that a later one can be told from it.
const FORM: u8 = 1;

const NONCE_BYTES: usize = 12;

/// A key of AES-256-GCM, read from a file.
#[derive(Clone)]
pub struct KeyFile(Arc<Aes256Gcm>);

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFile(..)")
    }
}

fn fault(path: &Path, fault: impl Into<String>, source: Option<io::Error>) -> SealError {
    SealError::KeyFile { path: path.display().to_string(), fault: fault.into(), source }
}

impl KeyFile {
    pub(super) fn read(path: &Path) -> Result<KeyFile, SealError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let said = "is not there; without it no stored credentials can be read";
                return Err(fault(path, said, Some(error)));
            }
            Err(error) => return Err(fault(path, format!("cannot be read: {error}"), Some(error))),
        };
        if open_to_others(path)
            .map_err(|error| fault(path, format!("cannot be looked at: {error}"), Some(error)))?
        {
            return Err(fault(path, "may be read by others than its owner; say: chmod 600", None));
        }
        let bytes = STANDARD.decode(text.trim_ascii()).map(Zeroizing::new).ok();
        let Some(bytes) = bytes.filter(|bytes| bytes.len() == 32) else {
            return Err(fault(path, "is damaged: it must hold 32 bytes in base 64 and nothing else", None));
        };
        Ok(KeyFile(Arc::new(Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&bytes)))))
    }

    /// Written whole beside its place first, then linked to it, which fails where something is: no half key, no key lost.
    pub(super) fn create(path: &Path) -> Result<(), SealError> {
        let key = Zeroizing::new(<[u8; 32]>::from(Aes256Gcm::generate_key(OsRng)));
        let text = Zeroizing::new(STANDARD.encode(key.as_slice()) + "\n");
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let beside = path.with_file_name(name);
        let linked = write_new(&beside, text.as_bytes()).and_then(|()| std::fs::hard_link(&beside, path));
        // What is left of a failed attempt is a key that nothing was sealed with.
        let removed = std::fs::remove_file(&beside);
        linked.and(removed).map_err(|error| fault(path, format!("cannot be made: {error}"), Some(error)))
    }

    pub(super) fn seal(&self, plain: &[u8], bound_to: &[u8]) -> Vec<u8> {
        let nonce = Aes256Gcm::generate_nonce(&mut OsRng);
        let secret = self.0.encrypt(&nonce, Payload { msg: plain, aad: bound_to });
        let secret = secret.expect("AES-GCM takes texts far longer than ours");
        [&[FORM], nonce.as_slice(), &secret].concat()
    }

    pub(super) fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Option<Vec<u8>> {
        let (form, rest) = sealed.split_first()?;
        let (nonce, secret) = rest.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg: secret, aad: bound_to };
        (*form == FORM).then(|| self.0.decrypt(Nonce::from_slice(nonce), payload).ok()).flatten()
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn open_to_others(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(path)?.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn open_to_others(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use proptest::prelude::*;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_never_overwritten() {
        let folder = folder();
        let path = folder.path().join("key");
        KeyFile::create(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(KeyFile::create(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(!open_to_others(&path).unwrap());
        KeyFile::read(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_key_is_told_in_a_sentence() {
        let folder = folder();
        let check = |name: &str, text: Option<&[u8]>, expect: &str| {
            let path = folder.path().join(name);
            if let Some(text) = text {
                write_new(&path, text).unwrap();
            }
            let error = KeyFile::read(&path).unwrap_err().to_string();
            assert!(error.contains(expect) && error.contains(name), "{error}");
        };
        check("absent", None, "is not there");
        check("empty", Some(b""), "is damaged");
        check("short", Some(b"AAAA"), "is damaged");
        check("binary", Some(b"\xff\xfe"), "cannot be read");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_open_to_others_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let path = folder().keep().join("key");
        KeyFile::create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(KeyFile::read(&path).unwrap_err().to_string().contains("chmod 600"));
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_for_the_same_queue_and_key_alone(
            plain in proptest::collection::vec(any::<u8>(), 0..300), flip in any::<prop::sample::Index>()
        ) {
            let key = KeyFile(Arc::new(Aes256Gcm::new(&Aes256Gcm::generate_key(OsRng))));
            let other = KeyFile(Arc::new(Aes256Gcm::new(&Aes256Gcm::generate_key(OsRng))));
            let sealed = key.seal(&plain, b"a queue");
            prop_assert_eq!(key.open(&sealed, b"a queue"), Some(plain));
            prop_assert_eq!(key.open(&sealed, b"another"), None);
            prop_assert_eq!(other.open(&sealed, b"a queue"), None);
            let mut broken = sealed.clone();
            let at = flip.index(broken.len());
            broken[at] ^= 1;
            prop_assert_eq!(key.open(&broken, b"a queue"), None);
            prop_assert_eq!(key.open(&sealed[..at], b"a queue"), None);
        }
    }
}

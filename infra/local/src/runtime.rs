//! `runtime.json`: what a tool needs to talk to a running house, and where the admin key is kept after it was shown.

use std::path::{Path, PathBuf};

use domain::{ApiKeyText, Secret};
use serde::{Deserialize, Serialize};

use crate::folder::{FolderError, read_json, write_json};

const REMEDY: &str = "the next start makes a new admin key and shows it";

/// Where a house can be reached.
#[derive(Clone)]
pub struct Runtime {
    /// The HTTP API, such as `http://127.0.0.1:8787`.
    pub api: String,
    /// The SQS engine.
    pub sqs: String,
    /// The DynamoDB engine.
    pub dynamodb: String,
    /// An API key that may do everything.
    pub admin_key: Secret,
    /// The folder that mail falls into.
    pub mailbox: PathBuf,
}

/// These keys and no others: tools are written against them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    api: String,
    sqs: String,
    dynamodb: String,
    admin_key: String,
    mailbox: PathBuf,
}

impl Runtime {
    /// The admin key of an earlier start; `None` at the first one.
    ///
    /// # Errors
    /// [`FolderError`] names the file.
    pub(crate) fn read_admin_key(file: &Path) -> Result<Option<Secret>, FolderError> {
        let Some(written) = read_json::<Written>(file, REMEDY)? else { return Ok(None) };
        match ApiKeyText::parse(&written.admin_key) {
            Ok(_) => Ok(Some(Secret::new(written.admin_key))),
            Err(error) => Err(FolderError::Damaged {
                file: file.to_owned(),
                reason: format!("admin-key: {error}"),
                remedy: REMEDY,
            }),
        }
    }

    /// The API's address and its admin key, as the last start wrote them; `None` if there was none.
    ///
    /// # Errors
    /// [`FolderError`] names the file.
    pub(crate) fn read(file: &Path) -> Result<Option<(String, Secret)>, FolderError> {
        let written = read_json::<Written>(file, REMEDY)?;
        Ok(written.map(|written| (written.api, Secret::new(written.admin_key))))
    }

    /// Replaces the file, readable by its owner only.
    ///
    /// # Errors
    /// [`FolderError`] names the file.
    pub(crate) fn write(&self, file: &Path) -> Result<(), FolderError> {
        let written = Written {
            api: self.api.clone(),
            sqs: self.sqs.clone(),
            dynamodb: self.dynamodb.clone(),
            admin_key: self.admin_key.expose().to_owned(),
            mailbox: self.mailbox.clone(),
        };
        write_json(file, &written)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use domain::{KeyId, KeySecret};
    use jiff::Timestamp;

    #[test]
    fn the_file_has_exactly_the_keys_that_tools_know() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("runtime.json");
        assert!(Runtime::read_admin_key(&file).unwrap().is_none());
        let mut random = rand::rng();
        let key = ApiKeyText {
            id: KeyId::new(Timestamp::UNIX_EPOCH, &mut random),
            secret: KeySecret::new(&mut random),
        };
        let runtime = Runtime {
            api: "http://127.0.0.1:8787".into(),
            sqs: "http://127.0.0.1:1".into(),
            dynamodb: "http://127.0.0.1:2".into(),
            admin_key: key.reveal(),
            mailbox: "/mailbox".into(),
        };
        runtime.write(&file).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let keys: Vec<_> = written.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["admin-key", "api", "dynamodb", "mailbox", "sqs"]);
        assert_eq!(Runtime::read_admin_key(&file).unwrap().unwrap().expose(), key.reveal().expose());
    }

    #[test]
    fn a_key_that_is_none_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("runtime.json");
        for text in ["{}", r#"{"api":"","sqs":"","dynamodb":"","admin-key":"ql_x","mailbox":""}"#] {
            std::fs::write(&file, text).unwrap();
            let error = Runtime::read_admin_key(&file).err().unwrap().to_string();
            assert!(error.contains("runtime.json is damaged") && error.contains("new admin key"), "{error}");
        }
    }
}

//! What outlives the process: the place reached in each stream, and what was given up.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::folder::{FolderError, read_json, write_json};

const REMEDY: &str = "the next start reads every stream from its oldest record on, and messages of the last minute may come twice";

/// How far a function has come in the stream of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Place {
    /// The stream: one made anew has another ARN, and a place in the old one says nothing of it.
    pub(super) stream_arn: String,
    pub(super) shard_id: String,
    /// The last record that is done with.
    pub(super) sequence_number: String,
}

/// The places reached, by table and function.
#[derive(Debug)]
pub(super) struct Places {
    file: PathBuf,
    known: Mutex<BTreeMap<String, Place>>,
}

impl Places {
    pub(super) fn open(file: PathBuf) -> Result<Places, FolderError> {
        let known = read_json(&file, REMEDY)?.unwrap_or_default();
        Ok(Places { file, known: Mutex::new(known) })
    }

    pub(super) fn of(&self, key: &str) -> Option<Place> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Keeps a place. If that fails, what was done since comes again after the next start, which the log says.
    pub(super) async fn keep(self: &Arc<Self>, key: String, place: Place) {
        let places = Arc::clone(self);
        let write = move || {
            // The lock is held over the write: two places never overtake each other on their way to the file.
            let mut known = places.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(key, place);
            write_json(&places.file, &*known)
        };
        let written = tokio::task::spawn_blocking(write).await.expect("writing a file does not panic");
        if let Err(error) = written {
            tracing::warn!(%error, "the place reached in a stream could not be kept");
        }
    }
}

/// The file of what was given up.
#[derive(Debug)]
pub(super) struct Failures(PathBuf);

impl Failures {
    pub(super) fn new(file: PathBuf) -> Failures {
        Failures(file)
    }

    /// Adds a line.
    pub(super) async fn tell(&self, failure: Value) {
        let file = self.0.clone();
        let write = move || {
            let mut out = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
            out.write_all(format!("{failure}\n").as_bytes())?;
            out.sync_all()
        };
        let written = tokio::task::spawn_blocking(write).await.expect("writing a file does not panic");
        if let Err(error) = written {
            tracing::error!(%error, file.path = %self.0.display(), "what was given up of a stream could not be written down");
        }
    }
}

//! The data folder: who may use it, where things lie in it, and how files in it are replaced.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

/// What keeps a data folder, or a file in it, from being used. Each reads as one sentence for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made or written to.
    #[error("the data folder {} cannot be written to ({source}); choose another one with --data-dir", folder.display())]
    Unwritable {
        /// The folder as it was named to us.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another runner works in it.
    #[error("the data folder {} is in use by another queuelink{}; stop that one, or choose another folder with --data-dir",
        folder.display(), by.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked {
        /// The folder as it was named to us.
        folder: PathBuf,
        /// The other's process id, where it left one.
        by: Option<u32>,
    },
    /// A later release keeps its things in it, in ways this one does not know.
    #[error("the data folder {} was last used by a newer queuelink (its format is {found}, this release knows {FORMAT}); \
        use that release, or choose another folder with --data-dir", folder.display())]
    Newer {
        /// The folder as it was named to us.
        folder: PathBuf,
        /// The format it says.
        found: u32,
    },
    /// A file in it cannot be read or written.
    #[error("the file {} cannot be used ({source}); see to its rights and to the space left on its disk", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file in it does not hold what we wrote.
    #[error("the file {} is damaged ({reason}); restore it from a copy, or move it away: {remedy}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What a start without it does.
        remedy: &'static str,
    },
}

/// How things lie in the folder. A release that changes it so that an older one would misread it counts on.
const FORMAT: u32 = 1;

/// A data folder that this process alone may use, as long as this value lives.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    /// The system lets go of the lock when the process ends, in whatever way.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it is absent (for its owner only), tries to write to it, and locks it.
    ///
    /// # Errors
    /// [`FolderError::Unwritable`], [`FolderError::Locked`] and [`FolderError::Newer`]; those of the file `format`.
    pub fn open(root: &Path) -> Result<DataFolder, FolderError> {
        let unwritable = |source| FolderError::Unwritable { folder: root.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(unwritable)?;
        // Absolute from here on: what is printed and written for tools must hold in any working folder.
        let root_given = root;
        let root = root.canonicalize().map_err(unwritable)?;
        let lock_file = root.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_file)
            .map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let by = lock.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
                return Err(FolderError::Locked { folder: root_given.to_owned(), by });
            }
            Err(TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(unwritable)?;
        let format = root.join("format");
        match read_json::<u32>(&format, "the next start takes the folder for one of this release")? {
            None => write_json(&format, &FORMAT)?,
            Some(found) if found > FORMAT => {
                return Err(FolderError::Newer { folder: root_given.to_owned(), found });
            }
            Some(_ours) => {}
        }
        Ok(DataFolder { root, _lock: lock })
    }

    /// Where it lies, absolute.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A file or folder in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// Reads a JSON file; `None` if there is none. `remedy` says what a start without it does.
///
/// # Errors
/// [`FolderError::Unusable`] and [`FolderError::Damaged`].
pub fn read_json<T: DeserializeOwned>(file: &Path, remedy: &'static str) -> Result<Option<T>, FolderError> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FolderError::Unusable { file: file.to_owned(), source }),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| FolderError::Damaged {
        file: file.to_owned(),
        reason: error.to_string(),
        remedy,
    })
}

/// Replaces a JSON file as one step, readable by its owner only: whoever reads it, and whenever the process dies, there
/// is the old text or the new.
///
/// # Errors
/// [`FolderError::Unusable`].
pub fn write_json(file: &Path, value: &impl Serialize) -> Result<(), FolderError> {
    let mut text = serde_json::to_vec_pretty(value).expect("our own records have text keys only");
    text.push(b'\n');
    replace(file, &text).map_err(|source| FolderError::Unusable { file: file.to_owned(), source })
}

fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    out.write_all(text)?;
    out.sync_all()?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn two_runners_cannot_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/b");
        let first = DataFolder::open(&root).unwrap();
        assert_eq!(fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o700);
        let error = DataFolder::open(&root).unwrap_err();
        let pid = std::process::id();
        assert!(
            error.to_string().contains(&format!("in use by another queuelink (process {pid})")),
            "{error}"
        );
        drop(first);
        DataFolder::open(&root).unwrap();
    }

    #[test]
    fn a_folder_of_a_newer_release_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataFolder::open(dir.path()).unwrap());
        drop(DataFolder::open(dir.path()).unwrap());
        fs::write(dir.path().join("format"), "2\n").unwrap();
        let error = DataFolder::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("newer queuelink") && error.contains("--data-dir"), "{error}");
    }

    #[test]
    fn what_cannot_be_a_folder_is_said_in_one_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("taken");
        fs::write(&file, "").unwrap();
        for root in [file.clone(), file.join("below")] {
            let error = DataFolder::open(&root).unwrap_err().to_string();
            assert!(error.contains("cannot be written to") && error.contains("--data-dir"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_json_file_is_replaced_whole_and_a_damaged_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ports.json");
        let read = || read_json::<Vec<u16>>(&file, "new ports are chosen");
        assert_eq!(read().unwrap(), None);
        write_json(&file, &[1, 2]).unwrap();
        write_json(&file, &[3]).unwrap();
        assert_eq!(read().unwrap(), Some(vec![3]));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        for damage in ["", "[3", "{}", "\u{0}"] {
            fs::write(&file, damage).unwrap();
            let error = read().unwrap_err().to_string();
            assert!(
                error.contains("ports.json is damaged") && error.ends_with("new ports are chosen"),
                "{error}"
            );
        }
    }
}

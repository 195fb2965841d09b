//! `queuelink package push`: a folder becomes a release of its package, over the API, here or on AWS.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::BASE;
use domain::{Faults, MAX_PACKAGE_BYTES, PACKAGE_SETTINGS, PackageFiles, PackageName, Secret};
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use crate::runtime::Runtime;

/// An answer comes within this time, or API Gateway has given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(35);

/// Deeper than any package may be.
const MAX_FOLDERS: usize = 8;

/// Why a folder was not released.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// A file or folder cannot be read.
    #[error("{} cannot be read ({source})", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No package can have the folder's name.
    #[error("{0}; say another with --name")]
    Name(#[source] domain::Fault),
    /// The files cannot be a package.
    #[error("the package has faults: {0}")]
    Files(#[source] Faults),
    /// No house is running where one was looked for.
    #[error("no house has run in {}; start one with `cargo run`, or name an API with --api and --key-file", .0.display())]
    NoHouse(PathBuf),
    /// The API did not answer.
    #[error("{api} does not answer ({source})")]
    Unanswered {
        /// Its address.
        api: String,
        /// What the client said.
        #[source]
        source: reqwest::Error,
    },
    /// The API refused it, and says why.
    #[error("{0}")]
    Refused(String),
}

/// An API and the key to it.
pub struct Door {
    /// Such as `http://127.0.0.1:8787`.
    pub api: String,
    /// A key with the scope `package:write:NAME`.
    pub key: Secret,
}

impl Door {
    /// The house on this machine that keeps its data in `data_dir`.
    ///
    /// # Errors
    /// [`PushError::NoHouse`], when none ever ran there; a damaged `runtime.json` counts as none.
    pub fn of_house(data_dir: &Path) -> Result<Door, PushError> {
        let found = Runtime::read(&data_dir.join("runtime.json"));
        let (api, key) = found.ok().flatten().ok_or_else(|| PushError::NoHouse(data_dir.to_owned()))?;
        Ok(Door { api, key })
    }

    /// Another API, its key in a file.
    ///
    /// # Errors
    /// [`PushError::Unreadable`].
    pub fn at(api: &str, key_file: &Path) -> Result<Door, PushError> {
        let key = fs::read_to_string(key_file)
            .map_err(|source| PushError::Unreadable { path: key_file.to_owned(), source })?;
        Ok(Door { api: api.trim_end_matches('/').to_owned(), key: Secret::new(key.trim()) })
    }

    /// Releases `files` as `package`; answers what the API says of the release.
    ///
    /// # Errors
    /// [`PushError::Unanswered`], [`PushError::Refused`].
    pub async fn release(
        &self,
        package: &PackageName,
        files: &PackageFiles,
        note: Option<&str>,
        activate: bool,
    ) -> Result<Value, PushError> {
        let unanswered = |source| PushError::Unanswered { api: self.api.clone(), source };
        // TLS has one provider of cryptography in this house; installing it twice changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The key goes to the address that was named and to no other.
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).redirect(Policy::none());
        let client = client.build().map_err(unanswered)?;
        let body = json!({ "files": files.as_map(), "note": note, "activate": activate });
        let request = client.post(format!("{}{BASE}/package/{package}/release", self.api));
        let request = request.bearer_auth(self.key.expose()).body(body.to_string());
        let answer = request.send().await.map_err(unanswered)?;
        let status = answer.status();
        let answer: Value =
            serde_json::from_slice(&answer.bytes().await.map_err(unanswered)?).unwrap_or_default();
        if status.is_success() {
            Ok(answer)
        } else {
            Err(PushError::Refused(refusal(status.as_u16(), &answer)))
        }
    }
}

/// The name that a folder's package has unless another is given: the folder's own.
///
/// # Errors
/// [`PushError::Name`], [`PushError::Unreadable`].
pub fn name_of(folder: &Path, given: Option<&str>) -> Result<PackageName, PushError> {
    let path =
        folder.canonicalize().map_err(|source| PushError::Unreadable { path: folder.to_owned(), source })?;
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    PackageName::parse(given.unwrap_or(&own)).map_err(PushError::Name)
}

/// The files of a package's folder: `*.luau` and `package.json`. Others, and what begins with a dot, are left out.
///
/// # Errors
/// [`PushError::Unreadable`], [`PushError::Files`] with every fault that can be told without the API.
pub fn read(folder: &Path) -> Result<PackageFiles, PushError> {
    let mut files = BTreeMap::new();
    collect(folder, "", &mut files)?;
    PackageFiles::check(files).map_err(PushError::Files)
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) -> Result<(), PushError> {
    let unreadable = |path: &Path, source| PushError::Unreadable { path: path.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(|source| unreadable(folder, source))?;
    for entry in entries {
        let path = entry.map_err(|source| unreadable(folder, source))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let below = format!("{prefix}{name}");
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if prefix.matches('/').count() < MAX_FOLDERS {
                collect(&path, &format!("{below}/"), files)?;
            }
        } else if name.ends_with(".luau") || below == PACKAGE_SETTINGS {
            // What is too large to be sent need not be read whole.
            let large = fs::metadata(&path).is_ok_and(|about| about.len() > MAX_PACKAGE_BYTES as u64);
            let text = if large {
                " ".repeat(MAX_PACKAGE_BYTES + 1)
            } else {
                fs::read_to_string(&path).map_err(|source| unreadable(&path, source))?
            };
            files.insert(below, text);
        }
    }
    Ok(())
}

/// What a problem document says, one line for each fault, files as they are called in the folder.
fn refusal(status: u16, problem: &Value) -> String {
    let faults = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    if faults.is_empty() {
        let detail = problem["detail"].as_str().unwrap_or("and does not say why");
        return format!("the API refuses it ({status}): {detail}");
    }
    let lines = faults.iter().map(|fault| {
        let text = |key: &str| fault[key].as_str().unwrap_or_default();
        let path = text("path");
        let file = path.strip_prefix("files/").unwrap_or(path).replace("~1", "/").replace("~0", "~");
        format!("\n  {file}: {}", text("message"))
    });
    format!("the package is refused:{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_folder_is_read_as_a_package() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("shop");
        fs::create_dir_all(folder.join("lib")).unwrap();
        for (name, text) in [
            ("pay.luau", "return 1"),
            ("lib/price.luau", "return 2"),
            ("package.json", "{\"secrets\":[\"A\"]}"),
            ("README.md", "no"),
            (".hidden.luau", "no"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        let files = read(&folder).unwrap();
        let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["lib/price.luau", "package.json", "pay.luau"]);
        assert_eq!(name_of(&folder, None).unwrap().as_str(), "shop");
        assert_eq!(name_of(&folder, Some("other")).unwrap().as_str(), "other");
        let error = name_of(&folder, Some("no name")).unwrap_err().to_string();
        assert!(error.contains("--name"), "{error}");
        assert!(matches!(name_of(Path::new("no/such/folder"), None), Err(PushError::Unreadable { .. })));
        fs::write(folder.join("x y.luau"), "").unwrap();
        assert!(read(&folder).unwrap_err().to_string().contains("x y.luau"));
    }

    #[test]
    fn a_refusal_names_each_file_and_line() {
        let problem = json!({"errors": [
            {"path": "files/lib~1check.luau", "code": "syntax", "message": "line 3: Expected identifier"},
        ]});
        assert_eq!(
            refusal(422, &problem),
            "the package is refused:\n  lib/check.luau: line 3: Expected identifier"
        );
        let problem = json!({"errors": [], "detail": "this API key has no scope"});
        assert_eq!(refusal(403, &problem), "the API refuses it (403): this API key has no scope");
    }
}

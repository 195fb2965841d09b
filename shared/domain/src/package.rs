use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Fault, Faults, check_json, hex};

/// A package has at most this many files.
pub const MAX_PACKAGE_FILES: usize = 200;

/// Its files have at most this many bytes in all.
pub const MAX_PACKAGE_BYTES: usize = 4 * 1024 * 1024;

/// One of them has at most this many: to compile a text takes a hundred times its size.
pub const MAX_PACKAGE_FILE_BYTES: usize = 1024 * 1024;

/// It declares at most this many secrets.
pub const MAX_PACKAGE_SECRETS: usize = 32;

/// So many packages at most are active at once: a worker holds all of them.
pub const MAX_ACTIVE_PACKAGES: usize = 100;

/// The file in which a package says what it is and what it needs.
pub const PACKAGE_SETTINGS: &str = "package.json";

/// What stands behind the name of every other file.
const SOURCE_ENDING: &str = ".luau";

const MAX_FILE_NAME_BYTES: usize = 200;
const MAX_FOLDERS: usize = 8;
const MAX_DESCRIPTION_CHARS: usize = 500;

/// The folders of a package whose files are no handlers.
const FOLDERS: [&str; 2] = ["lib", "tests"];

/// A package's name: 1 to 64 of `A-Z a-z 0-9 - _`, as it stands before the `/` of a handler's name; neither `lib` nor `tests`, which
/// would make modules or tests of its handlers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageName(String);

/// The name of a secret that a package declares: `STRIPE_KEY`, 1 to 63 of `A-Z 0-9 _`, a letter first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName(String);

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl PackageName {
    /// Checks `text`; the fault's path is `name`.
    pub fn parse(text: &str) -> Result<PackageName, Fault> {
        if is_word(text) && !FOLDERS.contains(&text) {
            return Ok(PackageName(text.to_owned()));
        }
        let message =
            "a package's name has 1 to 64 letters, digits, '-' or '_', and is neither 'lib' nor 'tests'";
        Err(Fault::new("name", "package-name", message))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SecretName {
    /// Checks `text`; the fault's path is `secret`.
    pub fn parse(text: &str) -> Result<SecretName, Fault> {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_uppercase());
        let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        if first && text.len() <= 63 && text.bytes().all(fits) {
            return Ok(SecretName(text.to_owned()));
        }
        let message =
            "a secret's name has 1 to 63 capital letters, digits or '_', a letter first: STRIPE_KEY";
        Err(Fault::new("secret", "secret-name", message))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Fault;
            fn from_str(text: &str) -> Result<$name, Fault> {
                $name::parse(text)
            }
        }
    };
}

text!(PackageName);
text!(SecretName);

/// What a package says of itself in its `package.json`: `{"secrets": ["STRIPE_KEY"], "description": "..."}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageSettings {
    /// The secrets that its handlers see in `context.secrets`, once they are set.
    pub secrets: BTreeSet<SecretName>,
    /// For people.
    pub description: Option<String>,
}

impl PackageSettings {
    /// Reads a `package.json`. Every fault is named, its path from within the document; unknown keys are faults.
    pub fn parse(text: &str) -> Result<PackageSettings, Faults> {
        check_json(text)?;
        let Ok(Value::Object(entries)) = serde_json::from_str(text) else {
            return Err(Fault::new("", "type", "this must be a JSON object").into());
        };
        let (mut settings, mut faults) = (PackageSettings::default(), Faults::none());
        for (key, value) in entries {
            match (key.as_str(), value) {
                ("secrets", Value::Array(names)) => {
                    if names.len() > MAX_PACKAGE_SECRETS {
                        let message = format!("a package declares at most {MAX_PACKAGE_SECRETS} secrets");
                        faults.add("secrets", "count", message);
                    }
                    for (at, name) in names.iter().enumerate().take(MAX_PACKAGE_SECRETS) {
                        match SecretName::parse(name.as_str().unwrap_or_default()) {
                            Ok(name) => {
                                settings.secrets.insert(name);
                            }
                            Err(fault) => faults.add(format!("secrets/{at}"), fault.code, fault.message),
                        }
                    }
                }
                ("secrets", _) => faults.add("secrets", "type", "'secrets' is a list of names"),
                ("description", Value::String(text)) if text.chars().count() <= MAX_DESCRIPTION_CHARS => {
                    settings.description = Some(text);
                }
                ("description", _) => {
                    let message =
                        format!("'description' is a text of at most {MAX_DESCRIPTION_CHARS} characters");
                    faults.add("description", "type", message);
                }
                _ => {
                    let shown: String = key.chars().take(80).collect();
                    faults.add(shown, "unknown-field", "there are: secrets, description");
                }
            }
        }
        faults.into_result()?;
        Ok(settings)
    }
}

/// The files of a package, checked in all but their Luau: names, number, size, `package.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFiles {
    files: BTreeMap<String, String>,
    settings: PackageSettings,
}

impl PackageFiles {
    /// Checks `files` (name to text). Every fault is named, its path is that of [`package_file_path`]; what is too large in all is the
    /// one fault `too-large`.
    pub fn check(files: BTreeMap<String, String>) -> Result<PackageFiles, Faults> {
        let bytes: usize = files.values().map(String::len).sum();
        if bytes > MAX_PACKAGE_BYTES {
            let message =
                format!("the files of a package have at most {MAX_PACKAGE_BYTES} bytes, not {bytes}");
            return Err(Fault::new("files", "too-large", message).into());
        }
        let mut faults = Faults::none();
        if files.len() > MAX_PACKAGE_FILES {
            let message = format!("a package has at most {MAX_PACKAGE_FILES} files, not {}", files.len());
            faults.add("files", "count", message);
        }
        if !files.keys().any(|name| name.ends_with(SOURCE_ENDING)) {
            faults.add("files", "required", "a package has at least one .luau file");
        }
        for (name, text) in &files {
            if let Some(message) = name_fault(name) {
                faults.add(package_file_path(name), "file-name", message);
            }
            if text.len() > MAX_PACKAGE_FILE_BYTES {
                let message =
                    format!("a file has at most {MAX_PACKAGE_FILE_BYTES} bytes, not {}", text.len());
                faults.add(package_file_path(name), "too-large", message);
            }
        }
        let settings = files.get(PACKAGE_SETTINGS).map(|text| PackageSettings::parse(text));
        let settings = settings.unwrap_or_else(|| Ok(PackageSettings::default())).unwrap_or_else(|found| {
            for fault in found.0 {
                // Of the file, not of the request: what is no JSON in it is no malformed request.
                let code = if fault.code == "not-json" { "syntax" } else { fault.code };
                let fault = Fault { code, ..fault }.under(&package_file_path(PACKAGE_SETTINGS));
                faults.add(fault.path, fault.code, fault.message);
            }
            PackageSettings::default()
        });
        faults.into_result()?;
        Ok(PackageFiles { files, settings })
    }

    /// Names and texts, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// All of them, by name.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// What its `package.json` says; nothing where there is none.
    pub fn settings(&self) -> &PackageSettings {
        &self.settings
    }

    /// That of a release of these files: see [`Release::digest`].
    pub fn digest(&self) -> String {
        digest(&self.manifest())
    }

    /// What is kept of each file: its hash and size.
    pub fn manifest(&self) -> BTreeMap<String, PackageFile> {
        self.iter().map(|(name, text)| (name.to_owned(), PackageFile::of(text))).collect()
    }
}

/// Where a file stands in a request: `files/lib~1check.luau`; `/` and `~` in a name are written as in JSON pointers.
pub fn package_file_path(name: &str) -> String {
    format!("files/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What is wrong with a file's name, if anything is.
fn name_fault(name: &str) -> Option<&'static str> {
    if name == PACKAGE_SETTINGS {
        return None;
    }
    let Some(stem) = name.strip_suffix(SOURCE_ENDING) else {
        return Some("a package holds .luau files, and package.json");
    };
    let parts: Vec<&str> = stem.split('/').collect();
    if name.len() > MAX_FILE_NAME_BYTES || parts.len() > MAX_FOLDERS {
        return Some("a file's name has at most 200 bytes, in at most 7 folders");
    }
    if !parts.iter().all(|part| is_word(part)) {
        return Some("the parts of a file's name have 1 to 64 letters, digits, '-' or '_', parted by '/'");
    }
    if parts.len() > 1 && !FOLDERS.contains(&parts[0]) {
        return Some("handlers stand at the top of their package, modules in lib/, tests in tests/");
    }
    None
}

/// What a release keeps of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageFile {
    /// SHA-256 of its text: by this it is found.
    pub hash: [u8; 32],
    /// Its length, bytes.
    pub bytes: usize,
}

impl PackageFile {
    /// Of a file with this text.
    pub fn of(text: &str) -> PackageFile {
        PackageFile { hash: Sha256::digest(text).into(), bytes: text.len() }
    }
}

/// A package as the catalog knows it: its name, and which of its releases is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// The release at work; `None` = none, so the shipped package of this name, if there is one.
    pub active: Option<u32>,
    /// The newest release; 0 = none yet. Releases are numbered from 1 without gaps.
    pub latest: u32,
    /// When `active` last changed, or a secret did.
    pub changed_at: Timestamp,
    /// When it was first heard of.
    pub created_at: Timestamp,
    /// Whether it is on its way out.
    pub deleting: bool,
    /// Counts changes; a change is conditioned on it, so that none is lost.
    pub version: u64,
}

/// One release of a package: files that never change again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Of which package.
    pub package: PackageName,
    /// Which one, from 1.
    pub number: u32,
    /// Its files by name.
    pub files: BTreeMap<String, PackageFile>,
    /// What its `package.json` says.
    pub settings: PackageSettings,
    /// For people: why it was made.
    pub note: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Release {
    /// Full names of its handlers, in order: `on-boarding/signup`.
    pub fn handlers(&self) -> Vec<String> {
        let stems = self.files.keys().filter_map(|name| name.strip_suffix(SOURCE_ENDING));
        stems.filter(|stem| !stem.contains('/')).map(|stem| format!("{}/{stem}", self.package)).collect()
    }

    /// 64 hex digits that two sets of files share only when they are the same.
    pub fn digest(&self) -> String {
        digest(&self.files)
    }
}

fn digest(files: &BTreeMap<String, PackageFile>) -> String {
    let mut hash = Sha256::new();
    for (name, file) in files {
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
        hash.update(file.hash);
    }
    hex(&hash.finalize())
}

/// Which release of which package is at work; each change of it, or of a secret, has a version of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageSet {
    /// 0 = nothing was ever released.
    pub version: u64,
    /// The active ones.
    pub releases: BTreeMap<PackageName, u32>,
}

#[cfg(test)]
mod tests;

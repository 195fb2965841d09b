//! The Lua files of one release, checked and compiled once, in the parent.

use std::{collections::BTreeMap, fmt, fs, io, path::Path, sync::Arc};

use mlua::chunk::Compiler;

use crate::compiler::compiler;

/// An immutable set of Luau files. Cheap to clone.
///
/// A file's name is its path below the bundle's folder, with `/` and without `.luau`. Files under a folder `lib` are
/// modules, files under a folder `tests` are tests; every other file is a handler. A package's `package.json` is handed through.
#[derive(Clone)]
pub struct Bundle {
    files: Arc<BTreeMap<String, Arc<File>>>,
    settings: Arc<BTreeMap<String, String>>,
}

pub(crate) struct File {
    pub(crate) kind: FileKind,
    /// Made here, by our own compiler: the sandbox loads bytecode from its parent only, never from a user.
    pub(crate) bytecode: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Handler,
    Module,
    Test,
}

/// What is wrong with one file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, relative to the bundle's folder.
    pub file: String,
    /// The line, counted from 1, where one can be named.
    pub line: Option<u32>,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// A bundle cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A folder or file cannot be read.
    #[error("the handlers under {path} cannot be read")]
    Unreadable {
        /// Which one.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Files that are no Luau: all of them at once.
    #[error("the handlers have {} fault(s): {}", faults.len(), join(faults))]
    Faulty {
        /// In the order of the files' names.
        faults: Vec<Fault>,
    },
}

/// No handler can be found under a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// There is none.
    #[error("there is no handler {name:?}; known are: {}", known.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The handlers there are, the most alike first, at most ten.
        known: Vec<String>,
    },
    /// The short name stands for several.
    #[error("handler {name:?} may be any of: {}; say which", candidates.join(", "))]
    Ambiguous {
        /// The name asked for.
        name: String,
        /// The full names.
        candidates: Vec<String>,
    },
}

fn join(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

impl Bundle {
    /// Reads every `*.luau` under `dir`: a sub-folder is a package, a file's stem is the handler's name; and the `package.json` of
    /// each package.
    ///
    /// # Errors
    /// Names every faulty file at once, with its line.
    pub fn from_dir(dir: &Path) -> Result<Bundle, BundleError> {
        let mut files = Vec::new();
        collect(dir, "", &mut files)?;
        compile(files)
    }

    /// Makes a bundle of files in memory: `("on-boarding/signup.luau", source)`.
    ///
    /// # Errors
    /// Names every faulty file at once, with its line.
    pub fn from_sources(files: impl IntoIterator<Item = (String, String)>) -> Result<Bundle, BundleError> {
        compile(files.into_iter().map(|(path, source)| (path, source.into_bytes())).collect())
    }

    /// Compiles a package by itself: `("lib/check.luau", source)`, named as in the package.
    ///
    /// # Errors
    /// Names every faulty file at once, with its line.
    pub fn of_package(
        package: &str,
        files: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Bundle, BundleError> {
        Bundle::from_sources(files.into_iter().map(|(name, text)| (format!("{package}/{name}"), text)))
    }

    /// This bundle with what `new` has of `package` in the place of all that it has here itself; nothing is compiled again.
    pub fn over(&self, package: &str, new: &Bundle) -> Bundle {
        let is_its = |name: &str| name.split_once('/').is_some_and(|(of, _)| of == package);
        let kept = self.files.iter().filter(|(name, _)| !is_its(name));
        let files = kept.chain(new.files.iter().filter(|(name, _)| is_its(name)));
        let files = files.map(|(name, file)| (name.clone(), Arc::clone(file)));
        let kept = self.settings.iter().filter(|(of, _)| *of != package);
        let settings = kept.chain(new.settings.iter().filter(|(of, _)| *of == package));
        let settings = settings.map(|(of, text)| (of.clone(), text.clone()));
        Bundle { files: Arc::new(files.collect()), settings: Arc::new(settings.collect()) }
    }

    /// How much its compiled files hold, in bytes: some five times their sources at the most.
    pub fn compiled_bytes(&self) -> usize {
        self.files.values().map(|file| file.bytecode.len()).sum()
    }

    /// Packages with the text of their `package.json`, those that have one.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(package, text)| (package.as_str(), text.as_str()))
    }

    /// The full names of all handlers, sorted.
    pub fn handlers(&self) -> impl Iterator<Item = &str> {
        self.names(FileKind::Handler)
    }

    /// The full name of a handler, given that name or its last part where only one handler has it.
    ///
    /// # Errors
    /// Says what there is instead.
    pub fn resolve(&self, name: &str) -> Result<&str, ResolveError> {
        if let Some((full, file)) = self.files.get_key_value(name)
            && file.kind == FileKind::Handler
        {
            return Ok(full);
        }
        let mut candidates = self.handlers().filter(|full| stem(full) == name);
        match (candidates.next(), candidates.next()) {
            (Some(only), None) => Ok(only),
            (Some(first), Some(second)) => Err(ResolveError::Ambiguous {
                name: name.to_owned(),
                candidates: [first, second].into_iter().chain(candidates).map(str::to_owned).collect(),
            }),
            (None, _) => {
                let mut known: Vec<&str> = self.handlers().collect();
                known.sort_by_key(|full| distance(stem(full), stem(name)));
                known.truncate(10);
                let known = known.into_iter().map(str::to_owned).collect();
                Err(ResolveError::Unknown { name: name.chars().take(128).collect(), known })
            }
        }
    }

    pub(crate) fn names(&self, kind: FileKind) -> impl Iterator<Item = &str> {
        self.files.iter().filter(move |(_, file)| file.kind == kind).map(|(name, _)| name.as_str())
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().map(|(name, file)| (name.as_str(), &**file))
    }
}

fn stem(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Reads a folder in the order of its names, so that the same folder always makes the same bundle.
fn collect(dir: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> Result<(), BundleError> {
    let unreadable =
        |path: &Path, source| BundleError::Unreadable { path: path.display().to_string(), source };
    let mut entries = fs::read_dir(dir)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|source| unreadable(dir, source))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        // Editors and version control keep their own things under dot names.
        if name.starts_with('.') {
            continue;
        }
        let below = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        // By what a link leads to: a layer may be assembled of links.
        let kind = fs::metadata(&path).map_err(|source| unreadable(&path, source))?;
        if kind.is_dir() {
            // Deeper than any real package, and the end of a link that leads to its own parent.
            if below.matches('/').count() < 8 {
                collect(&path, &below, files)?;
            }
        } else if name.ends_with(".luau") || package_of_settings(&below).is_some() {
            files.push((below, fs::read(&path).map_err(|source| unreadable(&path, source))?));
        }
    }
    Ok(())
}

fn compile(sources: Vec<(String, Vec<u8>)>) -> Result<Bundle, BundleError> {
    let compiler = compiler();
    let (mut files, mut settings) = (BTreeMap::new(), BTreeMap::new());
    let mut faults = Vec::new();
    for (path, source) in sources {
        if let Some(package) = package_of_settings(&path) {
            match String::from_utf8(source) {
                Ok(text) => {
                    settings.insert(package.to_owned(), text);
                }
                Err(_) => faults.push(Fault { file: path, line: None, message: "is not UTF-8".into() }),
            }
            continue;
        }
        let name = path.strip_suffix(".luau").unwrap_or(&path).to_owned();
        match compile_one(&compiler, &source) {
            Ok(bytecode) => {
                let kind = kind_of(&name);
                if files.insert(name, Arc::new(File { kind, bytecode })).is_some() {
                    faults.push(Fault { file: path, line: None, message: "is in the bundle twice".into() });
                }
            }
            Err((line, message)) => faults.push(Fault { file: path, line, message }),
        }
    }
    faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    if faults.is_empty() {
        Ok(Bundle { files: Arc::new(files), settings: Arc::new(settings) })
    } else {
        Err(BundleError::Faulty { faults })
    }
}

/// `shop/package.json` is what the package `shop` says of itself.
fn package_of_settings(path: &str) -> Option<&str> {
    path.strip_suffix("/package.json").filter(|package| !package.contains('/'))
}

fn compile_one(compiler: &Compiler, source: &[u8]) -> Result<Vec<u8>, (Option<u32>, String)> {
    if let Err(error) = std::str::from_utf8(source) {
        let line = source[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        return Err((u32::try_from(line).ok(), "is not UTF-8".into()));
    }
    compiler.compile(source).map_err(|error| match error {
        mlua::Error::SyntaxError { message, .. } => syntax_fault(&message),
        other => (None, other.to_string()),
    })
}

/// The compiler says `3: Expected identifier`.
fn syntax_fault(message: &str) -> (Option<u32>, String) {
    let parts = message.trim_start_matches(':').split_once(": ");
    match parts.and_then(|(line, text)| Some((line.parse().ok()?, text))) {
        Some((line, text)) => (Some(line), text.to_owned()),
        None => (None, message.to_owned()),
    }
}

fn kind_of(name: &str) -> FileKind {
    let mut folders = name.split('/').rev().skip(1);
    folders
        .find_map(|folder| match folder {
            "tests" => Some(FileKind::Test),
            "lib" => Some(FileKind::Module),
            _ => None,
        })
        .unwrap_or(FileKind::Handler)
}

/// How many edits lie between two names; names are short, so the plain table does.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(128).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().take(128).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn bundle(names: &[&str]) -> Bundle {
        Bundle::from_sources(names.iter().map(|name| (format!("{name}.luau"), "return 1".to_owned())))
            .unwrap()
    }

    #[test]
    fn a_short_name_stands_for_the_one_handler_that_has_it() {
        let bundle =
            bundle(&["on-boarding/signup", "billing/pay", "billing/lib/signup", "billing/tests/signup"]);
        assert_eq!(bundle.resolve("signup"), Ok("on-boarding/signup"));
        assert_eq!(bundle.resolve("billing/pay"), Ok("billing/pay"));
        assert_eq!(bundle.handlers().collect::<Vec<_>>(), ["billing/pay", "on-boarding/signup"]);
    }

    #[test]
    fn a_name_that_several_packages_have_must_be_said_in_full() {
        let bundle = bundle(&["a/send", "b/send"]);
        let candidates = vec!["a/send".to_owned(), "b/send".to_owned()];
        assert_eq!(bundle.resolve("send"), Err(ResolveError::Ambiguous { name: "send".into(), candidates }));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let bundle = bundle(&["on-boarding/signin", "on-boarding/signup", "z/other"]);
        let Err(ResolveError::Unknown { known, .. }) = bundle.resolve("singup") else { panic!("resolved") };
        assert_eq!(known.len(), 3);
        assert_eq!(known[2], "z/other");
        assert!(matches!(bundle.resolve("on-boarding/lib"), Err(ResolveError::Unknown { .. })));
    }

    #[test]
    fn every_faulty_file_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("pkg")).unwrap();
        fs::write(dir.path().join("pkg/good.luau"), "return function() end").unwrap();
        fs::write(dir.path().join("pkg/bad.luau"), "local x = 1\nlocal = 2\n").unwrap();
        fs::write(dir.path().join("pkg/bytes.luau"), b"--\n--\n\xff").unwrap();
        let Err(BundleError::Faulty { faults }) = Bundle::from_dir(dir.path()) else { panic!("accepted") };
        let places: Vec<_> = faults.iter().map(|fault| (fault.file.as_str(), fault.line)).collect();
        assert_eq!(places, [("pkg/bad.luau", Some(2)), ("pkg/bytes.luau", Some(3))]);
    }

    #[test]
    fn a_package_laid_over_another_of_its_name_takes_its_place_whole() {
        let shipped = bundle(&["shop/pay", "shop/lib/price", "shop2/pay", "top"]);
        let files = |files: &[(&str, &str)]| {
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect::<Vec<_>>()
        };
        let package = |given: &[(&str, &str)]| Bundle::of_package("shop", files(given));
        let over =
            shipped.over("shop", &package(&[("refund.luau", "return 1"), ("package.json", "{}")]).unwrap());
        assert_eq!(over.handlers().collect::<Vec<_>>(), ["shop/refund", "shop2/pay", "top"]);
        assert_eq!(over.settings().collect::<Vec<_>>(), [("shop", "{}")]);
        let back = over.over("shop", &package(&[("pay.luau", "return 1")]).unwrap());
        assert_eq!((back.handlers().count(), back.settings().count()), (3, 0));
        let none = over.over("shop", &package(&[]).unwrap());
        assert_eq!(none.handlers().collect::<Vec<_>>(), ["shop2/pay", "top"]);
        let Err(BundleError::Faulty { faults }) = package(&[("a.luau", "local =")]) else {
            panic!("accepted")
        };
        assert_eq!(faults[0].file, "shop/a.luau");
    }

    #[test]
    fn a_missing_folder_is_said_by_its_path() {
        let Err(error) = Bundle::from_dir(Path::new("no/such/folder")) else { panic!("read") };
        assert!(error.to_string().contains("no/such/folder"), "{error}");
    }
}

//! The source tree as the house rules read it. Only the standard library.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// A path from the root of the repository.
pub(crate) fn root(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

/// The text of a file, its path given from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path} can be read: {error}"))
}

/// Names of the folders in a folder, in order.
pub(crate) fn folders(path: &str) -> Vec<String> {
    let entries = fs::read_dir(root(path)).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<String> = folders.map(|folder| folder.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every Rust file below a folder, paths from the root, in order.
pub(crate) fn rust_files(path: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root(path)).unwrap().map(Result::unwrap) {
        let below = format!("{path}/{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files.extend(rust_files(&below));
        } else if below.ends_with(".rs") {
            files.push(below);
        }
    }
    files.sort();
    files
}

/// The part of a Rust file that ships: without comment lines, and up to its unit tests, which stand last.
pub(crate) fn shipped(source: &str) -> String {
    let lines = source.lines().take_while(|line| line.trim_end() != "#[cfg(test)]");
    lines.filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

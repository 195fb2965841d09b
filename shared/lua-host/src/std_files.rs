//! The libraries that every handler may require, written in Luau over a few native functions.

/// What builds a machine before any user's code: not to be required.
pub(crate) const PRELUDE: &str = "@prelude";

/// The bytecode of a library, made by `examples/compile-std.rs`: no function compiles it at its start.
macro_rules! library {
    ($file:literal) => {
        include_bytes!(concat!("std/", $file, ".bytecode"))
    };
}

/// Every library by its name, as bytecode, each after those it needs.
pub(crate) const STD_FILES: &[(&str, &[u8])] = &[
    (PRELUDE, library!("prelude")),
    ("@std/base64", library!("base64")),
    ("@std/crypto", library!("crypto")),
    ("@std/hex", library!("hex")),
    ("@std/http", library!("http")),
    ("@std/json", library!("json")),
    ("@std/log", library!("log")),
    ("@std/mail", library!("mail")),
    ("@std/test", library!("test")),
    ("@std/time", library!("time")),
    ("@std/uuid", library!("uuid")),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use std::path::Path;

    use super::*;
    use crate::compiler::compiler;

    #[test]
    fn every_library_is_what_its_source_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/std");
        for (name, bytecode) in STD_FILES {
            let file = name.trim_start_matches("@std/").trim_start_matches('@');
            let source = std::fs::read(folder.join(file).with_extension("luau")).unwrap();
            let compiled = compiler().compile(source).unwrap();
            assert!(compiled == *bytecode, "{name} is old: cargo run -p lua-host --example compile-std");
        }
        for kind in ["luau", "bytecode"] {
            let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
            let of_kind = files.filter(|path| path.extension().is_some_and(|extension| extension == kind));
            assert_eq!(of_kind.count(), STD_FILES.len(), "every .{kind} is one of a library");
        }
    }
}

//! The libraries that every handler may require, written in Luau over a few native functions.

use std::sync::OnceLock;

use crate::bundle::compiler;

/// What builds a machine before any user's code: not to be required.
pub(crate) const PRELUDE: &str = "@prelude";

const SOURCES: &[(&str, &str)] = &[
    (PRELUDE, include_str!("std/prelude.luau")),
    ("@std/base64", include_str!("std/base64.luau")),
    ("@std/crypto", include_str!("std/crypto.luau")),
    ("@std/hex", include_str!("std/hex.luau")),
    ("@std/http", include_str!("std/http.luau")),
    ("@std/json", include_str!("std/json.luau")),
    ("@std/log", include_str!("std/log.luau")),
    ("@std/mail", include_str!("std/mail.luau")),
    ("@std/test", include_str!("std/test.luau")),
    ("@std/time", include_str!("std/time.luau")),
    ("@std/uuid", include_str!("std/uuid.luau")),
];

/// Every library as bytecode, compiled once per process.
pub(crate) fn std_files() -> &'static [(&'static str, Vec<u8>)] {
    static FILES: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let compile = |(name, source): &(&'static str, &str)| {
            let bytecode = compiler().compile(source).expect("the libraries of this crate are Luau");
            (*name, bytecode)
        };
        SOURCES.iter().map(compile).collect()
    })
}

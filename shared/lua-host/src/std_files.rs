//! The libraries that every handler may require, written in Luau over a few native functions.

/// What builds a machine before any user's code: not to be required.
pub(crate) const PRELUDE: &str = "@prelude";

/// The bytecode of a library, from the build script.
macro_rules! library {
    ($file:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".bytecode"))
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

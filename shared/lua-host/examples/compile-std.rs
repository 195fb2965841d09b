//! Compiles the libraries of handlers anew, after a change of theirs or of Luau: `cargo run -p lua-host --example compile-std`.
//! A new library is written first, then compiled by this, and only then named in `std_files.rs`, which cannot be built without it.
//!
//! By hand and not in a build script, for that would be a program of C++ for the machine that builds, beside those for AWS: `sam build`
//! compiles both with zig, and can link only the latter.

use std::error::Error;
use std::{fs, path::Path};

#[path = "../src/compiler.rs"]
mod compiler;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/std");
    for file in fs::read_dir(&folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "luau") {
            fs::write(path.with_extension("bytecode"), compiler::compiler().compile(fs::read(&path)?)?)?;
        }
    }
    Ok(())
}

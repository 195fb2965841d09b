//! Compiles the libraries once, here, so that no function does it at its start.

use std::{env, error::Error, fs, path::Path};

#[path = "src/compiler.rs"]
mod compiler;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/std");
    println!("cargo::rerun-if-changed=src/compiler.rs");
    #[allow(clippy::disallowed_methods, reason = "cargo tells a build script by it where to write")]
    let out = env::var("OUT_DIR")?;
    for file in fs::read_dir("src/std")? {
        let path = file?.path();
        let name = path.file_stem().ok_or("a library has a name")?;
        let bytecode = compiler::compiler().compile(fs::read(&path)?)?;
        fs::write(Path::new(&out).join(name).with_extension("bytecode"), bytecode)?;
    }
    Ok(())
}

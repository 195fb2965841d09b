//! How Luau becomes bytecode: the same for the files of users and for the libraries, which `examples/compile-std.rs` compiles.

use mlua::chunk::Compiler;

/// Optimised, with the lines and names that an error's traceback needs.
pub(crate) fn compiler() -> Compiler {
    Compiler::new().set_optimization_level(1).set_debug_level(1)
}

//! `queuelink`: tables, queues and Lua workers on this machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    lua_host::sandbox_entry();
    queuelink::cli::run()
}

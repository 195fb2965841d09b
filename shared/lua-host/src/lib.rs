//! Runs the Lua handlers of users: one sandbox process, ten machines in it, two walls and one door.
//!
//! A handler is a Luau file that returns a function:
//!
//! ```lua
//! local mail = require("@std/mail")
//!
//! return function(context)
//!     local user = context.message.body
//!     mail.send({ to = user.email, subject = "Welcome", text = "Good to see you." })
//!     context.log.info("greeted", { user = user.id })
//!     context.runtime.AckMessage()
//! end
//! ```
//!
//! - `context.message` has `id`, `queue`, `handler`, `body`, `attempt`, `sent_at`, `attributes`.
//! - `context.runtime` has `AckMessage()`, `RetryMessage(seconds)`, `RejectMessage(reason)`, callable with `.` or `:`. The first
//!   verdict counts; a later, different one is an error line in the log. **A handler that throws has failed, even
//!   after a verdict**: delivery is at least once, so when in doubt the message comes again. A handler that returns
//!   without a verdict has failed too.
//! - `context.log` has `info`, `warn`, `error`, each `(message, fields?)`; `context.config` and `context.secrets` hold what the
//!   worker gave.
//! - JSON's `null` is `require("@std/json").null`; a number that a float cannot keep is a decimal object, which prints and
//!   encodes exactly as it came.
//!
//! What holds the code of users, in [`Sandbox`]'s words:
//!
//! - **The sandbox has no network, no files, no credentials and no environment.** Every effect is one [`HostCall`].
//! - Wall 1, inside: a budget of processor time, a memory limit per machine, bounded conversion. It stops one message.
//! - Wall 2, outside: what is not settled at its deadline plus the grace is killed with the whole sandbox. The guilty
//!   message has failed, its neighbours are [`Verdict::Returned`].

mod bundle;
mod check;
mod child;
mod compiler;
mod convert;
mod harness;
mod job;
mod names;
mod pace;
mod sandbox;
mod std_files;
mod walls;
mod wire;

pub use bundle::{Bundle, BundleError, Fault, ResolveError};
pub use check::{KnownPackages, check_package, required_packages};
pub use harness::{TestResult, run_tests};
pub use job::{
    FailureKind, HandlerError, Host, HostCall, HostError, Job, LogLevel, LogLine, Report, Verdict,
};
pub use sandbox::{Sandbox, SandboxConfig, SandboxError};

/// The argument by which a program knows that it is to be a sandbox; its value says whether it shares a page with its parent.
const SANDBOX_ARGUMENT: &str = "--queuelink-lua-sandbox";

/// First line of every main that may need a sandbox.
///
/// Returns at once, unless the arguments say that this process is a sandbox; then it never returns.
pub fn sandbox_entry() {
    become_sandbox(None);
}

/// As [`sandbox_entry`], with a native function that handlers find under the name `probe`: for tests of the walls only.
#[doc(hidden)]
pub fn sandbox_entry_with_probe(probe: fn(&str) -> String) {
    become_sandbox(Some(probe));
}

fn become_sandbox(probe: Option<fn(&str) -> String>) {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|argument| argument != SANDBOX_ARGUMENT) {
        return;
    }
    let page = arguments.next().is_some_and(|argument| argument == "page");
    let code = i32::from(child::serve(page, probe).is_err());
    std::process::exit(code);
}

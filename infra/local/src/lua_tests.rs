//! `queuelink test`: the tests that packages bring along, written in Lua.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lua_host::{Bundle, Sandbox, SandboxConfig, TestResult, run_tests};

/// Runs the tests of `package`, or of all packages, and writes a line for each to `out`; tells whether all passed.
///
/// Effects never leave: the sandbox's calls are recorded and answered by the test itself.
///
/// # Errors
/// Handlers that cannot be read or compiled, a sandbox that does not start, or no test at all where some were asked for.
pub(crate) async fn run(
    handlers: &Path,
    package: Option<&str>,
    program: PathBuf,
    out: &mut impl Write,
) -> Result<bool, Box<dyn std::error::Error>> {
    let bundle = Bundle::from_dir(handlers)?;
    let sandbox = Sandbox::start(SandboxConfig::new(program), bundle).await?;
    let results = run_tests(&sandbox, package).await;
    if results.is_empty() {
        let place = package.map_or(handlers.to_owned(), |package| handlers.join(package));
        return Err(format!(
            "there is no test under {}: tests are the files of a folder 'tests'",
            place.display()
        )
        .into());
    }
    let failed = results.iter().filter(|result| !result.passed()).count();
    for result in &results {
        write_result(result, out)?;
    }
    writeln!(out, "\n{} passed, {failed} failed", results.len() - failed)?;
    Ok(failed == 0)
}

fn write_result(result: &TestResult, out: &mut impl Write) -> io::Result<()> {
    let name = if result.name.is_empty() { "(the file itself)" } else { &result.name };
    match &result.failure {
        None => writeln!(out, "ok      {}: {name}", result.file),
        Some(failure) => writeln!(out, "FAILED  {}: {name}\n        {failure}", result.file),
    }
}

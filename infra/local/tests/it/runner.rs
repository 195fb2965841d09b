//! Starts the real binary in a folder of its own and talks to it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A start takes a second or two; far longer is a hang.
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn handlers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/handlers")
}

/// The binary with these arguments, on a free port and with the test handlers where they do not say otherwise.
pub(crate) fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_queuelink"));
    command.process_group(0).env("LOG_LEVEL", "error").arg("--data-dir").arg(data);
    if !arguments.contains(&"--handlers-dir") {
        command.arg("--handlers-dir").arg(handlers());
    }
    if !arguments.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A runner that says it is ready.
pub(crate) struct Runner {
    child: Child,
    /// All it printed up to the end of its greeting.
    pub(crate) greeting: String,
    out: BufReader<std::process::ChildStdout>,
    data: PathBuf,
}

impl Runner {
    pub(crate) fn start(data: &Path, arguments: &[&str]) -> Runner {
        Runner::start_by(command(data, arguments), data)
    }

    /// By a command that [`command`] made for this folder.
    pub(crate) fn start_by(mut command: Command, data: &Path) -> Runner {
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut runner = Runner { child, greeting: String::new(), out, data: data.to_owned() };
        while runner.out.read_line(&mut runner.greeting).unwrap() > 0 {
            if runner.greeting.lines().last().is_some_and(|line| line.starts_with("Queuelink is ready")) {
                return runner;
            }
        }
        let mut error = String::new();
        runner.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        panic!("it ended: {}{error}", runner.greeting);
    }

    pub(crate) fn runtime(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.data.join("runtime.json")).unwrap()).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn mailbox(&self) -> PathBuf {
        self.data.join("mailbox")
    }

    /// Ends it by Ctrl-C; all that it said on standard error.
    pub(crate) fn log(mut self) -> String {
        let mut error = self.child.stderr.take().unwrap();
        self.interrupt();
        let mut said = String::new();
        error.read_to_string(&mut said).unwrap();
        said
    }

    /// The signal of Ctrl-C to the runner alone.
    pub(crate) fn interrupt(self) -> (ExitStatus, String) {
        let process = self.pid().to_string();
        self.end(&process)
    }

    /// Ctrl-C, and again as soon as the first one was heard.
    pub(crate) fn interrupt_twice(mut self) -> (ExitStatus, String) {
        let process = self.pid().to_string();
        let done = Command::new("kill").args(["-INT", "--", &process]).status().unwrap();
        assert!(done.success());
        let mut line = String::new();
        while !line.starts_with("Stopping") {
            line.clear();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "it ended at the first Ctrl-C");
        }
        self.end(&process)
    }

    /// Ctrl-C as a terminal sends it.
    pub(crate) fn interrupt_group(self) -> (ExitStatus, String) {
        let group = format!("-{}", self.pid());
        self.end(&group)
    }

    fn end(mut self, whom: &str) -> (ExitStatus, String) {
        let done = Command::new("kill").args(["-INT", "--", whom]).status().unwrap();
        assert!(done.success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// All mails in the mailbox, once there are `count`.
    pub(crate) fn mails(&self, count: usize) -> Vec<String> {
        let start = Instant::now();
        loop {
            let mut files: Vec<_> = std::fs::read_dir(self.data.join("mailbox"))
                .unwrap()
                .map(|file| file.unwrap().path())
                .collect();
            files.retain(|file| file.extension().is_some_and(|kind| kind == "eml"));
            files.sort();
            if files.len() >= count {
                return files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
            }
            assert!(start.elapsed() < PATIENCE, "only {} of {count} mails came", files.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

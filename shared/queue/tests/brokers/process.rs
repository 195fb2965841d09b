//! A broker that one of the scripts in `tests/engines` started: found, stopped, frozen and started again.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::until;

/// Who stops the broker, or freezes it, has it alone.
static IN_USE: RwLock<()> = RwLock::const_new(());

/// The broker, for a test that leaves it as it is. `None` where there is none.
pub(crate) async fn shared<B>(find: fn() -> Option<B>) -> Option<(B, RwLockReadGuard<'static, ()>)> {
    Some((find()?, IN_USE.read().await))
}

/// The broker, for a test that stops it.
pub(crate) async fn alone<B>(find: fn() -> Option<B>) -> Option<(B, RwLockWriteGuard<'static, ()>)> {
    Some((find()?, IN_USE.write().await))
}

/// Says aloud, once, that there is no such broker.
pub(crate) fn say_skipped(broker: &str, script: &str) {
    static SAID: std::sync::Once = std::sync::Once::new();
    // Past the harness, which would keep it to itself.
    let said = format!("\n!!! SKIPPED: no {broker} here; run by tests/engines/{script}\n");
    SAID.call_once(|| std::io::stderr().write_all(said.as_bytes()).unwrap());
}

/// The folder that the script made: with `pid`, and `start`, which starts the broker again once it was stopped.
pub(crate) struct Process {
    pub(crate) folder: PathBuf,
}

impl Process {
    /// All that it takes to stop it at a word: on a busy machine a process is not started in no time.
    pub(crate) fn freezer(&self) -> Freezer {
        let pid = self.pid();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("echo ready && read -r _ && kill -STOP {pid}"));
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        Freezer { shell, tasks: format!("/proc/{pid}/task") }
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Ends it without a word of good-bye.
    pub(crate) async fn kill(&self) {
        self.end("-KILL").await;
    }

    /// Ends it by this signal, and waits until it is gone.
    pub(crate) async fn end(&self, signal: &str) {
        let pid = self.pid();
        self.signal(signal);
        let lives =
            || Command::new("kill").args(["-0", &pid]).stderr(Stdio::null()).status().unwrap().success();
        until("the broker is gone", || !lives()).await;
    }

    /// Starts it again; it takes a while until it answers.
    pub(crate) fn start(&self) {
        let mut broker = Command::new(self.folder.join("start")).stdin(Stdio::null()).spawn().unwrap();
        // Else it would seem to live on once it is killed.
        std::thread::spawn(move || broker.wait());
    }

    fn pid(&self) -> String {
        std::fs::read_to_string(self.folder.join("pid")).unwrap().trim().to_owned()
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.pid()]).status().unwrap().success(), "{name}");
    }
}

/// Waits for the word to stop a broker.
pub(crate) struct Freezer {
    shell: Child,
    /// The broker's threads.
    tasks: String,
}

impl Freezer {
    /// Stops the broker where it stands. Its threads are told one after the other, so it goes on a while after the signal was sent.
    pub(crate) async fn freeze(mut self) {
        self.shell.stdin.take().unwrap().write_all(b"now\n").unwrap();
        assert!(self.shell.wait().unwrap().success());
        until("the broker is frozen", || threads(&self.tasks).iter().all(|state| state == "T")).await;
    }
}

/// The state of each thread, as the kernel names it: `T` for one that is stopped.
fn threads(tasks: &str) -> Vec<String> {
    let all = std::fs::read_dir(tasks).unwrap().map(|task| task.unwrap().path().join("stat"));
    // A thread may end between the two looks.
    let stats = all.filter_map(|stat| std::fs::read_to_string(stat).ok());
    stats.map(|stat| stat.rsplit_once(") ").unwrap().1.split(' ').next().unwrap().to_owned()).collect()
}

//! The processes: each is the real binary, may be killed at any moment, and is started again when it is needed.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::runtime_api::{Answer, Died, Function};

/// Every function's timeout: less than what it was given stays out of sight of other processes.
const TIMEOUT: Duration = Duration::from_secs(25);

/// A function of the system: one process, which has one event at a time, as on Lambda.
pub struct Actor {
    name: &'static str,
    binary: PathBuf,
    environment: Vec<(&'static str, String)>,
    function: tokio::sync::Mutex<Option<Function>>,
    /// The pid of the process that runs now.
    pid: Mutex<Option<u32>>,
    kills: AtomicU32,
}

impl Actor {
    pub fn new(name: &'static str, binary: &str, environment: &[(&'static str, String)]) -> Actor {
        Actor {
            name,
            binary: PathBuf::from(binary),
            environment: environment.to_vec(),
            function: tokio::sync::Mutex::default(),
            pid: Mutex::default(),
            kills: AtomicU32::new(0),
        }
    }

    /// Hands over one event; a process that was killed is started again first.
    pub async fn call(&self, event: Value) -> Result<Answer, Died> {
        let mut function = self.function.lock().await;
        let running = match function.take() {
            Some(running) => running,
            None => {
                // Of thousands of events nobody reads the log.
                let quiet = Stdio::null();
                let started = Function::start_with(self.name, &self.binary, &self.environment, quiet).await;
                let started = started.with_timeout(TIMEOUT);
                *self.pid.lock().unwrap() = Some(started.pid());
                started
            }
        };
        let running = function.insert(running);
        let answer = running.try_invoke(event).await;
        if answer.is_err() {
            *self.pid.lock().unwrap() = None;
            *function = None;
        }
        answer
    }

    /// SIGKILL, by pid. Whether there was a process.
    pub fn kill(&self) -> bool {
        let killed = self.pid.lock().unwrap().take().is_some_and(kill_9);
        self.kills.fetch_add(u32::from(killed), Ordering::SeqCst);
        killed
    }

    pub fn kills(&self) -> u32 {
        self.kills.load(Ordering::SeqCst)
    }
}

/// The engines: one process on ports that stay the same.
pub struct Engines {
    arguments: [String; 3],
    child: Mutex<Child>,
    kills: AtomicU32,
}

impl Engines {
    pub fn start(folder: &std::path::Path, dynamodb_port: u16, sqs_port: u16) -> Engines {
        let arguments = [folder.display().to_string(), dynamodb_port.to_string(), sqs_port.to_string()];
        let child = Mutex::new(spawn(&arguments));
        Engines { arguments, child, kills: AtomicU32::new(0) }
    }

    /// SIGKILL, and a new process over the same files.
    pub fn kill_and_start(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        *child = spawn(&self.arguments);
        self.kills.fetch_add(1, Ordering::SeqCst);
    }

    pub fn kills(&self) -> u32 {
        self.kills.load(Ordering::SeqCst)
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn spawn(arguments: &[String]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_it-engines")).args(arguments).stdin(Stdio::null()).spawn().unwrap()
}

fn kill_9(pid: u32) -> bool {
    let pid = i32::try_from(pid).unwrap();
    let status = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status().unwrap();
    status.success()
}

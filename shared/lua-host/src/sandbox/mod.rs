//! The parent's side: starts the sandbox, gives it work, ends it when it must be ended.

mod alarm;
mod process;
mod talk;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use alarm::Alarms;
use process::Process;
use talk::{Ended, Watch, talk};
use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout_at,
};
use tracing::warn;

use crate::{
    Bundle, Host, Job, Report,
    std_files::STD_FILES,
    walls::process::close_to_others,
    wire::{Hello, ToChild},
};

/// More handlers at once than this share one thread too thinly.
const MAX_SLOTS: usize = 64;

/// A handler that would have less time than this is not started.
const MIN_RUN: Duration = Duration::from_millis(250);

/// What a sandbox may use.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// The program to start as the sandbox: one whose main begins with [`sandbox_entry`](crate::sandbox_entry), mostly the worker's own.
    pub program: PathBuf,
    /// How many handlers run at once, each in its own machine: 1 to 64, by default 10.
    pub slots: usize,
    /// What one machine may hold, in bytes: by default 64 MiB.
    pub memory_bytes_per_vm: usize,
    /// How long after a message's deadline the sandbox may still settle it, in milliseconds: by default 100.
    pub grace_ms: u64,
    /// How much of a handler's log is kept, newest first, in bytes: by default 16 KiB.
    pub max_log_bytes: usize,
    /// How large one host call's arguments may be, in bytes of JSON: by default 1 MiB.
    pub max_reply_bytes: usize,
}

impl SandboxConfig {
    /// The limits of the blueprint, for a program.
    pub fn new(program: impl Into<PathBuf>) -> SandboxConfig {
        SandboxConfig {
            program: program.into(),
            slots: 10,
            memory_bytes_per_vm: 64 << 20,
            grace_ms: 100,
            max_log_bytes: 16 << 10,
            max_reply_bytes: 1 << 20,
        }
    }
}

/// A sandbox cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The program cannot be run.
    #[error("the sandbox program {program} cannot be started")]
    Start {
        /// Its path.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The program ran, but did not behave as a sandbox: its main must begin with `lua_host::sandbox_entry()`.
    #[error("{program} did not become a sandbox: {why}")]
    NotASandbox {
        /// Its path.
        program: String,
        /// What it did instead.
        why: String,
    },
}

/// The parent's handle of a sandbox process. Cheap to clone; the process ends with its last handle.
///
/// A process that was killed, or died, is replaced when the next message comes.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    config: SandboxConfig,
    bundle: Bundle,
    /// The first frame of every process, made once.
    hello: Vec<u8>,
    alarms: Alarms,
    /// One permit per slot.
    slots: Semaphore,
    process: Mutex<Option<Arc<Process>>>,
    pid: AtomicU32,
}

impl Sandbox {
    /// Starts the process, and closes this one to others of the same user: what a handler might break out to reads neither
    /// its environment nor its memory.
    ///
    /// # Errors
    /// The program cannot be run, or is none that begins with [`sandbox_entry`](crate::sandbox_entry).
    pub async fn start(mut config: SandboxConfig, bundle: Bundle) -> Result<Sandbox, SandboxError> {
        if let Err(error) = close_to_others() {
            warn!(error = %error, "This platform cannot close the parent's memory to the sandbox.");
        }
        config.slots = config.slots.clamp(1, MAX_SLOTS);
        let hello = hello(&config, &bundle);
        let process = Process::start(&config, &hello, true).await?;
        let shared = Shared {
            alarms: Alarms::default(),
            slots: Semaphore::new(config.slots),
            pid: AtomicU32::new(process.pid().unwrap_or(0)),
            process: Mutex::new(Some(Arc::new(process))),
            config,
            bundle,
            hello,
        };
        Ok(Sandbox { shared: Arc::new(shared) })
    }

    /// The files it runs.
    pub fn bundle(&self) -> &Bundle {
        &self.shared.bundle
    }

    /// Runs one handler for one message, at most [`SandboxConfig::slots`] at once; more wait for a slot, at most until their deadline.
    ///
    /// Never panics, and never takes longer than the job's deadline plus the grace (plus a killed process's last breath). When the
    /// caller drops it, the run goes on to its end, unheard.
    pub async fn run(&self, job: Job, host: Arc<dyn Host>) -> Report {
        self.run_file(job, host, false).await
    }

    pub(crate) async fn run_file(&self, job: Job, host: Arc<dyn Host>, test: bool) -> Report {
        let started = Instant::now();
        // A task of its own: a slot is only free again when the sandbox says so, whoever still listens.
        let shared = Arc::clone(&self.shared);
        let ended = tokio::spawn(async move { shared.run(job, host, test).await })
            .await
            .unwrap_or_else(|error| Ended::returned(format!("the run was lost: {error}")));
        Report {
            verdict: ended.verdict,
            log: ended.log,
            log_truncated: ended.log_truncated,
            cpu_ms: ended.cpu_us as f64 / 1e3,
            run_ms: started.elapsed().as_secs_f64() * 1e3,
        }
    }

    /// The present process; none while the last one is dead and no message has come since.
    pub fn pid(&self) -> Option<u32> {
        Some(self.shared.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }
}

impl Shared {
    async fn run(&self, job: Job, host: Arc<dyn Host>, test: bool) -> Ended {
        let start_by = start_by(Instant::now(), job.deadline).into();
        let Ok(Ok(_slot)) = timeout_at(start_by, self.slots.acquire()).await else {
            return Ended::returned("no slot was free before the deadline");
        };
        // A process may die between being found alive and being sat in; twice in a row it is not chance.
        for _ in 0..3 {
            let process = match timeout_at(start_by, self.living()).await {
                Ok(Ok(process)) => process,
                Ok(Err(error)) => return Ended::returned(error.to_string()),
                Err(_) => return Ended::returned("no sandbox was ready before the deadline"),
            };
            if let Some((seat, events)) = process.sit() {
                let grace = Duration::from_millis(self.config.grace_ms);
                let mut alarm = self.alarms.take(job.deadline.into());
                let watch = Watch::new(&mut alarm, job.deadline, grace);
                let ended = talk(&process, seat, events, job, test, watch, host).await;
                self.alarms.give_back(alarm);
                if !process.is_alive() {
                    self.forget(&process).await;
                }
                return ended;
            }
        }
        Ended::returned("the sandbox keeps ending")
    }

    /// The present process, or a new one.
    async fn living(&self) -> Result<Arc<Process>, SandboxError> {
        let mut present = self.process.lock().await;
        if let Some(process) = present.as_ref()
            && process.is_alive()
        {
            return Ok(Arc::clone(process));
        }
        let process = Arc::new(Process::start(&self.config, &self.hello, false).await?);
        self.pid.store(process.pid().unwrap_or(0), Ordering::Relaxed);
        *present = Some(Arc::clone(&process));
        Ok(process)
    }

    async fn forget(&self, dead: &Arc<Process>) {
        let mut present = self.process.lock().await;
        if present.as_ref().is_some_and(|process| Arc::ptr_eq(process, dead)) {
            *present = None;
            self.pid.store(0, Ordering::Relaxed);
        }
    }
}

/// What waited so long for its place that little time is left is not started: it would only be struck for its neighbours' sake.
fn start_by(now: Instant, deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(now);
    now + left.saturating_sub((left / 20).min(MIN_RUN))
}

fn hello(config: &SandboxConfig, bundle: &Bundle) -> Vec<u8> {
    let libraries = STD_FILES.iter().map(|(name, bytecode)| ((*name).to_owned(), bytecode.to_vec()));
    let files = bundle.files().map(|(name, file)| (name.to_owned(), file.bytecode.clone()));
    let hello = Hello {
        slots: config.slots as u32,
        memory_bytes_per_vm: config.memory_bytes_per_vm as u64,
        max_log_bytes: config.max_log_bytes as u64,
        max_reply_bytes: config.max_reply_bytes as u64,
        files: libraries.chain(files).collect(),
    };
    ToChild::Hello(hello).encode()
}

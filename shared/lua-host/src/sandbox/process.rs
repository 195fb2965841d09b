//! One life of the sandbox process: who sits in which slot, and what it says.

use std::{
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Notify, mpsc},
    time::timeout,
};
use tracing::{info, warn};

use super::{SandboxConfig, SandboxError};
use crate::{
    SANDBOX_ARGUMENT,
    pace::Pace,
    walls::process::SharedPage,
    wire::{FRAME_ROOM, ToChild, ToParent, WireError},
};

/// A process that has not said that its walls stand by then never will.
const START_TIME: Duration = Duration::from_secs(10);

/// What the sandbox says to one seat.
#[derive(Debug)]
pub(super) enum Event {
    /// It asks for an effect.
    Call { module: String, function: String, arguments: String },
    /// Its run has ended: a [`Done`](crate::wire::Done) as JSON.
    Done { report: String },
    /// The process has ended.
    Died(Death),
}

/// The end of a process, as one seat sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Death {
    /// Whether this seat's handler ran at the end.
    pub(super) guilty: bool,
    /// Whether the parent ended it for the sake of this seat's deadline.
    pub(super) overdue: bool,
}

/// The parent's end of a living process. When the last handle of it is gone, its input closes and it ends.
pub(super) struct Process {
    input: tokio::sync::Mutex<ChildStdin>,
    seats: Arc<Seats>,
    pid: Option<u32>,
    /// Of its words.
    pub(super) pace: Pace,
}

/// What the process and the task that listens to it share.
struct Seats {
    table: Mutex<Table>,
    page: Option<SharedPage>,
    /// Asks the listening task to kill.
    kill: Notify,
    alive: AtomicBool,
}

struct Table {
    seats: Vec<Option<mpsc::Sender<Event>>>,
    /// The seat whose watchdog asked for the end.
    overdue: Option<usize>,
}

impl Seats {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts one and waits until its walls stand.
    pub(super) async fn start(
        config: &SandboxConfig,
        hello: &[u8],
        first: bool,
    ) -> Result<Process, SandboxError> {
        let program = config.program.display().to_string();
        let (page, stderr) = match SharedPage::new() {
            Ok((page, fd)) => (Some(page), Stdio::from(fd)),
            Err(_) => (None, Stdio::null()),
        };
        let mut child = Command::new(&config.program)
            .args([SANDBOX_ARGUMENT, if page.is_some() { "page" } else { "no-page" }])
            .env_clear()
            // Ctrl-C at a terminal reaches the whole group; the sandbox must live on for the messages in work.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| SandboxError::Start { program: program.clone(), source })?;
        let not_a_sandbox = |why: String| SandboxError::NotASandbox { program: program.clone(), why };
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(not_a_sandbox("it has no pipes".to_owned()));
        };
        let max_bytes = config.max_reply_bytes + 8 * config.max_log_bytes + FRAME_ROOM;
        let mut listener = Listener { output, buffer: Vec::new(), start: 0, max_bytes };
        let greeted = timeout(START_TIME, async {
            let ready = listener.next().await.map_err(|why| why.to_string())?;
            input.write_all(hello).await.map_err(|error| error.to_string())?;
            Ok::<_, String>(ready)
        });
        let weaknesses = match greeted.await {
            Ok(Ok(ToParent::Ready { weaknesses })) => weaknesses,
            Ok(Ok(_)) => return Err(not_a_sandbox("its first word was another".to_owned())),
            Ok(Err(why)) => return Err(not_a_sandbox(why)),
            Err(_) => return Err(not_a_sandbox(format!("it said nothing for {START_TIME:?}"))),
        };
        let pid = child.id();
        if first {
            for weakness in &weaknesses {
                warn!(sandbox.weakness = weakness, "This platform refuses the sandbox a wall.");
            }
        } else {
            info!(process.pid = pid, "A new sandbox has been started.");
        }
        let table = Table { seats: vec![None; config.slots], overdue: None };
        let seats = Arc::new(Seats {
            table: Mutex::new(table),
            page,
            kill: Notify::new(),
            alive: AtomicBool::new(true),
        });
        tokio::spawn(listen(child, listener, Arc::clone(&seats)));
        Ok(Process { input: tokio::sync::Mutex::new(input), seats, pid, pace: Pace::new() })
    }

    pub(super) fn is_alive(&self) -> bool {
        self.seats.alive.load(Ordering::Acquire)
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.pid.filter(|_| self.is_alive())
    }

    /// Takes a free slot; none, when the process is dead.
    pub(super) fn sit(&self) -> Option<(usize, mpsc::Receiver<Event>)> {
        let mut table = self.seats.lock();
        if !self.is_alive() {
            return None;
        }
        let seat = table.seats.iter().position(Option::is_none)?;
        // A run has one call under way, then its end, then the process's: more is no sandbox of ours.
        let (sender, events) = mpsc::channel(4);
        table.seats[seat] = Some(sender);
        Some((seat, events))
    }

    /// Says something. An error means that the process is dying; its last event follows.
    pub(super) async fn say(&self, frame: &ToChild) {
        let bytes = frame.encode();
        let _ = self.input.lock().await.write_all(&bytes).await;
    }

    /// Ends the process because one seat is not done in time. Each seat gets its last event.
    pub(super) fn kill(&self, overdue: usize) {
        self.seats.lock().overdue.get_or_insert(overdue);
        self.seats.kill.notify_one();
    }
}

/// Hands each frame to its seat until the process ends, then tells everybody.
async fn listen(mut child: Child, mut listener: Listener, seats: Arc<Seats>) {
    loop {
        let frame = tokio::select! {
            frame = listener.next() => frame,
            () = seats.kill.notified() => break,
        };
        let Ok(frame) = frame else { break };
        if !hand_over(&seats, frame) {
            warn!(process.pid = child.id(), "The sandbox said what it never says and is ended.");
            break;
        }
    }
    let _ = child.start_kill();
    let ended = child.wait().await;
    let mut table = seats.lock();
    seats.alive.store(false, Ordering::Release);
    let guilty = blame(&table, seats.page.as_ref());
    let overdue = table.overdue;
    let mut neighbours = 0;
    for (seat, sender) in table.seats.iter_mut().enumerate() {
        if let Some(sender) = sender.take() {
            let death = Death { guilty: guilty == Some(seat), overdue: overdue == Some(seat) };
            neighbours += usize::from(!death.guilty);
            // A full channel is a run that reads no more.
            let _ = sender.try_send(Event::Died(death));
        }
    }
    if guilty.is_some() || neighbours > 0 {
        let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        warn!(
            sandbox.status = status,
            sandbox.guilty_slot = guilty,
            sandbox.neighbours = neighbours,
            "The sandbox ended under its handlers."
        );
    }
}

/// Whose handler ran at the end: as the shared page says; else the one that was overdue; else, without a page, the only one.
fn blame(table: &Table, page: Option<&SharedPage>) -> Option<usize> {
    let taken = |seat: &usize| table.seats.get(*seat).is_some_and(Option::is_some);
    let running = page.and_then(SharedPage::running).filter(taken);
    running.or(table.overdue).or_else(|| {
        let mut seats = (0..table.seats.len()).filter(taken);
        match (page, seats.next(), seats.next()) {
            (None, Some(only), None) => Some(only),
            _ => None,
        }
    })
}

/// False when the frame makes no sense.
fn hand_over(seats: &Seats, frame: ToParent) -> bool {
    let mut table = seats.lock();
    let (slot, event) = match frame {
        ToParent::Call { slot, module, function, arguments } => {
            (slot, Event::Call { module, function, arguments })
        }
        ToParent::Done { slot, report } => (slot, Event::Done { report }),
        ToParent::Ready { .. } => return false,
    };
    let Some(seat) = table.seats.get_mut(slot as usize) else { return false };
    let Some(sender) = seat else { return false };
    !matches!(sender.try_send(event), Err(mpsc::error::TrySendError::Full(_)))
}

impl Process {
    /// Frees a slot whose run has ended.
    pub(super) fn rise(&self, seat: usize) {
        self.seats.lock().seats[seat] = None;
    }
}

/// Reads whole frames from the sandbox, each no longer than it may be.
struct Listener {
    output: ChildStdout,
    buffer: Vec<u8>,
    start: usize,
    max_bytes: usize,
}

impl Listener {
    /// Loses nothing when it is dropped before it is done.
    async fn next(&mut self) -> Result<ToParent, ListenError> {
        self.fill(4).await?;
        let head = &self.buffer[self.start..self.start + 4];
        let length = u32::from_le_bytes(head.try_into().expect("four bytes were sliced")) as usize;
        if length > self.max_bytes {
            return Err(WireError("a frame is too long").into());
        }
        self.fill(4 + length).await?;
        let from = self.start + 4;
        let frame = ToParent::decode(&self.buffer[from..from + length])?;
        self.start = from + length;
        Ok(frame)
    }

    async fn fill(&mut self, count: usize) -> Result<(), ListenError> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        while self.buffer.len() - self.start < count {
            if self.start > 0 {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            self.buffer.reserve(count.max(16 << 10));
            if self.output.read_buf(&mut self.buffer).await? == 0 {
                return Err(ListenError::Ended);
            }
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error("it ended")]
    Ended,
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("its output cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

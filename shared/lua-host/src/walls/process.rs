//! What the sandbox process gives up before it reads its first byte of a user's code, and the page it shares with its parent.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    ptr::{self, NonNull},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Forbids others of the same user to read this process's memory and environment: the sandbox's own user is ours.
#[cfg(target_os = "linux")]
pub(crate) fn close_to_others() -> io::Result<()> {
    // SAFETY: sets one attribute of this process, no memory involved.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) })
}

/// Other systems have no such switch.
#[cfg(not(target_os = "linux"))]
pub(crate) fn close_to_others() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The processor time that the calling thread has used.
pub(crate) fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the struct it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// One page of memory in which the sandbox notes whose handler it runs, for the case that it cannot say so any more.
pub(crate) struct SharedPage {
    /// The running slot + 1; 0 when none runs.
    running: NonNull<AtomicU32>,
}

// SAFETY: the page is only ever touched through one atomic.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

const PAGE_BYTES: usize = 4096;

impl SharedPage {
    /// Makes one, and the descriptor to hand to the sandbox.
    #[cfg(target_os = "linux")]
    pub(crate) fn new() -> io::Result<(SharedPage, OwnedFd)> {
        // SAFETY: makes a descriptor that nobody else owns.
        let fd = unsafe { libc::memfd_create(c"queuelink-sandbox".as_ptr(), libc::MFD_CLOEXEC) };
        check(fd)?;
        // SAFETY: the descriptor was made just now and is valid.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sets the length of our own file.
        check(unsafe { libc::ftruncate(fd.as_raw_fd(), PAGE_BYTES as libc::off_t) })?;
        Ok((SharedPage::map(&fd)?, fd))
    }

    /// Anonymous files are Linux's own.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new() -> io::Result<(SharedPage, OwnedFd)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn map(fd: &impl AsRawFd) -> io::Result<SharedPage> {
        // SAFETY: maps a new page where the system likes; it stays mapped until the drop below.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                PAGE_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let running = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(SharedPage { running })
    }

    fn cell(&self) -> &AtomicU32 {
        // SAFETY: the page is mapped, zeroed or written through this atomic only, and lives as long as `self`.
        unsafe { self.running.as_ref() }
    }

    /// Notes who runs now.
    pub(crate) fn set_running(&self, slot: Option<usize>) {
        self.cell().store(slot.map_or(0, |slot| slot as u32 + 1), Ordering::Relaxed);
    }

    /// Who ran last.
    pub(crate) fn running(&self) -> Option<usize> {
        self.cell().load(Ordering::Relaxed).checked_sub(1).map(|slot| slot as usize)
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: unmaps what `map` mapped; no reference outlives `self`.
        unsafe { libc::munmap(self.running.as_ptr().cast(), PAGE_BYTES) };
    }
}

/// What is left of the world inside the walls.
pub(crate) struct Inside {
    pub(crate) input: File,
    pub(crate) output: File,
    pub(crate) page: Option<SharedPage>,
    /// Tells whether the input has something to read.
    readable: Events,
    /// The walls that this platform refused, in words.
    pub(crate) weaknesses: Vec<String>,
}

impl Inside {
    /// Builds the walls around this process: no descriptors but the pipes and the page, no files, no system calls but
    /// those that compute. Call it when all threads that will ever be needed run. One more thread ends the process with
    /// its parent.
    ///
    /// With `page`, the descriptor of standard error is the shared page.
    pub(crate) fn build(page: bool) -> io::Result<Inside> {
        let mut weaknesses = Vec::new();
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let shared = if page { SharedPage::map(&io::stderr()).ok() } else { None };
        if shared.is_none() {
            weaknesses
                .push("no memory can be shared, so a killed sandbox cannot name its culprit".to_owned());
        }
        // What a panic prints must go nowhere: a write to the page would end the process by a signal.
        let nowhere = File::options().write(true).open("/dev/null")?;
        // SAFETY: replaces our standard error, which nobody else uses.
        check(unsafe { libc::dup2(nowhere.as_raw_fd(), libc::STDERR_FILENO) })?;
        drop(nowhere);
        close_inherited(&[input.as_raw_fd(), output.as_raw_fd()]);
        let readable = Events::of(&input, Wanted::Data)?;
        let hang_up = Events::of(&input, Wanted::HangUp)?;
        spawn("watcher", move || {
            while !matches!(hang_up.wait(-1), Ok(true)) {
                thread::sleep(Duration::from_millis(10));
            }
            // SAFETY: ends the process at once, without the exit handlers of what still computes.
            unsafe { libc::_exit(0) };
        })?;
        if let Err(error) = limit_resources() {
            weaknesses.push(format!("resource limits: {error}"));
        }
        if let Err(error) = system_calls::restrict() {
            weaknesses.push(format!("system calls are not filtered: {error}"));
        }
        Ok(Inside { input, output, page: shared, readable, weaknesses })
    }

    /// Whether a read would return at once.
    pub(crate) fn readable(&self) -> bool {
        matches!(self.readable.wait(0), Ok(true))
    }
}

/// Starts a small thread and waits until it runs: what the system's library does at a thread's birth is behind the walls
/// already forbidden, and ends the process.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let (born, birth) = mpsc::channel();
    thread::Builder::new().name(name.to_owned()).stack_size(64 << 10).spawn(move || {
        let _ = born.send(());
        work();
    })?;
    birth.recv().map_err(|_| io::ErrorKind::BrokenPipe.into())
}

/// No descriptor that the parent's libraries left open to children survives.
fn close_inherited(keep: &[i32]) {
    let highest = keep.iter().copied().max().unwrap_or(2).max(2);
    for fd in 3..=highest {
        if !keep.contains(&fd) {
            // SAFETY: nothing in this young process owns a descriptor beside those that are kept.
            unsafe { libc::close(fd) };
        }
    }
    #[cfg(target_os = "linux")]
    // SAFETY: as above, for all the others at once.
    if unsafe { libc::syscall(libc::SYS_close_range, highest + 1, u32::MAX, 0) } == 0 {
        return;
    }
    for fd in highest + 1..65_536 {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

fn limit_resources() -> io::Result<()> {
    let resources = [
        libc::RLIMIT_FSIZE,
        libc::RLIMIT_CORE,
        libc::RLIMIT_NPROC,
        // Elsewhere `poll` is all there is to wait with, and it counts against this limit.
        #[cfg(target_os = "linux")]
        libc::RLIMIT_NOFILE,
    ];
    for resource in resources {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: reads the struct it is given.
        check(unsafe { libc::setrlimit(resource, &none) })?;
    }
    Ok(())
}

enum Wanted {
    Data,
    HangUp,
}

/// Waits for one thing to happen to the input. With no descriptors allowed `poll` refuses to work, so this is an `epoll`
/// made beforehand.
#[cfg(target_os = "linux")]
struct Events(OwnedFd);

#[cfg(target_os = "linux")]
impl Events {
    fn of(input: &File, wanted: Wanted) -> io::Result<Events> {
        // SAFETY: makes a descriptor that nobody else owns.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        check(fd)?;
        // SAFETY: made just now and valid.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // The end of the other side is reported unasked.
        let events = match wanted {
            Wanted::Data => libc::EPOLLIN as u32,
            Wanted::HangUp => 0,
        };
        let mut event = libc::epoll_event { events, u64: 0 };
        // SAFETY: both descriptors are open, the struct is read only.
        check(unsafe {
            libc::epoll_ctl(fd.as_raw_fd(), libc::EPOLL_CTL_ADD, input.as_raw_fd(), &mut event)
        })?;
        Ok(Events(fd))
    }

    fn wait(&self, timeout_ms: i32) -> io::Result<bool> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: writes at most the one event it is given room for.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), &mut event, 1, timeout_ms) };
        check(count)?;
        Ok(count > 0)
    }
}

#[cfg(not(target_os = "linux"))]
struct Events {
    fd: i32,
    events: i16,
}

#[cfg(not(target_os = "linux"))]
impl Events {
    fn of(input: &File, wanted: Wanted) -> io::Result<Events> {
        let events = match wanted {
            Wanted::Data => libc::POLLIN,
            Wanted::HangUp => 0,
        };
        Ok(Events { fd: input.as_raw_fd(), events })
    }

    fn wait(&self, timeout_ms: i32) -> io::Result<bool> {
        let mut poll = libc::pollfd { fd: self.fd, events: self.events, revents: 0 };
        // SAFETY: reads and writes the one struct it is given.
        let count = unsafe { libc::poll(&mut poll, 1, timeout_ms) };
        check(count)?;
        Ok(count > 0)
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(target_os = "linux")]
mod system_calls {
    use std::{collections::BTreeMap, env, error::Error};

    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    /// What computing needs: memory, locks, clocks, and the pipes that are open already.
    const ALLOWED: &[i64] = &[
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_epoll_pwait,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
        libc::SYS_getrandom,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];

    /// Refuses every other call with EPERM, in all threads and for good.
    pub(super) fn restrict() -> Result<(), Box<dyn Error>> {
        let rules: BTreeMap<_, _> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
        let refuse = SeccompAction::Errno(libc::EPERM as u32);
        let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, env::consts::ARCH.try_into()?)?;
        let program: BpfProgram = filter.try_into()?;
        seccompiler::apply_filter_all_threads(&program)?;
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod system_calls {
    use std::io;

    /// Only Linux has the filter.
    pub(super) fn restrict() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

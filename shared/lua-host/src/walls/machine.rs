//! Runs a Lua coroutine in slices that it cannot refuse to end.
//!
//! A ticker arms the machine's interrupt every 5 ms. At its next safepoint the machine calls [`on_interrupt`], which
//! *breaks* the coroutine: a break, unlike a yield, is not seen by the user's own `coroutine.resume`, runs through
//! every `pcall`, and stops the whole chain of nested coroutines. A host call leaves by the same door. The driver then
//! resumes the innermost coroutine first, and each outer one picks up where its inner one came to an end.
//!
//! Where the machine stands in C code (a comparator of `table.sort`, a metamethod), a break is impossible. Such a
//! stretch runs on, and only when its limits are spent does the interrupt throw, again at every safepoint, until the
//! stack has unwound to where it can break.

use std::{
    cell::{Cell, RefCell},
    ffi::{CStr, c_int},
    ptr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mlua::ffi;

use super::process::{spawn, thread_cpu_time};

/// How long a handler computes before a neighbour may.
const TICK: Duration = Duration::from_millis(5);

/// So many ticks without work, and the ticker sleeps until there is some.
const IDLE_TICKS: u32 = 20;

/// A limit that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Cpu,
    Deadline,
}

/// What one slice may use.
#[derive(Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) cpu: Duration,
    pub(crate) deadline: Instant,
}

/// How a slice ended.
#[derive(Debug)]
pub(crate) enum SliceEnd {
    /// The coroutine's function returned.
    Finished,
    /// Stopped by a tick or by a host call; may be resumed.
    Paused,
    /// Stopped for good: the coroutine is to be dropped, and its machine with it.
    Over(Limit),
    /// It yielded, with nobody there to resume it.
    Yielded,
    /// An error nothing caught; `memory` when there was no memory left.
    Failed { memory: bool, message: String },
}

thread_local! {
    /// The slice that this thread runs; there is one at a time.
    static SLICE: Slice = const {
        Slice { cpu_end: Cell::new(Duration::MAX), deadline: Cell::new(None), over: Cell::new(None), held: Cell::new(0), broke: RefCell::new(Vec::new()) }
    };
}

struct Slice {
    /// The thread's processor time at which the budget is spent.
    cpu_end: Cell<Duration>,
    deadline: Cell<Option<Instant>>,
    over: Cell<Option<Limit>>,
    /// How many stretches forbid a break at present, see [`hold`].
    held: Cell<u32>,
    /// The coroutines that a break went through, innermost first.
    broke: RefCell<Vec<*mut ffi::lua_State>>,
}

/// Forbids breaks until [`release`]: a coroutine resumed from within C code could be broken, but its resumer could not.
pub(crate) fn hold() {
    SLICE.with(|slice| slice.held.set(slice.held.get() + 1));
}

/// Ends a stretch of [`hold`].
pub(crate) fn release() {
    SLICE.with(|slice| slice.held.set(slice.held.get().saturating_sub(1)));
}

/// Whether a break is forbidden here.
pub(crate) fn is_held() -> bool {
    SLICE.with(|slice| slice.held.get() > 0)
}

/// Prepares a fresh machine for being driven in slices, and gives the function that pauses its caller: it breaks the
/// running coroutine, and returns nothing when resumed. Only where `coroutine.isyieldable()` and not [`is_held`].
pub(crate) fn prepare(lua: &mlua::Lua) -> mlua::Result<mlua::Function> {
    // SAFETY: the closure only writes one callback of the live machine whose state it is given, and leaves its stack
    // as it was.
    unsafe {
        lua.exec_raw::<()>((), |state| {
            (*ffi::lua_callbacks(state)).debuginterrupt = Some(on_broken_through);
        })?;
        // SAFETY: `pause` keeps to the rules of a C function: it takes nothing and breaks or raises.
        lua.create_c_function(pause)
    }
}

/// One running handler: its coroutine, and those it is nested in.
pub(crate) struct Coroutine {
    /// Keeps the machine's memory of it alive; the outer coroutines hold the inner ones.
    thread: mlua::Thread,
    /// What to resume, innermost first.
    chain: Vec<*mut ffi::lua_State>,
}

impl Coroutine {
    /// Takes a coroutine that was not started, whose function takes no arguments.
    pub(crate) fn new(thread: mlua::Thread) -> Coroutine {
        let chain = vec![thread.state()];
        Coroutine { thread, chain }
    }

    /// Runs it until it ends, pauses or meets a limit. To be called outside of Lua only.
    pub(crate) fn run(&mut self, ticker: &Ticker, allowance: Allowance) -> SliceEnd {
        SLICE.with(|slice| {
            slice.cpu_end.set(thread_cpu_time().saturating_add(allowance.cpu));
            slice.deadline.set(Some(allowance.deadline));
            slice.over.set(None);
            slice.held.set(0);
            slice.broke.borrow_mut().clear();
        });
        let watched = ticker.watch(self.thread.state());
        let status = self.resume_chain();
        drop(watched);
        if let Some(limit) = SLICE.with(|slice| slice.over.get()) {
            return SliceEnd::Over(limit);
        }
        match status {
            ffi::LUA_OK => SliceEnd::Finished,
            ffi::LUA_BREAK => SliceEnd::Paused,
            ffi::LUA_YIELD => SliceEnd::Yielded,
            status => SliceEnd::Failed { memory: status == ffi::LUA_ERRMEM, message: self.error_text() },
        }
    }

    fn resume_chain(&mut self) -> c_int {
        let mut at = 0;
        loop {
            // SAFETY: every state of the chain belongs to the machine that `thread` keeps alive, and is kept
            // alive there by the coroutine that resumed it, which stays broken until it has come to an end.
            // `lua_resume` catches every error of the machine.
            let status = unsafe { ffi::lua_resume_(self.chain[at], ptr::null_mut(), 0) };
            if status == ffi::LUA_BREAK {
                let broke = SLICE.with(|slice| std::mem::take(&mut *slice.broke.borrow_mut()));
                self.chain.splice(..=at, broke);
                return status;
            }
            at += 1;
            if at == self.chain.len() {
                return status;
            }
        }
    }

    /// The text of the error that lies on the stack of a coroutine that has failed.
    fn error_text(&self) -> String {
        let state = self.thread.state();
        // SAFETY: the state is alive; a string is read in place and copied before anything else runs.
        unsafe {
            if ffi::lua_gettop(state) < 1 || ffi::lua_type(state, -1) != ffi::LUA_TSTRING {
                return "an error that is no text".to_owned();
            }
            let text = ffi::lua_tolstring(state, -1, ptr::null_mut());
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }
}

/// Breaks, when armed by the ticker; throws where it cannot break but must.
unsafe extern "C-unwind" fn on_interrupt(state: *mut ffi::lua_State, gc: c_int) {
    // The collector's own safepoints cannot be left.
    if gc >= 0 {
        return;
    }
    let over = SLICE.with(limit_met);
    if over.is_none() {
        // SAFETY: the machine calls this with a live state of its own.
        arm(unsafe { ffi::lua_callbacks(state) }, None);
    }
    // SAFETY: as above; nothing of Rust that needs dropping is alive when these leave by an exception, and a
    // break is made only where the machine says it can be.
    unsafe {
        if !is_held() && ffi::lua_isyieldable(state) != 0 {
            SLICE.with(|slice| slice.broke.borrow_mut().push(state));
            ffi::lua_break(state);
        } else if over.is_some() {
            ffi::luaL_error(state, c"the handler has spent its time".as_ptr());
        }
    }
}

/// Notes each coroutine that a break passes on its way out.
unsafe extern "C-unwind" fn on_broken_through(state: *mut ffi::lua_State, _inner: *mut ffi::lua_Debug) {
    SLICE.with(|slice| slice.broke.borrow_mut().push(state));
}

unsafe extern "C-unwind" fn pause(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `on_interrupt`.
    unsafe {
        if is_held() || ffi::lua_isyieldable(state) == 0 {
            ffi::luaL_error(state, c"this cannot wait here".as_ptr());
        }
        SLICE.with(|slice| slice.broke.borrow_mut().push(state));
        ffi::lua_break(state)
    }
}

fn limit_met(slice: &Slice) -> Option<Limit> {
    if slice.over.get().is_none() {
        if thread_cpu_time() >= slice.cpu_end.get() {
            slice.over.set(Some(Limit::Cpu));
        } else if slice.deadline.get().is_some_and(|deadline| Instant::now() >= deadline) {
            slice.over.set(Some(Limit::Deadline));
        }
    }
    slice.over.get()
}

type Interrupt = unsafe extern "C-unwind" fn(*mut ffi::lua_State, c_int);

/// Sets or clears a machine's interrupt. The machine allows this from any thread.
fn arm(callbacks: *mut ffi::lua_Callbacks, interrupt: Option<Interrupt>) {
    let value = interrupt.map_or(0, |function| function as usize);
    // SAFETY: the caller's machine is alive. The field is one aligned pointer that is null for `None`, so an atomic
    // store of it is what the machine's plain load needs.
    unsafe {
        let field = ptr::addr_of_mut!((*callbacks).interrupt).cast::<usize>();
        AtomicUsize::from_ptr(field).store(value, Ordering::Relaxed);
    }
}

/// The thread that ends slices.
#[derive(Clone)]
pub(crate) struct Ticker(Arc<Shared>);

struct Shared {
    state: Mutex<Watched>,
    wake: Condvar,
}

struct Watched {
    /// The callbacks of the machine that runs at present, as an address; 0 when none runs.
    callbacks: usize,
    asleep: bool,
}

/// While it lives, the machine's slice is ended at the next tick.
struct Watch<'a>(&'a Ticker);

impl Ticker {
    /// Starts it.
    pub(crate) fn start() -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared {
            state: Mutex::new(Watched { callbacks: 0, asleep: false }),
            wake: Condvar::new(),
        });
        let ticker = Ticker(Arc::clone(&shared));
        spawn("ticker", move || tick(&shared))?;
        Ok(ticker)
    }

    fn watch(&self, state: *mut ffi::lua_State) -> Watch<'_> {
        // SAFETY: the caller's coroutine is alive, and so is its machine.
        let callbacks = unsafe { ffi::lua_callbacks(state) };
        arm(callbacks, None);
        let mut watched = self.0.lock();
        watched.callbacks = callbacks as usize;
        if watched.asleep {
            self.0.wake.notify_one();
        }
        Watch(self)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.0.lock().callbacks = 0;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tick(shared: &Shared) {
    let mut idle = 0;
    loop {
        let mut watched = shared.lock();
        if watched.callbacks != 0 {
            idle = 0;
            // Under the lock: the machine cannot be freed before its watch has ended.
            arm(watched.callbacks as *mut ffi::lua_Callbacks, Some(on_interrupt));
        } else if idle < IDLE_TICKS {
            idle += 1;
        } else {
            watched.asleep = true;
            while watched.callbacks == 0 {
                watched = shared.wake.wait(watched).unwrap_or_else(PoisonError::into_inner);
            }
            watched.asleep = false;
            idle = 0;
        }
        drop(watched);
        thread::sleep(TICK);
    }
}

//! Inside the sandbox: reads frames, runs machines in slices, writes frames.
//!
//! One thread does all of it. While a handler computes, its slice ends at every tick and the input is looked at; while all
//! wait, the thread sleeps in a read.

mod log;
mod modules;
mod natives;
mod natives_data;
mod refusal;
mod run;
mod time;
mod turn;
mod vm;

use std::{
    fs::File,
    io::{self, Read, Write},
    rc::Rc,
    time::{Duration, Instant},
};

use run::Run;
use turn::Turn;
use vm::{Vm, World};

use crate::{
    FailureKind, HandlerError,
    pace::Pace,
    walls::{
        machine::{Allowance, Coroutine, Limit, SliceEnd, Ticker},
        process::{Inside, thread_cpu_time},
    },
    wire::{Done, Ending, JobFrame, MAX_FRAME_TO_CHILD, ToChild, ToParent, WireError},
};

/// Makes this process a sandbox; returns when it cannot go on, mostly because its parent is gone.
pub(crate) fn serve(page: bool, probe: Option<fn(&str) -> String>) -> io::Result<()> {
    let pace = Pace::new();
    let ticker = Ticker::start()?;
    let inside = Inside::build(page)?;
    let mut output = &inside.output;
    output.write_all(&ToParent::Ready { weaknesses: inside.weaknesses.clone() }.encode())?;
    let mut frames = Frames::new(&inside.input);
    let ToChild::Hello(hello) = frames.next()? else {
        return Err(protocol(WireError("the first frame is no greeting")));
    };
    let slots = hello.slots as usize;
    let world = Rc::new(World::new(hello, probe));
    let slots = (0..slots).map(|_| Slot { vm: None, active: None }).collect();
    Floor { inside: &inside, frames, pace, ticker, world, slots, looked: Instant::now() }.serve()
}

fn protocol(error: WireError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Who computed no more than this was no burden to anybody.
const HARMLESS_CPU: Duration = Duration::from_millis(50);

/// All slots, and what they share.
struct Floor<'a> {
    inside: &'a Inside,
    frames: Frames<'a>,
    pace: Pace,
    ticker: Ticker,
    world: Rc<World>,
    slots: Vec<Slot>,
    /// When the input was last seen to be empty: what is read now came after that.
    looked: Instant,
}

struct Slot {
    vm: Option<Vm>,
    active: Option<Active>,
}

/// A run that has begun.
struct Active {
    coroutine: Coroutine,
    cpu_left: Duration,
    cpu_used: Duration,
    deadline: Instant,
    turn: Turn,
}

impl Floor<'_> {
    fn serve(mut self) -> io::Result<()> {
        loop {
            let any_ready =
                self.slots.iter().any(|slot| slot.active.as_ref().is_some_and(|active| active.turn.is_due()));
            let mut looked = false;
            if !any_ready {
                let has_begun = self.frames.has_begun();
                let readable = || has_begun || self.inside.readable();
                let frame = self.pace.wait(readable, || self.frames.next())?;
                self.looked = Instant::now();
                self.take(frame)?;
                // A read that did not fill its buffer has just seen the end of the input.
                looked = self.frames.is_drained();
            }
            while self.frames.has_begun() || !looked && self.inside.readable() {
                let frame = self.frames.next()?;
                self.take(frame)?;
            }
            self.looked = Instant::now();
            for at in 0..self.slots.len() {
                if self.slots[at].active.as_ref().is_some_and(|active| active.turn.is_due()) {
                    self.run_slice(at)?;
                }
            }
        }
    }

    fn take(&mut self, frame: ToChild) -> io::Result<()> {
        match frame {
            ToChild::Job(job) => self.begin(*job),
            ToChild::Reply { slot, answer } => {
                // An answer that came after its run was stopped is nobody's.
                if let Some(Slot { vm: Some(vm), active: Some(active) }) = self.slots.get_mut(slot as usize) {
                    if let Some(run) = vm.desk.run.borrow_mut().as_mut() {
                        run.answer = Some(answer);
                    }
                    active.turn.ask(self.looked);
                }
                Ok(())
            }
            ToChild::Cancel { slot } => {
                let slot = slot as usize;
                if self.slots.get(slot).is_some_and(|slot| slot.active.is_some()) {
                    self.stop_late(slot)?;
                }
                Ok(())
            }
            ToChild::Hello(_) => Err(protocol(WireError("a second greeting"))),
        }
    }

    fn begin(&mut self, job: JobFrame) -> io::Result<()> {
        let at = job.slot as usize;
        let Some(slot) = self.slots.get_mut(at) else {
            return Err(protocol(WireError("a slot that does not exist")));
        };
        self.inside.set_running(Some(at));
        let cpu_left = Duration::from_micros(job.cpu_budget_us);
        let deadline = Instant::now() + Duration::from_micros(job.deadline_us);
        let started = match &slot.vm {
            Some(vm) => vm.start(job),
            None => Vm::new(&self.world).and_then(|vm| slot.vm.insert(vm).start(job)),
        };
        match started {
            Ok(coroutine) => {
                let turn = Turn::new(self.looked);
                slot.active = Some(Active { coroutine, cpu_left, cpu_used: Duration::ZERO, deadline, turn });
                Ok(())
            }
            Err(error) => {
                let error =
                    HandlerError::new(FailureKind::Crashed, format!("no machine can be made: {error}"));
                self.stop(at, error)
            }
        }
    }

    fn run_slice(&mut self, at: usize) -> io::Result<()> {
        let slot = &mut self.slots[at];
        let (Some(vm), Some(active)) = (&slot.vm, &mut slot.active) else { return Ok(()) };
        self.inside.set_running(Some(at));
        active.turn.take(Instant::now());
        let before = thread_cpu_time();
        let end =
            active.coroutine.run(&self.ticker, Allowance { cpu: active.cpu_left, deadline: active.deadline });
        let used = thread_cpu_time().saturating_sub(before);
        active.cpu_used += used;
        active.cpu_left = active.cpu_left.saturating_sub(used);
        match end {
            SliceEnd::Paused => {
                let pending = vm.desk.run.borrow_mut().as_mut().and_then(|run| run.pending.take());
                if pending.is_none() {
                    active.turn.ask(Instant::now());
                }
                self.inside.set_running(None);
                let Some(call) = pending else { return Ok(()) };
                let (module, function, arguments) = (call.module, call.function, call.arguments);
                self.send(&ToParent::Call { slot: at as u32, module, function, arguments })
            }
            SliceEnd::Finished => self.finish(at),
            SliceEnd::Over(Limit::Cpu) => {
                let message =
                    format!("the handler computed longer than {:?}", active.cpu_used + active.cpu_left);
                self.stop(at, HandlerError::new(FailureKind::CpuLimit, message))
            }
            SliceEnd::Over(Limit::Deadline) => self.stop_late(at),
            SliceEnd::Yielded => {
                let message = "the handler called coroutine.yield outside of a coroutine of its own";
                self.stop(at, HandlerError::new(FailureKind::Threw, message))
            }
            SliceEnd::Failed { memory: true, .. } => {
                let message = "the handler wanted more memory than it may have";
                self.stop(at, HandlerError::new(FailureKind::MemoryLimit, message))
            }
            SliceEnd::Failed { memory: false, message } => {
                self.stop(at, HandlerError::new(FailureKind::Threw, message))
            }
        }
    }

    /// Ends a run whose function has returned. Its machine goes on, unless it met a limit or holds much.
    fn finish(&mut self, at: usize) -> io::Result<()> {
        let slot = &mut self.slots[at];
        let cpu = slot.active.take().map_or(Duration::ZERO, |active| active.cpu_used);
        let run = slot.vm.as_ref().and_then(|vm| vm.desk.run.borrow_mut().take());
        let Some(run) = run else { return Ok(()) };
        let done = run.end(cpu.as_micros() as u64);
        let unharmed = match &done.ending {
            Ending::Failed(error) => error.kind == FailureKind::Threw || error.kind == FailureKind::NoVerdict,
            _ => true,
        };
        self.send_done(at, &done)?;
        let slot = &mut self.slots[at];
        if !(unharmed && slot.vm.as_ref().is_some_and(Vm::is_lean)) {
            slot.vm = None;
        }
        self.inside.set_running(None);
        Ok(())
    }

    /// Ends a run whose deadline has come: its failure, unless its neighbours took its time.
    fn stop_late(&mut self, at: usize) -> io::Result<()> {
        let starved = self.slots[at].active.as_ref().is_some_and(|active| {
            active.cpu_used < HARMLESS_CPU && active.turn.was_kept_waiting(Instant::now())
        });
        if !starved {
            let message = "the handler was not done by its deadline";
            return self.stop(at, HandlerError::new(FailureKind::Deadline, message));
        }
        let why = "other handlers computed for most of this one's time".to_owned();
        let slot = &mut self.slots[at];
        slot.active = None;
        let run = slot.vm.take().and_then(|vm| vm.desk.run.borrow_mut().take());
        let (log, log_truncated) = run.map(Run::into_log).unwrap_or_default();
        let done = Done { ending: Ending::Returned(why), log, log_truncated, cpu_us: 0 };
        self.inside.set_running(None);
        self.send_done(at, &done)
    }

    /// Ends a run where it stands, and its machine with it.
    fn stop(&mut self, at: usize, error: HandlerError) -> io::Result<()> {
        self.inside.set_running(Some(at));
        let slot = &mut self.slots[at];
        let cpu = slot.active.take().map_or(Duration::ZERO, |active| active.cpu_used);
        let run = slot.vm.as_ref().and_then(|vm| vm.desk.run.borrow_mut().take());
        slot.vm = None;
        let done = match run {
            Some(mut run) => {
                run.fail(error);
                run.end(cpu.as_micros() as u64)
            }
            None => Done { ending: Ending::Failed(error), log: Vec::new(), log_truncated: false, cpu_us: 0 },
        };
        self.inside.set_running(None);
        self.send_done(at, &done)
    }

    fn send_done(&mut self, at: usize, done: &Done) -> io::Result<()> {
        let report = serde_json::to_string(done)?;
        self.send(&ToParent::Done { slot: at as u32, report })
    }

    fn send(&mut self, frame: &ToParent) -> io::Result<()> {
        let mut output = &self.inside.output;
        output.write_all(&frame.encode())
    }
}

impl Inside {
    fn set_running(&self, slot: Option<usize>) {
        if let Some(page) = &self.page {
            page.set_running(slot);
        }
    }
}

/// Reads whole frames; what was read too far waits for the next.
struct Frames<'a> {
    input: &'a File,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether the last read took all there was.
    drained: bool,
}

impl<'a> Frames<'a> {
    fn new(input: &'a File) -> Frames<'a> {
        Frames { input, buffer: vec![0; 64 << 10], start: 0, end: 0, drained: false }
    }

    /// Whether a part of the next frame was read.
    fn has_begun(&self) -> bool {
        self.start < self.end
    }

    /// Whether nothing more lay in the input at the last read.
    fn is_drained(&self) -> bool {
        self.drained
    }

    fn next(&mut self) -> io::Result<ToChild> {
        self.fill(4)?;
        let head = &self.buffer[self.start..self.start + 4];
        let length = u32::from_le_bytes(head.try_into().expect("four bytes were sliced")) as usize;
        if length > MAX_FRAME_TO_CHILD {
            return Err(protocol(WireError("a frame is too long")));
        }
        self.fill(4 + length)?;
        let from = self.start + 4;
        let frame = ToChild::decode(&self.buffer[from..from + length]).map_err(protocol)?;
        self.start = from + length;
        Ok(frame)
    }

    /// Reads until so many bytes lie in the buffer.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.start + count > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if count > self.buffer.len() {
                self.buffer.resize(count.next_power_of_two(), 0);
            }
        }
        while self.end - self.start < count {
            let mut input = self.input;
            match input.read(&mut self.buffer[self.end..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    self.end += read;
                    self.drained = self.end < self.buffer.len();
                }
            }
        }
        Ok(())
    }
}

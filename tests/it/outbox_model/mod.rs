//! The protocol of queue links as a model, explored exhaustively: every order of steps, kills between any two of them, answers
//! that get lost, deliveries that come twice. The protocol is known to hold before it is built on; the faults below are
//! planted one by one, and each must be found, so that the model is known to be able to say no.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod steps;

use stateright::{Checker, HasDiscoveries, Model, Property};

/// The protocol, or the protocol with one mistake in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    AsDesigned,
    /// Only the stream publishes: what it forgets is lost.
    NoSweeper,
    /// An entry is marked as published, then sent.
    MarkBeforeSend,
    /// The record is written, then the message is sent, with no entry between them.
    DualWrite,
    /// The worker does not look whether the message was done before.
    NoDoneMark,
    /// The worker marks a message as done in one step and does it in the next.
    ClaimThenEffect,
    /// A strict write sends first and commits afterwards.
    StrictWithoutHeld,
    /// A refused strict write is undone even where the sweeper may have sent its message meanwhile.
    UndoAfterLease,
    /// A worker does what a held entry's message says before the record stands.
    EffectBeforeRecord,
}

/// How a write's link wants its message sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mode {
    /// With the record, through the outbox; the caller does not wait.
    Outbox,
    /// The caller waits until the queue has accepted; refused = nothing was written.
    Strict,
}

/// What became of the record that a write is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Image {
    Unwritten,
    /// Readable.
    Applied,
    /// Taken back; nobody ever saw it.
    Undone,
}

/// The outbox entry of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Entry {
    Absent,
    Due,
    Held,
    Published,
    /// Given up for now: visible to people, who set it due again.
    Parked,
    Undone,
}

/// What the caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Answer {
    None,
    Accepted,
    /// 503, and neither record nor message remains.
    Refused,
    /// 503 with `outcome: unknown`.
    Unknown,
}

/// The process that serves a write's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    NotYet,
    /// Stored what it stores first; the message is still to be sent.
    Sends,
    /// The queue has the message.
    WasAccepted,
    /// The queue has said no.
    WasRefused,
    Gone,
}

/// One write and all that follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Write {
    mode: Mode,
    writer: Writer,
    answer: Answer,
    image: Image,
    entry: Entry,
    /// The fencing token: how often the sweeper leased the entry.
    leases: u8,
    /// Whether the stream still holds the entry's insertion.
    in_stream: bool,
    /// Copies of the message that can be received.
    visible: u8,
    /// Copies that a worker holds.
    in_flight: u8,
    done_mark: bool,
    /// How often the worker's effect happened.
    effects: u8,
}

/// The stream's publisher: which write it is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Publisher {
    Idle,
    Read(usize),
    Sent(usize),
    /// Only where the mark comes first.
    Marked(usize),
}

/// The sweeper, with the fencing token of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sweeper {
    Idle,
    Leased(usize, u8),
    Sent(usize, u8),
    Refused(usize, u8),
}

/// A worker and the message it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    Received(usize),
    /// Only where the mark comes first.
    Claimed(usize),
    Done(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    writes: Vec<Write>,
    publisher: Publisher,
    sweepers: Vec<Sweeper>,
    workers: Vec<Worker>,
    /// So many more processes may be killed.
    kills: u8,
    /// So many more messages may be delivered twice.
    repeats: u8,
    /// So many more sends may be refused or stay without an answer.
    troubles: u8,
}

struct Protocol {
    plan: Plan,
    modes: &'static [Mode],
    sweepers: usize,
    workers: usize,
    kills: u8,
}

impl State {
    /// Whether nobody has anything left to do. What is due is work only where somebody sweeps.
    fn is_drained(&self, protocol: &Protocol) -> bool {
        let is_swept = protocol.plan != Plan::NoSweeper;
        self.publisher == Publisher::Idle
            && self.sweepers.iter().all(|sweeper| *sweeper == Sweeper::Idle)
            && self.workers.iter().all(|worker| *worker == Worker::Idle)
            && self.writes.iter().all(|write| {
                matches!(write.writer, Writer::Gone)
                    && !write.in_stream
                    && write.visible == 0
                    && write.in_flight == 0
                    && write.entry != Entry::Parked
                    && !(is_swept && matches!(write.entry, Entry::Due | Entry::Held))
            })
    }
}

impl Write {
    /// Whether its message is somewhere, or was.
    fn has_a_message(&self) -> bool {
        self.visible > 0 || self.in_flight > 0 || self.effects > 0
    }
}

impl Model for Protocol {
    type State = State;
    type Action = steps::Step;

    fn init_states(&self) -> Vec<State> {
        let write = |mode: &Mode| Write {
            mode: *mode,
            writer: Writer::NotYet,
            answer: Answer::None,
            image: Image::Unwritten,
            entry: Entry::Absent,
            leases: 0,
            in_stream: false,
            visible: 0,
            in_flight: 0,
            done_mark: false,
            effects: 0,
        };
        vec![State {
            writes: self.modes.iter().map(write).collect(),
            publisher: Publisher::Idle,
            sweepers: vec![Sweeper::Idle; self.sweepers],
            workers: vec![Worker::Idle; self.workers],
            kills: self.kills,
            repeats: 1,
            troubles: 2,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<steps::Step>) {
        steps::possible(self, state, actions);
    }

    fn next_state(&self, state: &State, step: steps::Step) -> Option<State> {
        steps::after(self, state, step)
    }

    fn properties(&self) -> Vec<Property<Protocol>> {
        vec![
            Property::always(
                "a committed write has its message in the end",
                |protocol: &Protocol, state: &State| {
                    !state.is_drained(protocol)
                        || state.writes.iter().all(|write| write.image != Image::Applied || write.effects > 0)
                },
            ),
            Property::always(
                "a message belongs to a write that stands, or is held until it does",
                |_, state: &State| {
                    state.writes.iter().all(|write| {
                        !write.has_a_message() || write.image == Image::Applied || write.entry == Entry::Held
                    })
                },
            ),
            Property::always("a worker's effect comes after its record", |_, state: &State| {
                state.writes.iter().all(|write| write.effects == 0 || write.image == Image::Applied)
            }),
            Property::always("a worker's effect happens once", |_, state: &State| {
                state.writes.iter().all(|write| write.effects <= 1)
            }),
            Property::always("what was refused leaves nothing", |_, state: &State| {
                state.writes.iter().all(|write| {
                    write.answer != Answer::Refused
                        || (write.image == Image::Undone && !write.has_a_message())
                })
            }),
            Property::always("what was accepted stands", |_, state: &State| {
                state
                    .writes
                    .iter()
                    .all(|write| write.answer != Answer::Accepted || write.image == Image::Applied)
            }),
            Property::sometimes("all is done", |protocol: &Protocol, state: &State| {
                state.is_drained(protocol) && state.writes.iter().all(|write| write.effects == 1)
            }),
            Property::sometimes("a strict write is refused", |protocol: &Protocol, state: &State| {
                !protocol.modes.contains(&Mode::Strict)
                    || state.writes.iter().any(|write| write.answer == Answer::Refused)
            }),
            Property::sometimes("a strict write is rolled forward", |protocol: &Protocol, state: &State| {
                !protocol.modes.contains(&Mode::Strict)
                    || state
                        .writes
                        .iter()
                        .any(|write| write.answer == Answer::Unknown && write.image == Image::Applied)
            }),
        ]
    }
}

/// Explores all states, or those up to the first broken rule, and gives the rules that are broken.
fn broken(protocol: Protocol) -> Vec<&'static str> {
    let checker = protocol.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    assert!(checker.is_done(), "not all states were seen");
    let broken = |property: &Property<Protocol>| {
        let found = checker.discovery(property.name);
        match property.expectation {
            stateright::Expectation::Always => found.is_some(),
            _ => found.is_none(),
        }
    };
    checker
        .model()
        .properties()
        .iter()
        .filter(|property| broken(property))
        .map(|property| property.name)
        .collect()
}

fn protocol(plan: Plan, modes: &'static [Mode]) -> Protocol {
    Protocol { plan, modes, sweepers: 2, workers: 2, kills: 2 }
}

#[test]
fn the_outbox_loses_nothing_and_does_nothing_twice() {
    assert_eq!(broken(protocol(Plan::AsDesigned, &[Mode::Outbox])), [""; 0]);
}

#[test]
fn a_strict_write_and_its_message_stand_or_fall_together() {
    assert_eq!(broken(protocol(Plan::AsDesigned, &[Mode::Strict])), [""; 0]);
}

#[test]
fn two_writes_do_not_get_in_each_others_way() {
    let smaller = Protocol {
        sweepers: 1,
        workers: 1,
        kills: 1,
        ..protocol(Plan::AsDesigned, &[Mode::Outbox, Mode::Strict])
    };
    assert_eq!(broken(smaller), [""; 0]);
}

#[test]
fn every_planted_fault_is_found() {
    let check = |plan: Plan, modes: &'static [Mode], rule: &str| {
        let broken = broken(Protocol { kills: 1, ..protocol(plan, modes) });
        assert!(broken.contains(&rule), "{plan:?}: broken are {broken:?}");
    };
    let lost = "a committed write has its message in the end";
    let twice = "a worker's effect happens once";
    check(Plan::NoSweeper, &[Mode::Outbox], lost);
    check(Plan::MarkBeforeSend, &[Mode::Outbox], lost);
    check(Plan::DualWrite, &[Mode::Outbox], lost);
    check(Plan::NoDoneMark, &[Mode::Outbox], twice);
    check(Plan::ClaimThenEffect, &[Mode::Outbox], lost);
    let orphan = "a message belongs to a write that stands, or is held until it does";
    check(Plan::StrictWithoutHeld, &[Mode::Strict], orphan);
    check(Plan::UndoAfterLease, &[Mode::Strict], orphan);
    check(Plan::EffectBeforeRecord, &[Mode::Strict], "a worker's effect comes after its record");
}

//! What can happen next, and what it changes. One step is what one process does between two moments at which it may be killed.

use super::{Answer, Entry, Image, Mode, Plan, Protocol, Publisher, State, Sweeper, Worker, Write, Writer};

/// No more copies of a message than this are told apart.
const MOST_COPIES: u8 = 3;

/// No entry is leased more often than this: two that come to nothing, and one that works.
const MOST_LEASES: u8 = 3;

/// How a send ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Send {
    Accepted,
    /// The queue said no.
    Refused,
    /// The queue has it, its answer was lost.
    AnswerLost,
    /// Nothing arrived, and nothing came back.
    RequestLost,
}

/// One step of one process. Numbers name the write, the sweeper or the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Begin(usize),
    WriterSends(usize, Send),
    WriterEnds(usize),
    WriterIsKilled(usize),
    StreamForgets(usize),
    StreamWakes(usize),
    PublisherSends(Send),
    PublisherMarks,
    PublisherIsKilled,
    SweeperLeases(usize, usize),
    SweeperSends(usize, Send),
    SweeperMarks(usize),
    SweeperIsKilled(usize),
    SomeoneRedrives(usize),
    WorkerReceives(usize, usize),
    WorkerClaims(usize),
    WorkerCommits(usize),
    WorkerAcknowledges(usize),
    WorkerIsKilled(usize),
    DeliveredAgain(usize),
}

const SENDS: [Send; 4] = [Send::Accepted, Send::Refused, Send::AnswerLost, Send::RequestLost];

impl Send {
    fn arrives(self) -> bool {
        matches!(self, Send::Accepted | Send::AnswerLost)
    }
}

/// Every step that some process could take now.
pub(super) fn possible(protocol: &Protocol, state: &State, steps: &mut Vec<Step>) {
    let sends = || SENDS.into_iter().filter(|send| *send == Send::Accepted || state.troubles > 0);
    let may_kill = state.kills > 0;
    for (at, write) in state.writes.iter().enumerate() {
        match write.writer {
            Writer::NotYet => steps.push(Step::Begin(at)),
            Writer::Sends => steps.extend(sends().map(|send| Step::WriterSends(at, send))),
            Writer::WasAccepted | Writer::WasRefused => steps.push(Step::WriterEnds(at)),
            Writer::Gone => {}
        }
        if may_kill && !matches!(write.writer, Writer::NotYet | Writer::Gone) {
            steps.push(Step::WriterIsKilled(at));
        }
        if write.in_stream {
            steps.push(Step::StreamForgets(at));
            if state.publisher == Publisher::Idle {
                steps.push(Step::StreamWakes(at));
            }
        }
        if write.entry == Entry::Parked {
            steps.push(Step::SomeoneRedrives(at));
        }
        if write.in_flight > 0 && state.repeats > 0 {
            steps.push(Step::DeliveredAgain(at));
        }
        let may_sweep = protocol.plan != Plan::NoSweeper && matches!(write.entry, Entry::Due | Entry::Held);
        for (who, sweeper) in state.sweepers.iter().enumerate() {
            if may_sweep && *sweeper == Sweeper::Idle && write.leases < MOST_LEASES {
                steps.push(Step::SweeperLeases(who, at));
            }
        }
        for (who, worker) in state.workers.iter().enumerate() {
            if *worker == Worker::Idle && write.visible > 0 {
                steps.push(Step::WorkerReceives(who, at));
            }
        }
    }
    match state.publisher {
        Publisher::Idle => {}
        Publisher::Read(_) if protocol.plan == Plan::MarkBeforeSend => steps.push(Step::PublisherMarks),
        Publisher::Read(_) | Publisher::Marked(_) => steps.extend(sends().map(Step::PublisherSends)),
        Publisher::Sent(_) => steps.push(Step::PublisherMarks),
    }
    if may_kill && state.publisher != Publisher::Idle {
        steps.push(Step::PublisherIsKilled);
    }
    for (who, sweeper) in state.sweepers.iter().enumerate() {
        match sweeper {
            Sweeper::Idle => continue,
            Sweeper::Leased(..) => steps.extend(sends().map(|send| Step::SweeperSends(who, send))),
            Sweeper::Sent(..) | Sweeper::Refused(..) => steps.push(Step::SweeperMarks(who)),
        }
        if may_kill {
            steps.push(Step::SweeperIsKilled(who));
        }
    }
    for (who, worker) in state.workers.iter().enumerate() {
        match worker {
            Worker::Idle => continue,
            Worker::Received(_) if protocol.plan == Plan::ClaimThenEffect => {
                steps.push(Step::WorkerClaims(who))
            }
            Worker::Received(_) | Worker::Claimed(_) => steps.push(Step::WorkerCommits(who)),
            Worker::Done(_) => steps.push(Step::WorkerAcknowledges(who)),
        }
        if may_kill {
            steps.push(Step::WorkerIsKilled(who));
        }
    }
}

/// The state after `step`; `None` where it would only add copies beyond counting.
pub(super) fn after(protocol: &Protocol, before: &State, step: Step) -> Option<State> {
    let mut state = before.clone();
    match step {
        Step::Begin(at) => state.writes[at].begin(protocol.plan),
        Step::WriterSends(at, send) => {
            state.sends(at, send)?;
            state.writes[at].writer_sent(protocol.plan, send);
        }
        Step::WriterEnds(at) => state.writes[at].writer_ends(protocol.plan),
        Step::WriterIsKilled(at) => {
            state.kills -= 1;
            state.writes[at].writer = Writer::Gone;
        }
        Step::StreamForgets(at) => state.writes[at].in_stream = false,
        Step::StreamWakes(at) => {
            if state.writes[at].entry == Entry::Due {
                state.publisher = Publisher::Read(at);
            } else {
                state.writes[at].in_stream = false;
            }
        }
        Step::PublisherSends(send) => {
            let (Publisher::Read(at) | Publisher::Marked(at)) = state.publisher else { return None };
            state.sends(at, send)?;
            let marks_next = send == Send::Accepted && state.publisher == Publisher::Read(at);
            // A destination that refuses never fails the stream's batch: the entry stays due, the sweeper comes.
            state.writes[at].in_stream = false;
            state.publisher = if marks_next { Publisher::Sent(at) } else { Publisher::Idle };
        }
        Step::PublisherMarks => {
            let (Publisher::Read(at) | Publisher::Sent(at)) = state.publisher else { return None };
            state.publisher = match state.publisher {
                Publisher::Read(_) => Publisher::Marked(at),
                _ => Publisher::Idle,
            };
            state.writes[at].in_stream &= state.publisher != Publisher::Idle;
            state.writes[at].mark();
        }
        Step::PublisherIsKilled => {
            state.kills -= 1;
            state.publisher = Publisher::Idle;
        }
        Step::SweeperLeases(who, at) => {
            state.writes[at].leases += 1;
            state.sweepers[who] = Sweeper::Leased(at, state.writes[at].leases);
        }
        Step::SweeperSends(who, send) => {
            let Sweeper::Leased(at, token) = state.sweepers[who] else { return None };
            state.sends(at, send)?;
            state.sweepers[who] = match send {
                Send::Accepted => Sweeper::Sent(at, token),
                Send::Refused => Sweeper::Refused(at, token),
                // The lease ends by itself, and the entry is swept again.
                Send::AnswerLost | Send::RequestLost => Sweeper::Idle,
            };
        }
        Step::SweeperMarks(who) => {
            let sweeper = std::mem::replace(&mut state.sweepers[who], Sweeper::Idle);
            let (Sweeper::Sent(at, token) | Sweeper::Refused(at, token)) = sweeper else { return None };
            let write = &mut state.writes[at];
            match sweeper {
                Sweeper::Sent(..) => write.mark(),
                // The fence: only the newest lease may give an entry up.
                _ if write.leases == token && matches!(write.entry, Entry::Due | Entry::Held) => {
                    write.image = Image::Applied;
                    write.entry = Entry::Parked;
                }
                _ => {}
            }
        }
        Step::SweeperIsKilled(who) => {
            state.kills -= 1;
            state.sweepers[who] = Sweeper::Idle;
        }
        Step::SomeoneRedrives(at) => {
            state.writes[at].entry = Entry::Due;
            state.writes[at].leases = 0;
        }
        Step::WorkerReceives(who, at) => {
            state.writes[at].visible -= 1;
            state.writes[at].in_flight += 1;
            state.workers[who] = Worker::Received(at);
        }
        Step::WorkerClaims(who) => {
            let Worker::Received(at) = state.workers[who] else { return None };
            let claimed_before = std::mem::replace(&mut state.writes[at].done_mark, true);
            state.workers[who] = if claimed_before { Worker::Done(at) } else { Worker::Claimed(at) };
        }
        Step::WorkerCommits(who) => {
            let (Worker::Received(at) | Worker::Claimed(at)) = state.workers[who] else { return None };
            state.writes[at].worker_commits(protocol.plan, state.workers[who]);
            state.workers[who] = Worker::Done(at);
        }
        Step::WorkerAcknowledges(who) => {
            let Worker::Done(at) = state.workers[who] else { return None };
            state.writes[at].in_flight -= 1;
            state.workers[who] = Worker::Idle;
        }
        Step::WorkerIsKilled(who) => {
            let (Worker::Received(at) | Worker::Claimed(at) | Worker::Done(at)) = state.workers[who] else {
                return None;
            };
            state.kills -= 1;
            state.writes[at].in_flight -= 1;
            state.writes[at].visible += 1;
            state.workers[who] = Worker::Idle;
        }
        Step::DeliveredAgain(at) => {
            state.repeats -= 1;
            state.writes[at].arrives()?;
        }
    }
    Some(state)
}

impl State {
    fn sends(&mut self, at: usize, send: Send) -> Option<()> {
        if send != Send::Accepted {
            self.troubles -= 1;
        }
        if send.arrives() { self.writes[at].arrives() } else { Some(()) }
    }
}

impl Write {
    fn arrives(&mut self) -> Option<()> {
        (self.visible + self.in_flight < MOST_COPIES).then(|| self.visible += 1)
    }

    /// The first transaction of the request.
    fn begin(&mut self, plan: Plan) {
        match (self.mode, plan) {
            (Mode::Strict, Plan::StrictWithoutHeld) => self.writer = Writer::Sends,
            (Mode::Strict, _) => {
                self.entry = Entry::Held;
                self.writer = Writer::Sends;
            }
            (Mode::Outbox, Plan::DualWrite) => {
                self.image = Image::Applied;
                self.writer = Writer::Sends;
            }
            (Mode::Outbox, _) => {
                self.image = Image::Applied;
                self.entry = Entry::Due;
                self.in_stream = true;
                self.answer = Answer::Accepted;
                self.writer = Writer::Gone;
            }
        }
    }

    fn writer_sent(&mut self, plan: Plan, send: Send) {
        match send {
            Send::Accepted => self.writer = Writer::WasAccepted,
            Send::Refused if plan != Plan::DualWrite => self.writer = Writer::WasRefused,
            // Whether it arrived is not known, so nothing is undone.
            Send::Refused | Send::AnswerLost | Send::RequestLost => {
                self.answer = Answer::Unknown;
                self.writer = Writer::Gone;
            }
        }
    }

    /// The second transaction of a strict write, then the answer.
    fn writer_ends(&mut self, plan: Plan) {
        if self.writer == Writer::WasAccepted {
            if plan == Plan::StrictWithoutHeld {
                self.image = Image::Applied;
            }
            self.mark();
            self.answer = Answer::Accepted;
        } else if plan == Plan::StrictWithoutHeld
            || (self.entry == Entry::Held && (self.leases == 0 || plan == Plan::UndoAfterLease))
        {
            self.image = Image::Undone;
            self.entry = Entry::Undone;
            self.answer = Answer::Refused;
        } else {
            self.answer = Answer::Unknown;
        }
        self.writer = Writer::Gone;
    }

    /// The transaction that says that the message is sent. What was held becomes readable by it; done twice it changes nothing.
    fn mark(&mut self) {
        if matches!(self.entry, Entry::Due | Entry::Held) {
            self.image = Image::Applied;
            self.entry = Entry::Published;
        }
    }

    /// The worker's effects and its done-mark, in one transaction.
    fn worker_commits(&mut self, plan: Plan, worker: Worker) {
        // Who holds the message of a held entry holds the proof that the queue accepted it.
        if self.entry == Entry::Held && plan != Plan::EffectBeforeRecord {
            self.mark();
        }
        let runs = match plan {
            Plan::NoDoneMark => true,
            Plan::ClaimThenEffect => matches!(worker, Worker::Claimed(_)),
            _ => !self.done_mark,
        };
        if runs {
            self.effects = (self.effects + 1).min(2);
            self.done_mark = true;
        }
    }
}

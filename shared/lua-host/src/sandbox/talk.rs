//! One run as the parent sees it: the job goes in, host calls come out and are answered, the report comes out.

use std::{future::pending, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    task::yield_now,
    time::{Instant, sleep},
};
use tracing::error;

use super::{
    alarm::Alarm,
    process::{Death, Event, Process},
};
use crate::{
    FailureKind, HandlerError, Host, HostCall, HostError, Job, LogLine, Verdict,
    pace::{LOOK, Pace},
    wire::{Answer, Done, JobFrame, ToChild},
};

/// How a run ended, before it is timed.
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    pub(super) log: Vec<LogLine>,
    pub(super) log_truncated: bool,
    pub(super) cpu_us: u64,
}

impl Ended {
    pub(super) fn without_log(verdict: Verdict) -> Ended {
        Ended { verdict, log: Vec::new(), log_truncated: false, cpu_us: 0 }
    }

    pub(super) fn returned(why: impl Into<String>) -> Ended {
        Ended::without_log(Verdict::Returned { why: why.into() })
    }
}

/// When a run is to be stopped, and when its sandbox is.
pub(super) struct Watch<'a> {
    alarm: &'a mut Alarm,
    next: Option<(Instant, Measure)>,
    grace: Duration,
}

/// What is done to a run whose time is up.
#[derive(Clone, Copy)]
enum Measure {
    Cancel,
    Kill,
}

impl Watch<'_> {
    pub(super) fn new(alarm: &mut Alarm, deadline: std::time::Instant, grace: Duration) -> Watch<'_> {
        Watch { alarm, next: Some((deadline.into(), Measure::Cancel)), grace }
    }

    /// Waits until something must be done; for ever, once all has been.
    async fn due(&mut self) -> Measure {
        let Some((moment, measure)) = self.next else { return pending().await };
        self.alarm.at(moment).await;
        self.next = match measure {
            Measure::Cancel => Some((moment + self.grace, Measure::Kill)),
            Measure::Kill => None,
        };
        measure
    }

    /// Waits until the process is to be ended, however long the sandbox takes to listen.
    async fn last(&mut self) {
        let Some((moment, measure)) = self.next else { return pending().await };
        let moment = match measure {
            Measure::Cancel => moment + self.grace,
            Measure::Kill => moment,
        };
        self.alarm.at(moment).await;
        self.next = None;
    }

    fn is_cancelled(&self) -> bool {
        !matches!(self.next, Some((_, Measure::Cancel)))
    }
}

/// Runs a job on a seat of a living process, to its deadline and the grace at most.
pub(super) async fn talk(
    process: &Process,
    seat: usize,
    events: mpsc::Receiver<Event>,
    job: Job,
    test: bool,
    watch: Watch<'_>,
    host: Arc<dyn Host>,
) -> Ended {
    Conversation { process, seat, events, watch, host }.hold(job, test).await
}

struct Conversation<'a> {
    process: &'a Process,
    seat: usize,
    events: mpsc::Receiver<Event>,
    watch: Watch<'a>,
    host: Arc<dyn Host>,
}

impl Conversation<'_> {
    async fn hold(mut self, job: Job, test: bool) -> Ended {
        match frame(self.seat, job, test) {
            Ok(frame) => self.say(&frame).await,
            Err(error) => {
                self.process.rise(self.seat);
                let message = format!("the job cannot be written: {error}");
                return Ended::without_log(Verdict::Failed(HandlerError::new(
                    FailureKind::Conversion,
                    message,
                )));
            }
        }
        loop {
            let event = tokio::select! {
                biased;
                event = hear(&mut self.events, &self.process.pace) => event,
                measure = self.watch.due() => {
                    match measure {
                        Measure::Cancel => self.say(&ToChild::Cancel { slot: self.seat as u32 }).await,
                        // The end of the process ends the talk.
                        Measure::Kill => self.process.kill(self.seat),
                    }
                    continue;
                }
            };
            match event {
                Some(Event::Call { .. }) if self.watch.is_cancelled() => {}
                Some(Event::Call { module, function, arguments }) => {
                    let answer = tokio::select! {
                        biased;
                        answer = answer(&*self.host, module, function, &arguments) => answer,
                        // Only the end of all can come before the answer.
                        event = self.events.recv() => return self.ended(event),
                        // Too late for an answer.
                        _ = self.watch.due() => {
                            self.say(&ToChild::Cancel { slot: self.seat as u32 }).await;
                            continue;
                        }
                    };
                    self.say(&ToChild::Reply { slot: self.seat as u32, answer }).await;
                }
                event => return self.ended(event),
            }
        }
    }

    /// Says something to the sandbox, which is ended if it does not take it in time.
    async fn say(&mut self, frame: &ToChild) {
        tokio::select! {
            biased;
            () = self.process.say(frame) => {}
            () = self.watch.last() => self.process.kill(self.seat),
        }
    }

    fn ended(&self, event: Option<Event>) -> Ended {
        match event {
            Some(Event::Done { report }) => {
                self.process.rise(self.seat);
                match serde_json::from_str::<Done>(&report) {
                    Ok(Done { ending, log, log_truncated, cpu_us }) => {
                        Ended { verdict: ending.into(), log, log_truncated, cpu_us }
                    }
                    Err(error) => crashed(format!("the sandbox's report cannot be read: {error}")),
                }
            }
            Some(Event::Died(Death { guilty: true, overdue: true })) => {
                let message = "the handler could not be stopped at its deadline, so its sandbox was ended";
                let error = HandlerError::new(FailureKind::Deadline, message);
                Ended::without_log(Verdict::Failed(error))
            }
            Some(Event::Died(Death { guilty: true, overdue: false })) => {
                crashed("the sandbox ended while this handler ran")
            }
            _ => Ended::returned("the sandbox ended under another handler"),
        }
    }
}

/// The sandbox's next word, for which it is looked a moment where that is likely to pay.
async fn hear(events: &mut mpsc::Receiver<Event>, pace: &Pace) -> Option<Event> {
    let begun = Instant::now();
    let looks = pace.looks();
    if looks {
        while begun.elapsed() < LOOK {
            if let Ok(event) = events.try_recv() {
                pace.learn(begun.elapsed(), true);
                return Some(event);
            }
            // The runtime looks at its pipes before it comes back.
            yield_now().await;
        }
    }
    let event = events.recv().await;
    pace.learn(begun.elapsed(), looks);
    event
}

fn crashed(message: impl Into<String>) -> Ended {
    Ended::without_log(Verdict::Failed(HandlerError::new(FailureKind::Crashed, message)))
}

fn frame(seat: usize, job: Job, test: bool) -> serde_json::Result<ToChild> {
    let left = job.deadline.saturating_duration_since(std::time::Instant::now());
    Ok(ToChild::Job(Box::new(JobFrame {
        slot: seat as u32,
        test,
        handler: job.handler,
        context: job.context.to_string(),
        body: job.body,
        config: job.config.to_string(),
        secrets: serde_json::to_string(&job.secrets)?,
        deadline_us: left.as_micros() as u64,
        cpu_budget_us: job.cpu_budget.as_micros() as u64,
    })))
}

/// Answers one call. A host that panics has failed, nothing else has.
async fn answer(host: &dyn Host, module: String, function: String, arguments: &str) -> Answer {
    let arguments: Value = match serde_json::from_str(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return refused(&thrown("bad-argument", error.to_string())),
    };
    // Needs no policy: it has no effect.
    if module == "time" && function == "sleep" {
        let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or(0.0).clamp(0.0, 86_400.0);
        sleep(Duration::from_secs_f64(seconds)).await;
        return Answer::Value("null".to_owned());
    }
    let name = format!("{module}.{function}");
    let called =
        AssertUnwindSafe(async { host.call(HostCall { module, function, arguments }).await }).catch_unwind();
    match called.await {
        Ok(Ok(value)) => Answer::Value(value.to_string()),
        Ok(Err(error)) => refused(&error),
        Err(_) => {
            error!(host.function = name, "A host function panicked.");
            refused(&thrown("host-panicked", format!("{name} failed in an unexpected way")))
        }
    }
}

fn thrown(code: &str, message: String) -> HostError {
    HostError { code: code.to_owned(), message, retryable: false, expected: false }
}

fn refused(error: &HostError) -> Answer {
    let text =
        json!({ "code": error.code, "message": error.message, "retryable": error.retryable }).to_string();
    if error.expected { Answer::Expected(text) } else { Answer::Thrown(text) }
}

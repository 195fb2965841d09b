//! One run as the parent sees it: the job goes in, host calls come out and are answered, the report comes out.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tracing::error;

use super::process::{Death, Event, Process};
use crate::{
    FailureKind, HandlerError, Host, HostCall, HostError, Job, LogLine, Verdict,
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

/// Runs a job on a seat of a living process, to its deadline and the grace at most.
pub(super) async fn talk(
    process: &Process,
    seat: usize,
    events: mpsc::Receiver<Event>,
    job: Job,
    test: bool,
    grace: Duration,
    host: Arc<dyn Host>,
) -> Ended {
    let deadline = Instant::from_std(job.deadline);
    let conversation = Conversation { process, seat, events, deadline, host };
    let talk = conversation.hold(job, test);
    tokio::pin!(talk);
    tokio::select! {
        biased;
        ended = &mut talk => ended,
        () = sleep_until(deadline + grace) => {
            process.kill(seat);
            // The end of the process ends the talk.
            talk.await
        }
    }
}

struct Conversation<'a> {
    process: &'a Process,
    seat: usize,
    events: mpsc::Receiver<Event>,
    deadline: Instant,
    host: Arc<dyn Host>,
}

impl Conversation<'_> {
    async fn hold(mut self, job: Job, test: bool) -> Ended {
        match frame(self.seat, job, test) {
            Ok(frame) => self.process.say(&frame).await,
            Err(error) => {
                self.process.rise(self.seat);
                let message = format!("the job cannot be written: {error}");
                return Ended::without_log(Verdict::Failed(HandlerError::new(
                    FailureKind::Conversion,
                    message,
                )));
            }
        }
        let mut cancelled = false;
        loop {
            let event = tokio::select! {
                biased;
                event = self.events.recv() => event,
                () = sleep_until(self.deadline), if !cancelled => {
                    cancelled = true;
                    self.process.say(&ToChild::Cancel { slot: self.seat as u32 }).await;
                    continue;
                }
            };
            match event {
                Some(Event::Call { .. }) if cancelled => {}
                Some(Event::Call { module, function, arguments }) => {
                    let answer = tokio::select! {
                        biased;
                        answer = answer(&*self.host, module, function, &arguments) => answer,
                        // Only the end of all can come before the answer.
                        event = self.events.recv() => return self.ended(event),
                        // The loop cancels.
                        () = sleep_until(self.deadline) => continue,
                    };
                    self.process.say(&ToChild::Reply { slot: self.seat as u32, answer }).await;
                }
                event => return self.ended(event),
            }
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

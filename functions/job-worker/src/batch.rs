use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::sqs::SqsBatchResponse;
use domain::{BATCH_SIZE, JobId, Outcome, SqsQueue};
use serde_json::Value;
use worker::{BatchReport, Delivery};

use crate::event::{Bell, bells};
use crate::run::{Progress, WorkError};
use crate::{EventError, JobWorker};

/// A message is sent before its job is saved: so long it is waited for, milliseconds from the first receive. Whoever saves it
/// has had to give its answer by then.
const WAIT_FOR_JOB_MS: i64 = 60_000;

/// Looked for again after so many seconds.
const LOOK_AGAIN_SECS: u32 = 3;

/// A job that another worker is at is looked at again after so many seconds.
const TAKEN_SECS: u32 = 60;

/// What failed is tried again after so many seconds, times the receives so far.
const FAILED_SECS: u32 = 10;

/// A job whose slices fail so often in a row is given up. The queue's redrive policy, at 20, is the net for crashes.
const GIVE_UP_AT: u32 = 10;

impl JobWorker {
    /// Handles one invocation that Lambda ends at `deadline`.
    ///
    /// # Errors
    /// [`EventError`].
    pub async fn handle_until(
        &self,
        event: Value,
        deadline: SystemTime,
    ) -> Result<SqsBatchResponse, EventError> {
        let remaining = deadline.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        self.handle(event, remaining)
            .await
            .inspect_err(|error| tracing::error!(%error, "A batch of jobs was refused."))
    }

    /// Handles one batch and names the messages that must come back. No slice is begun in the last third of the `remaining` time.
    ///
    /// # Errors
    /// [`EventError`]: nothing ran, and the whole batch comes back.
    pub async fn handle(&self, event: Value, remaining: Duration) -> Result<SqsBatchResponse, EventError> {
        let until = Instant::now() + remaining * 2 / 3;
        let bells = bells(&event)?;
        let deliveries =
            bells.iter().map(|bell| Delivery { id: bell.id.clone(), group: None, message: bell }).collect();
        let report = worker::run(deliveries, BATCH_SIZE, until, |bell| self.answer(bell, until)).await;
        self.set_visibilities(&bells, &report).await;
        let mut response = SqsBatchResponse::default();
        response.set_failures(report.failures());
        Ok(response)
    }

    /// Hands the job on to its next message.
    async fn ring(&self, id: JobId, slice: u64, after_secs: u32) -> Outcome {
        match self.jobs_queue.ring(id, slice, after_secs).await {
            Ok(()) => Outcome::Ack,
            Err(error) => {
                tracing::warn!(job.id = %id, %error, "A job's next message could not be sent; this one comes back.");
                Outcome::Retry { after_secs: LOOK_AGAIN_SECS, strike: false }
            }
        }
    }

    async fn answer(&self, bell: &Bell, until: Instant) -> Outcome {
        let Some(id) = bell.job else {
            tracing::error!(
                sqs.message_id = bell.id,
                "A message on the jobs' queue is about no job and is let go."
            );
            return Outcome::Ack;
        };
        match self.work(id, until).await {
            Ok(Progress::Ended) => Outcome::Ack,
            // It may be this very message, delivered twice: gone with it would be the only bell of a worker that crashes.
            Ok(Progress::Taken) => Outcome::Retry { after_secs: TAKEN_SECS, strike: false },
            Ok(Progress::More { slice }) => self.ring(id, slice, 0).await,
            // A message of its own each time: how often one may come back is for crashes.
            Ok(Progress::Later { slice, after_secs }) => self.ring(id, slice, after_secs).await,
            Ok(Progress::Unknown) if self.may_be_saved_yet(bell) => {
                Outcome::Retry { after_secs: LOOK_AGAIN_SECS, strike: false }
            }
            Ok(Progress::Unknown) => {
                tracing::warn!(job.id = %id, "A message's job was never saved, so the message is let go.");
                Outcome::Ack
            }
            Err(error) => self.failed(id, bell.receives, &error).await,
        }
    }

    fn may_be_saved_yet(&self, bell: &Bell) -> bool {
        let now_ms = self.clock.now().as_millisecond();
        bell.first_received_ms.map_or(bell.receives < GIVE_UP_AT, |at| now_ms - at < WAIT_FOR_JOB_MS)
    }

    async fn failed(&self, id: JobId, receives: u32, error: &WorkError) -> Outcome {
        let reason = domain::causes(error);
        tracing::error!(job.id = %id, job.receives = receives, error = reason, "A slice of a job failed.");
        if receives >= GIVE_UP_AT {
            match self.give_up(id, &reason).await {
                Ok(()) => return Outcome::Ack,
                Err(error) => tracing::error!(job.id = %id, %error, "A job could not be given up, either."),
            }
        }
        Outcome::Retry { after_secs: FAILED_SECS * receives.clamp(1, 30), strike: false }
    }

    /// What cannot be set comes back when the queue's own visibility timeout ends, which is late but safe.
    async fn set_visibilities(&self, bells: &[Bell], report: &BatchReport) {
        for (place, _, after_secs) in report.returned() {
            let bell = &bells[place];
            let queue = bell.queue_arn.as_deref().and_then(SqsQueue::from_arn);
            let (Some(queue), Some(handle)) = (queue, &bell.receipt_handle) else { continue };
            let failed = self.queues.set_visibility(&queue, &[(handle.clone(), after_secs)]).await;
            if !failed.is_empty() {
                tracing::warn!(
                    sqs.message_id = bell.id,
                    "A returned message comes back at the queue's own visibility timeout."
                );
            }
        }
    }
}

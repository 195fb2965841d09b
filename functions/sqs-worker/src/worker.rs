use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::sqs::SqsBatchResponse;
use domain::{BATCH_SIZE, Outcome, SqsQueue};
use handling::{Handling, LiveHandlers};
use queue::Queues;
use serde_json::Value;
use worker::{BatchReport, Budget, Delivery};

use crate::EventError;
use crate::event::{Record, records};

/// A record that cannot be read comes back after this many seconds, until the redrive policy takes it.
const BROKEN_RECORD_SECS: u32 = 30;

/// The function: everything that lives longer than one batch.
#[derive(Clone)]
pub struct SqsWorker {
    handling: Handling,
    queues: Queues,
    retry_queue: SqsQueue,
}

impl SqsWorker {
    /// A worker that handles by `handling` and sets visibilities by `queues`. What comes from `retry_queue` was first received from Kafka
    /// or RabbitMQ.
    pub fn new(handling: Handling, queues: Queues, retry_queue: SqsQueue) -> SqsWorker {
        SqsWorker { handling, queues, retry_queue }
    }

    /// Handles one invocation that Lambda ends at `deadline`.
    pub async fn handle_until(
        &self,
        event: Value,
        deadline: SystemTime,
    ) -> Result<SqsBatchResponse, EventError> {
        let remaining = deadline.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        self.handle(event, remaining)
            .await
            .inspect_err(|error| tracing::error!(%error, "a batch was refused"))
    }

    /// Handles one batch within the `remaining` time, as [`SqsWorker::handle_within`] does.
    pub async fn handle(&self, event: Value, remaining: Duration) -> Result<SqsBatchResponse, EventError> {
        self.handle_within(event, &Budget::new(Instant::now(), remaining)).await
    }

    /// Handles one batch within its budget and names the messages that must come back.
    ///
    /// An error means that nothing ran and the whole batch comes back.
    pub async fn handle_within(&self, event: Value, budget: &Budget) -> Result<SqsBatchResponse, EventError> {
        let records = records(event, &self.retry_queue.arn())?;
        // One set of handlers for the whole batch: it ends on those it began with.
        let live = self.handling.handlers_for_batch(budget.look).await;
        let deliveries = records
            .iter()
            .map(|record| Delivery { id: record.id.clone(), group: record.group.clone(), message: record })
            .collect();
        let report = worker::run(deliveries, BATCH_SIZE, budget.start_by, |record| {
            self.handle_record(live.as_deref(), record, budget)
        })
        .await;
        self.set_visibilities(&records, &report, budget.answer_by).await;
        let mut response = SqsBatchResponse::default();
        response.set_failures(report.failures());
        Ok(response)
    }

    /// Handles one record, within the batch's time.
    async fn handle_record(&self, live: Option<&LiveHandlers>, record: &Record, budget: &Budget) -> Outcome {
        let received = match &record.message {
            Ok(received) => received,
            Err(error) => {
                tracing::error!(sqs.message_id = record.id, error, "a record cannot be read and comes back");
                return Outcome::Retry { after_secs: BROKEN_RECORD_SECS, strike: false };
            }
        };
        let Some(live) = live else { return self.handling.put_back(received) };
        let handled = self.handling.handle(live, received, budget.run_until);
        tokio::time::timeout_at(budget.settle_until.into(), handled).await.unwrap_or_else(|_| {
            tracing::error!(message.id = received.id(), "a message was not settled in time and comes back");
            Outcome::Retry { after_secs: worker::RETURN_SECS, strike: false }
        })
    }

    /// Says when each returned message is visible again: one call for the batch, which comes from one queue. What could not be set comes
    /// back when the queue's own visibility timeout ends, which is late but safe.
    async fn set_visibilities(&self, records: &[Record], report: &BatchReport, by: Instant) {
        let mut of_queue: BTreeMap<&str, Vec<(String, u32)>> = BTreeMap::new();
        for (place, _, after_secs) in report.returned() {
            let record = &records[place];
            if let (Some(arn), Some(handle)) = (&record.queue_arn, &record.receipt_handle) {
                of_queue.entry(arn).or_default().push((handle.clone(), after_secs));
            }
        }
        for (arn, messages) in of_queue {
            let Some(queue) = SqsQueue::from_arn(arn) else { continue };
            let set = tokio::time::timeout_at(by.into(), self.queues.set_visibility(&queue, &messages)).await;
            let not_set = set.map_or(messages.len(), |failed| failed.len());
            if not_set > 0 {
                tracing::warn!(
                    queue.arn = arn,
                    batch.returned = messages.len(),
                    batch.not_set = not_set,
                    "returned messages come back at the queue's own visibility timeout"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    /// A wrong key at the top would read as 'no failures', and Lambda would delete every message.
    #[test]
    fn the_answer_has_the_shape_that_lambda_reads() {
        let check = |ids: &[&str], expect: &str| {
            let mut response = SqsBatchResponse::default();
            response.set_failures(ids.iter().copied());
            assert_eq!(serde_json::to_string(&response).unwrap(), expect);
        };
        check(&[], r#"{"batchItemFailures":[]}"#);
        check(
            &["059f36b4-87a3-44ab-83d2-661975830a7d", "2e1424d4-f796-459a-8184-9c92662be6da"],
            r#"{"batchItemFailures":[{"itemIdentifier":"059f36b4-87a3-44ab-83d2-661975830a7d"},{"itemIdentifier":"2e1424d4-f796-459a-8184-9c92662be6da"}]}"#,
        );
    }
}

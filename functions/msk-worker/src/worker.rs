use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use domain::BATCH_SIZE;
use handling::{BrokerHandling, Received};
use serde_json::Value;
use worker::{Budget, Delivery, run_or_put_off};

use crate::answer::{BatchItemFailure, KafkaBatchResponse};
use crate::event::{EventError, Record, records};
use crate::seen::Seen;

/// How Lambda learns of records that must come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedRecords {
    /// The answer names them: for event source mappings with `ReportBatchItemFailures`, which Kafka has with provisioned pollers only.
    Named,
    /// The invocation fails, and the whole batch comes back. Without `ReportBatchItemFailures` Lambda does not read the
    /// answer, and would take it for success.
    WholeBatch,
}

/// The function: everything that lives longer than one batch.
#[derive(Clone)]
pub struct MskWorker {
    broker: BrokerHandling,
    failed_records: FailedRecords,
    seen: Arc<Seen>,
}

impl MskWorker {
    /// A worker that handles by `broker`.
    pub fn new(broker: BrokerHandling, failed_records: FailedRecords) -> MskWorker {
        MskWorker { broker, failed_records, seen: Arc::default() }
    }

    /// Handles one invocation that Lambda ends at `deadline`.
    pub async fn handle_until(
        &self,
        event: Value,
        deadline: SystemTime,
    ) -> Result<KafkaBatchResponse, EventError> {
        let remaining = deadline.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        self.handle(event, remaining)
            .await
            .inspect_err(|error| tracing::error!(%error, "a batch was refused"))
    }

    /// Handles one batch within the `remaining` time, as [`MskWorker::handle_within`] does.
    pub async fn handle(&self, event: Value, remaining: Duration) -> Result<KafkaBatchResponse, EventError> {
        self.handle_within(event, &Budget::new(Instant::now(), remaining)).await
    }

    /// Handles one batch within its budget and names the records that must come back: those that could not be put on the
    /// retry queue, either.
    ///
    /// An error means that the whole batch comes back, those that were handled too.
    pub async fn handle_within(
        &self,
        event: Value,
        budget: &Budget,
    ) -> Result<KafkaBatchResponse, EventError> {
        let mut records = records(event)?;
        self.seen.mark_repetitions(&mut records);
        let (total, mut failed) = (records.len(), Vec::new());
        let mut readable: Vec<(&Record, &Received)> = Vec::with_capacity(total);
        for record in &records {
            match &record.message {
                Ok(received) => readable.push((record, received)),
                Err(topic) => {
                    tracing::error!(
                        kafka.topic = topic,
                        "a record is of a topic that cannot be registered as a queue, so it comes back: its name must \
                         have 1 to 80 letters, digits, '-' or '_'"
                    );
                    failed.push(record);
                }
            }
        }
        // One set of handlers for the whole batch: it ends on those it began with.
        let live = self.broker.handlers_for_batch(budget.look).await;
        let live = live.as_deref();
        let deliveries = readable.iter().map(|(record, received)| Delivery {
            id: received.engine_id.clone(),
            group: record.group.clone(),
            message: *received,
        });
        let refused = run_or_put_off(
            deliveries.collect(),
            BATCH_SIZE,
            budget,
            |received| self.broker.handle(live, received, budget.run_until),
            |received, after_secs| self.broker.put_off(received, after_secs),
        )
        .await;
        failed.extend(refused.into_iter().map(|place| readable[place].0));
        self.answer(&failed, total)
    }

    fn answer(&self, failed: &[&Record], total: usize) -> Result<KafkaBatchResponse, EventError> {
        let named: Option<Vec<BatchItemFailure>> = failed
            .iter()
            .map(|record| record.id.clone().map(|item_identifier| BatchItemFailure { item_identifier }))
            .collect();
        let why = match (self.failed_records, named) {
            (_, Some(none)) if none.is_empty() => {
                return Ok(KafkaBatchResponse { batch_item_failures: none });
            }
            (FailedRecords::Named, Some(named)) => {
                tracing::error!(
                    batch.failed = named.len(),
                    batch.size = total,
                    "records could be neither handled nor put on the retry queue, and come back"
                );
                return Ok(KafkaBatchResponse { batch_item_failures: named });
            }
            (FailedRecords::Named, None) => "some of them have no offset to name them by",
            (FailedRecords::WholeBatch, _) => "this event source mapping does not read which",
        };
        Err(EventError::Refused { refused: failed.len(), total, why })
    }
}

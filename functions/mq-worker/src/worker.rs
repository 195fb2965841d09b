use std::time::{Duration, Instant, SystemTime};

use domain::{BATCH_SIZE, Clock, MessageId};
use handling::{BrokerHandling, Received};
use serde_json::Value;
use worker::{Budget, Delivery, run_or_put_off};

use crate::event::{EventError, messages};

/// The function: everything that lives longer than one batch.
#[derive(Clone)]
pub struct MqWorker {
    broker: BrokerHandling,
    clock: Clock,
}

impl MqWorker {
    /// A worker that handles by `broker`. The ids it gives are of the time of `clock`.
    pub fn new(broker: BrokerHandling, clock: Clock) -> MqWorker {
        MqWorker { broker, clock }
    }

    /// Handles one invocation that Lambda ends at `deadline`.
    pub async fn handle_until(&self, event: Value, deadline: SystemTime) -> Result<(), EventError> {
        let remaining = deadline.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        self.handle(event, remaining)
            .await
            .inspect_err(|error| tracing::error!(%error, "a batch was refused"))
    }

    /// Handles one batch within the `remaining` time. `Ok` is all that Lambda wants to hear: it acknowledges the whole batch.
    ///
    /// An error means that the broker brings the whole batch again, those that were handled too: some could not be put on
    /// the retry queue, either.
    pub async fn handle(&self, event: Value, remaining: Duration) -> Result<(), EventError> {
        let budget = Budget::new(Instant::now(), remaining);
        let messages = messages(event, || MessageId::new(self.clock.now(), &mut rand::rng()).to_string())?;
        let mut readable: Vec<&Received> = Vec::with_capacity(messages.len());
        for message in &messages {
            match message {
                Ok(received) => readable.push(received),
                Err(queue) => tracing::error!(
                    rabbitmq.queue = queue,
                    "a message lay on a queue that cannot be registered, so its batch comes back: the queue's name must \
                     have 1 to 80 letters, digits, '-' or '_'"
                ),
            }
        }
        // One set of handlers for the whole batch: it ends on those it began with.
        let live = self.broker.handlers_for_batch(budget.look).await;
        let live = live.as_deref();
        let deliveries = readable.iter().map(|received| Delivery {
            id: received.id().to_owned(),
            group: None,
            message: *received,
        });
        let refused = run_or_put_off(
            deliveries.collect(),
            BATCH_SIZE,
            &budget,
            |received| self.broker.handle(live, received, budget.run_until),
            |received, after_secs| self.broker.put_off(received, after_secs),
        )
        .await;
        match refused.len() + (messages.len() - readable.len()) {
            0 => Ok(()),
            refused => Err(EventError::Refused { refused, total: messages.len() }),
        }
    }
}

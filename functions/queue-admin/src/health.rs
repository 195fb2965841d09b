use std::collections::HashMap;
use std::time::Duration;

use domain::{Queue, SqsQueue, WorkerMode};
use futures::StreamExt;
use futures::stream;
use queue::AdminError;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};

use crate::brokers::mapped_by;
use crate::{AdminState, documents};

/// So many queues are looked at at once.
const AT_ONCE: usize = 16;

/// A queue that does not answer within this time is shown as such; the others are not kept waiting.
const LOOK_WITHIN: Duration = Duration::from_secs(3);

/// After this time no more is waited for: a list of queues whose engine is down is still a list.
const ALL_WITHIN: Duration = Duration::from_secs(6);

impl AdminState {
    /// How each of `queues` is: `visible`, `in-flight`, `delayed`, `oldest-age-secs`, `dead-letters`, `mapping`; and `error`
    /// where something could not be learnt. Never fails: one queue that is out of reach must not hide the others.
    pub(crate) async fn health_of(&self, queues: &[Queue]) -> Vec<Value> {
        let end = Instant::now() + ALL_WITHIN;
        let looks: Vec<_> = queues.iter().map(|queue| self.look(queue, end)).collect();
        let looking = stream::iter(looks).buffered(AT_ONCE).collect::<Vec<_>>();
        let (mut healths, ages) = tokio::join!(looking, self.ages_of(queues));
        for (queue, health) in queues.iter().zip(&mut healths) {
            if let (Some(age), Value::Object(members)) =
                (queue.sqs().and_then(|place| ages.get(place)), health)
            {
                members.insert("oldest-age-secs".to_owned(), json!(age));
            }
        }
        healths
    }

    async fn look(&self, queue: &Queue, end: Instant) -> Value {
        let Some(place) = queue.sqs() else { return self.unasked(queue) };
        if queue.credentials.is_some() {
            return json!({ "error": "publish only: its credentials are used for sending, not for looking" });
        }
        let looking = async {
            tokio::join!(
                self.queues.describe(place),
                async {
                    match &queue.dead_letter_queue {
                        Some(dead) => Some(self.queues.describe(dead).await),
                        None => None,
                    }
                },
                async {
                    match &queue.mapping {
                        Some(mapping) => Some(self.mappings.state(mapping).await),
                        None => None,
                    }
                },
            )
        };
        let by = end.min(Instant::now() + LOOK_WITHIN);
        let Ok((facts, dead, mapping)) = timeout_at(by, looking).await else {
            return json!({ "error": "its engine did not answer in time" });
        };
        let mut errors = Vec::new();
        let facts = note(facts, &mut errors);
        let dead = dead.and_then(|dead| note(dead, &mut errors)).map(|dead| dead.visible + dead.in_flight);
        let mapping = mapping.and_then(|mapping| note(mapping, &mut errors)).map(documents::mapping);
        let mut health = match facts {
            None => json!({}),
            Some(facts) => json!({
                "visible": facts.visible,
                "in-flight": facts.in_flight,
                "delayed": facts.delayed,
                "oldest-age-secs": null,
                "dead-letters": dead,
                "mapping": mapping,
            }),
        };
        if !errors.is_empty() {
            health["error"] = json!(errors.join("; "));
        }
        health
    }

    /// How a queue of a broker is: brokers are not asked from here.
    fn unasked(&self, queue: &Queue) -> Value {
        let feeds = self.settings.brokers.own(queue.engine()).is_some_and(|own| own.feeds(&queue.name));
        match queue.worker {
            WorkerMode::None => json!({ "mapping": null }),
            WorkerMode::Attached if feeds => json!({ "mapping": "enabled" }),
            WorkerMode::Attached => {
                let error = format!(
                    "no mapping receives from it any more: the {} does not name it",
                    mapped_by(queue.engine())
                );
                json!({ "mapping": null, "error": error })
            }
        }
    }

    /// Ages come from a metric that lags by minutes; without it the list is as good, so its failure is only logged.
    async fn ages_of(&self, queues: &[Queue]) -> HashMap<SqsQueue, u64> {
        let home = |place: &&SqsQueue| {
            place.region == self.settings.region && place.account == self.settings.account
        };
        let places: Vec<SqsQueue> = queues.iter().filter_map(Queue::sqs).filter(home).cloned().collect();
        if places.is_empty() {
            return HashMap::new();
        }
        match timeout(LOOK_WITHIN, self.ages.oldest_age_secs(&places)).await {
            Ok(Ok(ages)) => ages,
            Ok(Err(error)) => {
                tracing::warn!(%error, "The ages of the oldest messages could not be read.");
                HashMap::new()
            }
            Err(_elapsed) => {
                tracing::warn!("The ages of the oldest messages were not read in time.");
                HashMap::new()
            }
        }
    }
}

fn note<T>(result: Result<T, AdminError>, errors: &mut Vec<String>) -> Option<T> {
    result.map_err(|error| errors.push(error.to_string())).ok()
}

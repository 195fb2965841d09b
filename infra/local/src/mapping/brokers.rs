//! The mappings of Kafka topics and RabbitMQ queues. On AWS a stack has one for each that its parameters name; here every
//! registered queue that has a worker and lies on the installation's own broker has one, and nothing is kept of it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::{Destination, KafkaTopic, Queue, QueueId, QueueState, WorkerMode};
use queue::local::MockKafka;
use queue::{Engines, Place};
use tokio::sync::Mutex;
use zstorage::{Catalog, CatalogError};

use super::function::Function;
use super::kafka::{TopicWork, poll_topic};
use super::poller::Poller;
use super::rabbitmq::{RabbitWork, poll_rabbit};

/// How often the registry is looked at, beside the looks that are asked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Registered queues read at once.
const PAGE: usize = 100;

/// Partitions of a topic in the embedded Kafka; more where a queue names a higher one.
const PARTITIONS: i32 = 4;

/// What the mappings of brokers stand on.
#[derive(Debug)]
pub struct BrokerParts {
    /// The registry.
    pub catalog: Catalog,
    /// Who knows where the installation's own brokers are.
    pub engines: Engines,
    /// The embedded Kafka, where that is the installation's own.
    pub embedded: Option<MockKafka>,
    /// What Kafka's records are given to.
    pub msk_worker: Function,
    /// What RabbitMQ's messages are given to.
    pub mq_worker: Function,
}

/// All of them and their pollers. Clones share them.
#[derive(Debug, Clone)]
pub struct BrokerMappings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: BrokerParts,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pollers: BTreeMap<QueueId, Poller>,
    /// Pollers that are told to stop, until their last batch has ended; before that the queue gets no other one.
    retired: Vec<(QueueId, Poller)>,
    /// Queues that cannot be received from, of which that was said.
    closed: BTreeSet<QueueId>,
    /// Whether the brokers were connected to, so that a first message need not wait for that.
    warmed: bool,
    /// No more are started.
    ended: bool,
}

impl BrokerMappings {
    /// No poller runs before the first [`BrokerMappings::look`].
    pub fn new(parts: BrokerParts) -> BrokerMappings {
        BrokerMappings(Arc::new(Inner { parts, state: Mutex::default() }))
    }

    /// Looks at the registry: makes topics in the embedded Kafka, starts pollers for what has a worker, ends those of what has
    /// none any more.
    ///
    /// # Errors
    /// The registry's.
    pub async fn look(&self) -> Result<(), CatalogError> {
        let Inner { parts, state } = &*self.0;
        let mut state = state.lock().await;
        if state.ended {
            return Ok(());
        }
        let (mut wanted, mut any): (BTreeMap<QueueId, Queue>, bool) = (BTreeMap::new(), false);
        let mut cursor = None;
        loop {
            let page = parts.catalog.list_queues(None, PAGE, cursor.as_ref()).await?;
            for queue in page.items {
                if !queue.is_on_own_broker() {
                    continue;
                }
                any = true;
                parts.make_topic(&queue);
                if queue.state == QueueState::Ready && queue.worker == WorkerMode::Attached {
                    wanted.insert(queue.id, queue);
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        if any && !state.warmed {
            state.warmed = true;
            let engines = parts.engines.clone();
            tokio::spawn(async move { engines.warm().await });
        }
        let gone: Vec<QueueId> =
            state.pollers.keys().filter(|id| !wanted.contains_key(id)).copied().collect();
        for id in gone {
            if let Some(poller) = state.pollers.remove(&id) {
                poller.stop();
                state.retired.push((id, poller));
            }
        }
        state.retired.retain(|(_, poller)| !poller.has_ended());
        for (id, queue) in wanted {
            if state.pollers.contains_key(&id) || state.retired.iter().any(|(ending, _)| *ending == id) {
                continue;
            }
            match parts.poller(&queue) {
                Ok(poller) => {
                    state.pollers.insert(id, poller);
                }
                Err(reason) if state.closed.insert(id) => {
                    tracing::warn!(queue.name = %queue.name, reason, "nothing can be received for this queue");
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Looks every second until `stopped`: a change in the registry that nobody told of is seen, too.
    pub async fn watch(self, stopped: impl Future<Output = ()> + Send) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let looking = async {
            loop {
                ticks.tick().await;
                self.look_and_say().await;
            }
        };
        tokio::select! {
            () = looking => {}
            () = stopped => {}
        }
    }

    /// [`BrokerMappings::look`], for whom a failure is nothing to act on.
    pub async fn look_and_say(&self) {
        if let Err(error) = self.look().await {
            tracing::warn!(
                error = domain::causes(&error),
                "the registry could not be looked at for topics and queues of brokers"
            );
        }
    }

    /// No more polls from now on; batches in hand go on.
    pub async fn stop_polling(&self) {
        let mut state = self.0.state.lock().await;
        state.ended = true;
        state.pollers.values().for_each(Poller::stop);
    }

    /// Ends all pollers; batches in hand have `within` to finish.
    pub async fn end(&self, within: Duration) {
        let mut state = self.0.state.lock().await;
        state.ended = true;
        let retired = std::mem::take(&mut state.retired).into_iter().map(|(_, poller)| poller);
        let pollers = retired.chain(std::mem::take(&mut state.pollers).into_values());
        futures::future::join_all(pollers.map(|poller| poller.end(within))).await;
    }
}

impl BrokerParts {
    /// A topic is made with its queue: before the first message, and again in the empty cluster of a later start.
    fn make_topic(&self, queue: &Queue) {
        let (Some(embedded), Destination::Kafka(KafkaTopic { cluster: None, partition })) =
            (&self.embedded, &queue.destination)
        else {
            return;
        };
        let partitions = partition.map_or(PARTITIONS, |last| PARTITIONS.max(last.saturating_add(1)));
        if let Err(error) = embedded.make_topic(queue.name.as_str(), partitions) {
            let error = domain::causes(&error);
            tracing::error!(queue.name = %queue.name, error, "the embedded Kafka makes no topic for this queue");
        }
    }

    /// Why there is none is one sentence.
    fn poller(&self, queue: &Queue) -> Result<Poller, String> {
        match self.engines.place(queue, None)? {
            Place::Kafka(place) => {
                let group = format!("queuelink-{}", queue.id);
                let work = TopicWork { place, group, function: self.msk_worker.clone() };
                Ok(Poller::start(|stopped| poll_topic(work, stopped)))
            }
            Place::RabbitMq(place) => {
                let work = RabbitWork { place, function: self.mq_worker.clone() };
                Ok(Poller::start(|stopped| poll_rabbit(work, stopped)))
            }
            Place::Sqs(_) => Err("it is none of a broker".to_owned()),
        }
    }
}

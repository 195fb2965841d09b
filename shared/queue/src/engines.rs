use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::{Credentials, Destination, Engine, Guard, KafkaCluster, Queue, RabbitMqBroker, RabbitMqQueue};
use tokio::time::timeout;

use crate::kafka::{KafkaPlace, KafkaProducers, KafkaSecurity};
use crate::rabbitmq::{RabbitConnections, RabbitPlace};
use crate::{Accepted, Outgoing, Queues, SendError, SqsPlace};

/// A function's start waits no longer for its brokers: the first message can wait for them, too.
const WARM_WITHIN: Duration = Duration::from_secs(3);

/// A queue of any engine, and the right to send to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A queue of SQS.
    Sqs(SqsPlace),
    /// A topic of Kafka.
    Kafka(KafkaPlace),
    /// A queue of RabbitMQ.
    RabbitMq(RabbitPlace),
}

/// The brokers of this installation, and which addresses any broker may have.
#[derive(Clone)]
pub struct BrokersConfig {
    /// The Kafka cluster for queues that name none. It knows us by our role, or not at all.
    pub kafka: Option<KafkaCluster>,
    /// The RabbitMQ broker for queues that name none, and who we are there.
    pub rabbitmq: Option<(RabbitMqBroker, Credentials)>,
    /// What is held against every broker's addresses before it is connected to.
    pub guard: Guard,
}

/// All engines: sends to any queue that is registered. Cheap to clone; clones share their clients, producers and connections,
/// each of which is made when it is first needed.
#[derive(Clone)]
pub struct Engines(Arc<Inner>);

struct Inner {
    sqs: Queues,
    kafka: KafkaProducers,
    rabbitmq: RabbitConnections,
    own: BrokersConfig,
}

impl Place {
    /// The engine it is a place of.
    pub fn engine(&self) -> Engine {
        match self {
            Place::Sqs(_) => Engine::Sqs,
            Place::Kafka(_) => Engine::Kafka,
            Place::RabbitMq(_) => Engine::RabbitMq,
        }
    }

    /// Whether messages with the same ordering key arrive in the order they were sent.
    pub fn keeps_order(&self) -> bool {
        match self {
            Place::Sqs(place) => place.fifo,
            Place::Kafka(_) => true,
            Place::RabbitMq(_) => false,
        }
    }
}

impl BrokersConfig {
    /// Our own `kafka` and `rabbitmq`, where there are any, and the `guard` for all brokers.
    pub fn new(
        kafka: Option<KafkaCluster>,
        rabbitmq: Option<(RabbitMqBroker, Credentials)>,
        guard: Guard,
    ) -> BrokersConfig {
        BrokersConfig { kafka, rabbitmq, guard }
    }

    /// No broker of our own; those of others may be anywhere but on this machine.
    pub fn none() -> BrokersConfig {
        BrokersConfig::new(None, None, Guard::operator())
    }
}

impl fmt::Debug for BrokersConfig {
    /// Without the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokersConfig")
            .field("kafka", &self.kafka)
            .field("rabbitmq", &self.rabbitmq.as_ref().map(|(broker, _)| broker))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engines").field("sqs", &self.0.sqs).field("own", &self.0.own).finish_non_exhaustive()
    }
}

impl Engines {
    /// SQS by `sqs`, whose own role is shown to MSK, too; and the brokers. Connects to nothing yet.
    pub fn new(sqs: Queues, own: BrokersConfig) -> Engines {
        let kafka = KafkaProducers::new(sqs.role(), own.guard.clone());
        let rabbitmq = RabbitConnections::new(own.guard.clone());
        Engines(Arc::new(Inner { sqs, kafka, rabbitmq, own }))
    }

    /// SQS alone, where queues can be looked after, too.
    pub fn sqs(&self) -> &Queues {
        &self.0.sqs
    }

    /// Where messages to `queue` go, by its opened `credentials`.
    ///
    /// # Errors
    /// Why that cannot be said, in a few words.
    pub fn place(&self, queue: &Queue, credentials: Option<Credentials>) -> Result<Place, String> {
        match &queue.destination {
            Destination::Sqs(sqs) => {
                Ok(Place::Sqs(SqsPlace { queue: sqs.clone(), credentials, fifo: queue.fifo }))
            }
            Destination::Kafka(topic) => {
                let cluster = topic.cluster.as_ref().or(self.0.own.kafka.as_ref());
                let cluster = cluster.ok_or("this installation has no Kafka cluster of its own")?;
                Ok(Place::Kafka(KafkaPlace {
                    bootstrap: cluster.bootstrap.clone(),
                    topic: queue.name.to_string(),
                    partition: topic.partition,
                    security: KafkaSecurity::of(&cluster.login, credentials)?,
                }))
            }
            Destination::RabbitMq(RabbitMqQueue { broker: Some(broker) }) => {
                let credentials = credentials.ok_or("it has neither user name nor password")?;
                Ok(Place::RabbitMq(RabbitPlace::at(broker, credentials, queue.name.to_string())))
            }
            Destination::RabbitMq(RabbitMqQueue { broker: None }) => {
                let own = self.0.own.rabbitmq.clone();
                let (broker, user) = own.ok_or("this installation has no RabbitMQ broker of its own")?;
                Ok(Place::RabbitMq(RabbitPlace::at(&broker, user, queue.name.to_string())))
            }
        }
    }

    /// Sends one message, within 4 s; once more where the first attempt came to nothing and there is time.
    ///
    /// # Errors
    /// [`SendError`] says of all attempts together whether the message may be on the queue all the same.
    pub async fn send(&self, to: &Place, message: &Outgoing) -> Result<Accepted, SendError> {
        match to {
            Place::Sqs(to) => self.0.sqs.send(to, message).await,
            Place::Kafka(to) => self.0.kafka.send(to, message).await,
            Place::RabbitMq(to) => self.0.rabbitmq.send(to, message).await,
        }
    }

    /// Sends one message by one attempt, within 4 s: for who must know what became of that one. (librdkafka may repeat a request
    /// within it, which the cluster knows for the same.)
    ///
    /// # Errors
    /// [`SendError`] says whether the message may be on the queue all the same.
    pub async fn send_once(&self, to: &Place, message: &Outgoing) -> Result<Accepted, SendError> {
        match to {
            Place::Sqs(to) => self.0.sqs.send_once(to, message).await,
            Place::Kafka(to) => self.0.kafka.send_once(to, message).await,
            Place::RabbitMq(to) => self.0.rabbitmq.send_once(to, message).await,
        }
    }

    /// Sends many messages, one result each, in their order. Where order is kept, those behind a failed one with the same
    /// ordering key are not sent. What was not sent is [`SendError::Unreachable`].
    pub async fn send_all(&self, to: &Place, messages: &[Outgoing]) -> Vec<Result<Accepted, SendError>> {
        match to {
            Place::Sqs(to) => self.0.sqs.send_all(to, messages).await,
            Place::Kafka(to) => self.0.kafka.send_all(to, messages).await,
            Place::RabbitMq(to) => self.0.rabbitmq.send_all(to, messages).await,
        }
    }

    /// Connects to the brokers of our own, where there are any, so that the first message need not wait for that: for a
    /// function's start. Takes 3 s at most; what did not come to be is in the log, and tried again by that message.
    pub async fn warm(&self) {
        let Inner { kafka, rabbitmq, own, .. } = &*self.0;
        let told = |error: SendError| error.to_string();
        let kafka = async {
            let Some(cluster) = &own.kafka else { return Ok(()) };
            kafka.meet(&cluster.bootstrap, &KafkaSecurity::of(&cluster.login, None)?).await.map_err(told)
        };
        let rabbitmq = async {
            let Some((broker, user)) = &own.rabbitmq else { return Ok(()) };
            rabbitmq.warm(&RabbitPlace::at(broker, user.clone(), String::new())).await.map_err(told)
        };
        let warmed = tokio::join!(timeout(WARM_WITHIN, kafka), timeout(WARM_WITHIN, rabbitmq));
        for (engine, warm) in [(Engine::Kafka, warmed.0), (Engine::RabbitMq, warmed.1)] {
            let error = match warm {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(_) => "it does not answer".to_owned(),
            };
            tracing::warn!(engine = engine.as_str(), error, "The broker of this installation is not ready.");
        }
    }
}

#[cfg(test)]
mod tests;

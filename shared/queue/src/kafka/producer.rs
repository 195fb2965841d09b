use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::config::SharedCredentialsProvider;
use domain::{BrokerAddress, Guard, ScramHash};
use moka::future::Cache;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::metadata::{Metadata, MetadataBroker};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientConfig, error::KafkaError};
use tokio::time::{Instant, timeout, timeout_at};

use super::judge::{judge, not_taken};
use super::look::Lookout;
use super::progress::{Progress, Told, Wire};
use super::settings::settings;
use super::{KafkaPlace, KafkaSecurity};
use crate::broker::{KEPT, KEPT_IDLE, LONGEST, send_each};
use crate::clients::fingerprint;
use crate::{Accepted, Outgoing, SendError};

/// A second attempt, on a new producer, is made only while this is left.
const LEFT_FOR_ANOTHER: Duration = Duration::from_secs(1);

/// How long a cluster is asked for its brokers.
const METADATA: Duration = Duration::from_secs(3);

/// The producers of this process, one per cluster and user. Cheap to clone; clones share them.
///
/// One is made when it is first needed, and let go when it was not used for an hour or 16 others came after it. A
/// function that sends in every invocation makes it in its start, by [`KafkaProducers::warm`].
#[derive(Clone)]
pub struct KafkaProducers {
    role: SharedCredentialsProvider,
    guard: Guard,
    producers: Cache<Cluster, Arc<KafkaProducer>>,
}

/// Whose producer, and where. Passwords stand in it as a hash.
#[derive(PartialEq, Eq, Hash)]
struct Cluster {
    bootstrap: String,
    security: Known,
}

#[derive(PartialEq, Eq, Hash)]
enum Known {
    Nobody { tls: bool },
    Plain { user: [u8; 32], tls: bool },
    Scram { user: [u8; 32], hash: ScramHash, tls: bool },
    Role { region: String },
}

/// The producer of one cluster. Once it has met an error that it calls fatal it takes nothing more, ever: then it is
/// replaced by a new one.
struct KafkaProducer {
    config: ClientConfig,
    lookout: Lookout,
    #[cfg(feature = "kafka-tls")]
    tokens: Option<super::iam::IamTokens>,
    current: Mutex<Option<Arc<Made>>>,
}

/// One that was made.
struct Made {
    /// `None` only while it is dropped.
    producer: Option<FutureProducer<Told>>,
    told: Told,
}

impl fmt::Debug for KafkaProducers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaProducers")
            .field("clusters", &self.producers.entry_count())
            .finish_non_exhaustive()
    }
}

impl KafkaProducers {
    /// Makes none yet. To MSK they show `role`, our own.
    ///
    /// Nothing is sent to a cluster before the addresses of all its brokers were held against `guard`: where to ask for them, and
    /// what it then names, each time anew. librdkafka resolves the names once more, so what changes within a minute is not seen to.
    pub fn new(role: SharedCredentialsProvider, guard: Guard) -> KafkaProducers {
        let producers = Cache::builder().max_capacity(KEPT).time_to_idle(KEPT_IDLE).build();
        KafkaProducers { role, guard, producers }
    }

    /// Sends one message: its body, the ordering key as the record's key, and the headers `message-id`, `round` and its
    /// attributes. Answers once all replicas in sync have it, within 4 s.
    ///
    /// A message sent twice by librdkafka is appended once, but not one sent by two calls, or after an error that
    /// librdkafka calls fatal.
    ///
    /// # Errors
    /// [`SendError`] says whether the message may be on the topic all the same.
    pub async fn send(&self, to: &KafkaPlace, message: &Outgoing) -> Result<Accepted, SendError> {
        self.deliver(to, message, true).await
    }

    /// As [`KafkaProducers::send`], but by one producer, even if that one dies of it.
    ///
    /// # Errors
    /// [`SendError`] says whether the message may be on the topic all the same.
    pub async fn send_once(&self, to: &KafkaPlace, message: &Outgoing) -> Result<Accepted, SendError> {
        self.deliver(to, message, false).await
    }

    async fn deliver(&self, to: &KafkaPlace, message: &Outgoing, again: bool) -> Result<Accepted, SendError> {
        let end = Instant::now() + LONGEST;
        to.check()?;
        let producer = self.producer(&to.bootstrap, &to.security).await?;
        let looked = timeout_at(end, producer.look_at_all(&to.topic)).await;
        looked.unwrap_or_else(|_| Err(producer.silence()))?;
        let mut before: Option<SendError> = None;
        loop {
            let made = producer.current()?;
            let error = match timeout_at(end, made.send(to, message, end)).await {
                Ok(Ok(accepted)) => return Ok(accepted),
                Ok(Err(error)) => error,
                Err(_) => SendError::Unanswered { reason: "no report within 4 s".to_owned() },
            };
            let known = match before.take() {
                Some(before) => before.then(error),
                None => error,
            };
            let dead = producer.replace_if_dead(&made);
            if !again || !dead || Instant::now() + LEFT_FOR_ANOTHER > end {
                return Err(known);
            }
            before = Some(known);
        }
    }

    /// Sends many messages, one result each, in their order. Those with the same ordering key follow one another, and once
    /// one has failed, those behind it are not sent; all others go side by side. None is begun 6.5 s after the first. What
    /// was not sent is [`SendError::Unreachable`].
    pub async fn send_all(&self, to: &KafkaPlace, messages: &[Outgoing]) -> Vec<Result<Accepted, SendError>> {
        send_each(messages, |message| self.send(to, message)).await
    }

    /// Makes the producer of a place's cluster and lets it do what else the first message would wait for: find the brokers,
    /// and get the number by which the cluster knows a record sent twice. Within 4 s.
    ///
    /// # Errors
    /// [`SendError`]: the cluster is not there or refuses us, or it has no such topic.
    pub async fn warm(&self, to: &KafkaPlace) -> Result<(), SendError> {
        to.check()?;
        let producer = self.producer(&to.bootstrap, &to.security).await?;
        let ready = async {
            producer.look_at_all(&to.topic).await?;
            let made = producer.current()?;
            let metadata = made.metadata(&to.topic).await?;
            if let Some(fault) = metadata.topics().iter().find_map(|topic| topic.error()) {
                let fault = KafkaError::MetadataFetch(fault.into());
                return Err(judge(&fault, Wire::Silent, made.told.error()));
            }
            made.told.ready().await;
            Ok(())
        };
        timeout(LONGEST, ready).await.unwrap_or_else(|_| Err(producer.silence()))
    }

    /// Makes the producer of the cluster at `bootstrap` and lets it connect there, whatever topics it has. Within 4 s.
    ///
    /// # Errors
    /// [`SendError`]: the cluster is not there or refuses us.
    pub async fn meet(&self, bootstrap: &str, security: &KafkaSecurity) -> Result<(), SendError> {
        let producer = self.producer(bootstrap, security).await?;
        let ready = async {
            producer.lookout.at_bootstrap().await?;
            producer.current()?.told.ready().await;
            Ok(())
        };
        timeout(LONGEST, ready).await.unwrap_or_else(|_| Err(producer.silence()))
    }

    async fn producer(
        &self,
        bootstrap: &str,
        security: &KafkaSecurity,
    ) -> Result<Arc<KafkaProducer>, SendError> {
        let cluster = Cluster { bootstrap: bootstrap.to_owned(), security: Known::from(security) };
        if let Some(producer) = self.producers.get(&cluster).await {
            return Ok(producer);
        }
        security.check()?;
        let addresses = super::place::bootstrap(bootstrap)?;
        let roots = match security.encrypts() {
            #[cfg(feature = "kafka-tls")]
            true => Some(super::roots::roots().await?),
            _ => None,
        };
        let config = settings(&addresses, security, roots);
        let made = KafkaProducer::new(config, addresses, security, &self.role, self.guard.clone());
        Ok(self.producers.get_with(cluster, async { Arc::new(made) }).await)
    }
}

impl From<&KafkaSecurity> for Known {
    fn from(security: &KafkaSecurity) -> Known {
        match security {
            KafkaSecurity::Plaintext => Known::Nobody { tls: false },
            KafkaSecurity::Tls => Known::Nobody { tls: true },
            KafkaSecurity::SaslPlain { credentials, tls } => {
                Known::Plain { user: fingerprint(credentials), tls: *tls }
            }
            KafkaSecurity::SaslScram { credentials, hash, tls } => {
                Known::Scram { user: fingerprint(credentials), hash: *hash, tls: *tls }
            }
            KafkaSecurity::MskIam { region } => Known::Role { region: region.clone() },
        }
    }
}

impl KafkaProducer {
    #[cfg_attr(
        not(feature = "kafka-tls"),
        expect(unused_variables, reason = "the role is shown over TLS alone")
    )]
    fn new(
        config: ClientConfig,
        bootstrap: Vec<BrokerAddress>,
        security: &KafkaSecurity,
        role: &SharedCredentialsProvider,
        guard: Guard,
    ) -> KafkaProducer {
        KafkaProducer {
            config,
            lookout: Lookout::new(bootstrap, guard),
            #[cfg(feature = "kafka-tls")]
            tokens: match security {
                KafkaSecurity::MskIam { region } => {
                    Some(super::iam::IamTokens::new(region.clone(), role.clone()))
                }
                _ => None,
            },
            current: Mutex::new(None),
        }
    }

    /// Looks at the addresses of all brokers: those that are to be asked, and those that the cluster names.
    async fn look_at_all(&self, topic: &str) -> Result<(), SendError> {
        let named = async { Ok(brokers(&self.current()?.metadata(topic).await?)) };
        self.lookout.at_all(named).await
    }

    /// Why nothing came of waiting for it.
    fn silence(&self) -> SendError {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let said = current.as_ref().and_then(|made| made.told.error());
        SendError::Unreachable { reason: said.map_or("the cluster is silent".to_owned(), |(_, said)| said) }
    }

    /// The one to send by, made if there is none.
    fn current(&self) -> Result<Arc<Made>, SendError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*current {
            return Ok(Arc::clone(made));
        }
        let told = Told::new(
            #[cfg(feature = "kafka-tls")]
            self.tokens.clone(),
        );
        let producer = self.config.create_with_context(told.clone());
        let producer = producer.map_err(|error: KafkaError| not_taken(&error))?;
        let made = Arc::new(Made { producer: Some(producer), told });
        *current = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Whether `made` takes nothing more; if so, the next one to ask gets another.
    fn replace_if_dead(&self, made: &Arc<Made>) -> bool {
        let dead = made.producer().client().fatal_error().is_some();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if dead && current.as_ref().is_some_and(|current| Arc::ptr_eq(current, made)) {
            *current = None;
        }
        dead
    }
}

impl Made {
    fn producer(&self) -> &FutureProducer<Told> {
        self.producer.as_ref().expect("it is there until it is dropped")
    }

    /// What the cluster says of its brokers and of this topic.
    async fn metadata(self: &Arc<Made>, topic: &str) -> Result<Metadata, SendError> {
        let (asked, topic) = (Arc::clone(self), topic.to_owned());
        let ask = move || asked.producer().client().fetch_metadata(Some(&topic), METADATA);
        let answer = tokio::task::spawn_blocking(ask).await.expect("metadata does not panic");
        answer.map_err(|error| judge(&error, Wire::Silent, self.told.error()))
    }

    /// What is known of a failure by `end` is said; it may take longer.
    async fn send(&self, to: &KafkaPlace, message: &Outgoing, end: Instant) -> Result<Accepted, SendError> {
        let before = self.told.now();
        let round = message.round.to_string();
        let header = |headers: OwnedHeaders, key: &str, value: &str| {
            headers.insert(Header { key, value: Some(value) })
        };
        let headers = header(OwnedHeaders::new(), "message-id", &message.message_id);
        let headers = header(headers, "round", &round);
        let headers = message.attributes.iter().fold(headers, |to, (key, value)| header(to, key, value));
        let mut record: FutureRecord<'_, str, str> =
            FutureRecord::to(&to.topic).payload(message.body.as_str()).headers(headers);
        record.partition = to.partition;
        record.key = message.ordering_key.as_deref();
        let reported = self.producer().send_result(record).map_err(|(error, _)| not_taken(&error))?;
        match reported.await {
            Ok(Ok(delivered)) => {
                self.told.all_is_well();
                let engine_id = format!("{}-{}-{}", to.topic, delivered.partition, delivered.offset);
                Ok(Accepted { engine_id })
            }
            Ok(Err((error, _))) => Err(judge(&error, self.wire_since(&before, end).await, self.told.error())),
            Err(_) => Err(SendError::Unanswered { reason: "the producer went away".to_owned() }),
        }
    }

    async fn wire_since(&self, before: &Progress, by: Instant) -> Wire {
        self.told.later(by).await.map_or(Wire::Troubled, |now| now.since(before))
    }
}

fn brokers(metadata: &Metadata) -> Vec<(String, i32)> {
    let place = |broker: &MetadataBroker| (broker.host().to_owned(), broker.port());
    metadata.brokers().iter().map(place).collect()
}

impl Drop for Made {
    /// librdkafka takes its time to end its threads: not that of whoever dropped it.
    fn drop(&mut self) {
        let producer = self.producer.take();
        std::thread::spawn(move || drop(producer));
    }
}

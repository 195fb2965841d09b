use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::consumer::{CommitMode, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message, Timestamp};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use super::{ANSWER, PollError, drop_aside, gather};
use crate::kafka::{KafkaPlace, KafkaSecurity};

/// A record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaRecord {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Milliseconds since 1970, and by whose clock; `None` where the record has none.
    pub timestamp: Option<(i64, StampedBy)>,
    /// What it is ordered by.
    pub key: Option<Vec<u8>>,
    /// Its body; `None` in a tombstone.
    pub value: Option<Vec<u8>>,
    /// In the order they were given; a name may come twice.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Whose clock a record's time is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampedBy {
    /// Its producer's.
    Producer,
    /// The broker's, when it was appended.
    Broker,
}

/// Receives from one topic, as the only one of its group: each partition by itself ([`KafkaPartition`]). A group that is new
/// begins at the oldest record.
pub struct KafkaPoll {
    consumer: Held,
    topic: String,
    /// Partitions handed out so far: 0 to this, without it.
    known: i32,
}

/// One partition, to be received from by one at a time.
pub struct KafkaPartition {
    queue: Option<StreamPartitionQueue<Quiet>>,
    consumer: Held,
    topic: String,
    partition: i32,
}

/// A client that is let go of aside.
#[derive(Clone)]
struct Held(Option<Arc<StreamConsumer<Quiet>>>);

/// What the client has to say of lost connections is seen by whoever asks it something.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Quiet {}

/// Beside the cluster and the group.
const SETTINGS: &[(&str, &str)] = &[
    ("client.id", "queuelink"),
    // What a function has answered for is committed, and nothing else.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "earliest"),
    ("allow.auto.create.topics", "false"),
    ("security.protocol", "plaintext"),
    ("socket.keepalive.enable", "true"),
    ("reconnect.backoff.max.ms", "1000"),
    ("topic.metadata.refresh.interval.ms", "30000"),
    // Read ahead a little, not a topic's whole past.
    ("queued.min.messages", "100"),
    ("queued.max.messages.kbytes", "16384"),
    ("fetch.wait.max.ms", "100"),
];

impl KafkaPoll {
    /// Connects to nothing yet. `group` is kept by the cluster: what it has committed does not come again.
    ///
    /// # Errors
    /// [`PollError::Place`], and [`PollError::NotHere`] where the cluster wants to know who asks.
    pub fn new(place: &KafkaPlace, group: &str) -> Result<KafkaPoll, PollError> {
        place.check().map_err(PollError::Place)?;
        if place.security != KafkaSecurity::Plaintext {
            return Err(PollError::NotHere);
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &place.bootstrap).set("group.id", group);
        for (key, value) in SETTINGS {
            config.set(*key, *value);
        }
        let consumer = config.create_with_context(Quiet).map_err(PollError::Kafka)?;
        Ok(KafkaPoll { consumer: Held(Some(Arc::new(consumer))), topic: place.topic.clone(), known: 0 })
    }

    /// The partitions that this has not given yet: all of them the first time, later those the topic got since.
    ///
    /// # Errors
    /// [`PollError::NoTopic`], [`PollError::Kafka`]: the cluster is not there.
    pub async fn partitions(&mut self) -> Result<Vec<KafkaPartition>, PollError> {
        let (consumer, topic, known) = (self.consumer.clone(), self.topic.clone(), self.known);
        let look = move || {
            let client = consumer.client();
            let metadata = client.fetch_metadata(Some(&topic), ANSWER).map_err(PollError::Kafka)?;
            let found = metadata.topics().iter().find(|one| one.name() == topic && one.error().is_none());
            let count = found.map_or(0, |found| found.partitions().len());
            if count == 0 {
                return Err(PollError::NoTopic(topic));
            }
            let count = i32::try_from(count).expect("a topic has fewer partitions than i32 has numbers");
            let from = starts(client, &topic, known..count)?;
            // Queues first: what is fetched before a partition has its own queue would come elsewhere.
            let new: Vec<KafkaPartition> =
                (known..count).filter_map(|partition| consumer.partition(&topic, partition)).collect();
            if from.count() > 0 {
                client.incremental_assign(&from).map_err(PollError::Kafka)?;
            }
            Ok((new, count))
        };
        let (new, count) = spawn_blocking(look).await.map_err(|_| PollError::Ended)??;
        self.known = self.known.max(count);
        Ok(new)
    }

    /// Keeps the client alive: to be run beside its partitions for as long as they are received from.
    pub async fn keep_alive(&self) {
        loop {
            // Records come to their partitions; here come the client's own events, which it handles itself.
            if let Err(KafkaError::Global(_)) = self.consumer.client().recv().await {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl KafkaPartition {
    /// Its number.
    pub fn number(&self) -> i32 {
        self.partition
    }

    /// Waits for a record, and takes what follows within `window`, up to `at_most` of them. Each is given once: what is to
    /// come again must be kept by whoever took it, or comes to the next client of the group.
    ///
    /// # Errors
    /// [`PollError::Kafka`]: the cluster has no such partition any more, or refuses.
    pub async fn next(&self, at_most: usize, window: Duration) -> Result<Vec<KafkaRecord>, PollError> {
        let queue = self.queue.as_ref().expect("it is there until it is dropped");
        let given = queue.stream().map(|one| one.map(|one| record(&one)).map_err(PollError::Kafka));
        gather(at_most, window, given).await
    }

    /// Lets the cluster keep that all up to `offset` is done, within 5 s or so.
    ///
    /// # Errors
    /// [`PollError::Kafka`]: it is not kept, so that it may come again after a restart.
    pub async fn commit(&self, offset: i64) -> Result<(), PollError> {
        let (consumer, topic, partition) = (self.consumer.clone(), self.topic.clone(), self.partition);
        let commit = move || {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, partition, Offset::Offset(offset + 1))?;
            consumer.client().commit(&list, CommitMode::Sync)
        };
        let committed = spawn_blocking(commit).await.map_err(|_| PollError::Ended)?;
        committed.map_err(PollError::Kafka)
    }
}

/// Where the group goes on in each of these partitions; where it never was, at the oldest record.
///
/// Asked for here and not left to the client: while a cluster is making up its mind who keeps a group's progress, as it does
/// for the first group of all, the client takes its "not I" for the last word, and never begins.
fn starts(
    client: &StreamConsumer<Quiet>,
    topic: &str,
    partitions: Range<i32>,
) -> Result<TopicPartitionList, PollError> {
    let mut list = TopicPartitionList::new();
    if partitions.is_empty() {
        return Ok(list);
    }
    for partition in partitions {
        list.add_partition(topic, partition);
    }
    let committed = client.committed_offsets(list, ANSWER).map_err(PollError::Kafka)?;
    let mut from = TopicPartitionList::new();
    for one in committed.elements() {
        one.error().map_err(PollError::Kafka)?;
        let start = match one.offset() {
            Offset::Offset(next) => Offset::Offset(next),
            _ => Offset::Beginning,
        };
        from.add_partition_offset(topic, one.partition(), start).map_err(PollError::Kafka)?;
    }
    Ok(from)
}

impl Held {
    fn client(&self) -> &Arc<StreamConsumer<Quiet>> {
        self.0.as_ref().expect("it is there until it is dropped")
    }

    fn partition(&self, topic: &str, partition: i32) -> Option<KafkaPartition> {
        let queue = self.client().split_partition_queue(topic, partition)?;
        let consumer = self.clone();
        Some(KafkaPartition { queue: Some(queue), consumer, topic: topic.to_owned(), partition })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(last) = self.0.take().and_then(Arc::into_inner) {
            drop_aside(last);
        }
    }
}

impl Drop for KafkaPartition {
    fn drop(&mut self) {
        drop_aside(self.queue.take());
    }
}

impl fmt::Debug for KafkaPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaPoll")
            .field("topic", &self.topic)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KafkaPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaPartition")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

fn record(message: &BorrowedMessage<'_>) -> KafkaRecord {
    let owned = |bytes: &[u8]| bytes.to_owned();
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|one| (one.key.to_owned(), one.value.map(owned))).collect()
    });
    KafkaRecord {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: match message.timestamp() {
            Timestamp::NotAvailable => None,
            Timestamp::CreateTime(millis) => Some((millis, StampedBy::Producer)),
            Timestamp::LogAppendTime(millis) => Some((millis, StampedBy::Broker)),
        },
        key: message.key().map(owned),
        value: message.payload().map(owned),
        headers,
    }
}

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ConnectionProperties, Consumer};
use tokio::time::timeout;

use super::{ANSWER, PollError, gather};
use crate::rabbitmq::RabbitPlace;

/// Receives from one queue, on a connection of its own. What is not settled when it goes away, the broker gives again.
pub struct RabbitPoll {
    connection: Connection,
    channel: Channel,
    consumer: Consumer,
}

/// A message as the broker gave it.
#[derive(Debug, PartialEq)]
pub struct RabbitDelivery {
    /// What it is settled by, on its own connection alone.
    pub tag: u64,
    /// Whether it was given before, to whomever.
    pub redelivered: bool,
    /// What its sender said of it.
    pub properties: RabbitProperties,
    /// Its body.
    pub body: Vec<u8>,
}

/// AMQP's basic properties; `None` = not given.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "they are AMQP's, by its names")]
pub struct RabbitProperties {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub headers: Option<Vec<(String, RabbitHeader)>>,
    pub delivery_mode: Option<u8>,
    pub priority: Option<u8>,
    pub correlation_id: Option<String>,
    pub reply_to: Option<String>,
    pub expiration: Option<String>,
    pub message_id: Option<String>,
    /// Seconds since 1970.
    pub timestamp: Option<u64>,
    pub kind: Option<String>,
    pub user_id: Option<String>,
    pub app_id: Option<String>,
    pub cluster_id: Option<String>,
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq)]
pub enum RabbitHeader {
    /// No value.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text, of whatever bytes.
    Bytes(Vec<u8>),
    /// Seconds since 1970.
    Timestamp(u64),
    /// Several.
    List(Vec<RabbitHeader>),
    /// Several, with names.
    Table(Vec<(String, RabbitHeader)>),
}

impl RabbitPoll {
    /// Connects and begins to receive; `prefetch` messages may be in hand at once. Within 5 s a step.
    ///
    /// # Errors
    /// [`PollError::Place`]; [`PollError::RabbitMq`], which names a queue that is not there; [`PollError::Silent`].
    pub async fn open(place: &RabbitPlace, prefetch: u16) -> Result<RabbitPoll, PollError> {
        place.check().map_err(PollError::Place)?;
        let properties = ConnectionProperties::default().with_connection_name("queuelink".into());
        let connection = answered(Connection::connect_uri(place.uri(), properties)).await?;
        let channel = answered(connection.create_channel()).await?;
        answered(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let (queue, tag) = (ShortString::from(place.queue.as_str()), ShortString::default());
        let consume =
            channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default());
        let consumer = answered(consume).await?;
        Ok(RabbitPoll { connection, channel, consumer })
    }

    /// Waits for a message, and takes what follows within `window`, up to `at_most`.
    ///
    /// # Errors
    /// [`PollError::RabbitMq`], [`PollError::Ended`]: this one gives nothing more.
    pub async fn next(&mut self, at_most: usize, window: Duration) -> Result<Vec<RabbitDelivery>, PollError> {
        let given = (&mut self.consumer).map(|one| one.map(delivery).map_err(PollError::RabbitMq));
        gather(at_most, window, given).await
    }

    /// Tells the broker that these are `done`, or gives all of them back to it.
    ///
    /// # Errors
    /// [`PollError::RabbitMq`]: what was done may come again.
    pub async fn settle(&self, deliveries: &[RabbitDelivery], done: bool) -> Result<(), PollError> {
        for RabbitDelivery { tag, .. } in deliveries {
            let told = if done {
                self.channel.basic_ack(*tag, BasicAckOptions::default()).await
            } else {
                let again = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                self.channel.basic_nack(*tag, again).await
            };
            told.map_err(PollError::RabbitMq)?;
        }
        Ok(())
    }

    /// Ends the connection; what is in hand comes again.
    pub async fn close(self) {
        // The broker sees by itself that a connection is gone.
        let _ = timeout(ANSWER, self.connection.close(200, "OK".into())).await;
    }
}

impl fmt::Debug for RabbitPoll {
    /// Without the connection, which knows the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitPoll").field("queue", &self.consumer.queue()).finish_non_exhaustive()
    }
}

async fn answered<T>(call: impl Future<Output = Result<T, lapin::Error>>) -> Result<T, PollError> {
    timeout(ANSWER, call).await.map_err(|_| PollError::Silent)?.map_err(PollError::RabbitMq)
}

fn delivery(given: Delivery) -> RabbitDelivery {
    let properties = &given.properties;
    let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
    RabbitDelivery {
        tag: given.delivery_tag,
        redelivered: given.redelivered,
        properties: RabbitProperties {
            content_type: text(properties.content_type()),
            content_encoding: text(properties.content_encoding()),
            headers: properties.headers().as_ref().map(table),
            delivery_mode: *properties.delivery_mode(),
            priority: *properties.priority(),
            correlation_id: text(properties.correlation_id()),
            reply_to: text(properties.reply_to()),
            expiration: text(properties.expiration()),
            message_id: text(properties.message_id()),
            timestamp: *properties.timestamp(),
            kind: text(properties.kind()),
            user_id: text(properties.user_id()),
            app_id: text(properties.app_id()),
            cluster_id: text(properties.cluster_id()),
        },
        body: given.data,
    }
}

fn table(fields: &FieldTable) -> Vec<(String, RabbitHeader)> {
    fields.inner().iter().map(|(name, value)| (name.to_string(), header(value))).collect()
}

fn header(value: &AMQPValue) -> RabbitHeader {
    match value {
        AMQPValue::Boolean(value) => RabbitHeader::Bool(*value),
        AMQPValue::ShortShortInt(value) => RabbitHeader::Int((*value).into()),
        AMQPValue::ShortShortUInt(value) => RabbitHeader::Int((*value).into()),
        AMQPValue::ShortInt(value) => RabbitHeader::Int((*value).into()),
        AMQPValue::ShortUInt(value) => RabbitHeader::Int((*value).into()),
        AMQPValue::LongInt(value) => RabbitHeader::Int((*value).into()),
        AMQPValue::LongUInt(value) => RabbitHeader::Int((*value).into()),
        AMQPValue::LongLongInt(value) => RabbitHeader::Int(*value),
        AMQPValue::Float(value) => RabbitHeader::Float((*value).into()),
        AMQPValue::Double(value) => RabbitHeader::Float(*value),
        AMQPValue::DecimalValue(value) => {
            RabbitHeader::Float(f64::from(value.value) / 10_f64.powi(value.scale.into()))
        }
        AMQPValue::ShortString(text) => RabbitHeader::Bytes(text.as_str().as_bytes().to_owned()),
        AMQPValue::LongString(text) => RabbitHeader::Bytes(text.as_bytes().to_owned()),
        AMQPValue::ByteArray(bytes) => RabbitHeader::Bytes(bytes.as_slice().to_owned()),
        AMQPValue::Timestamp(secs) => RabbitHeader::Timestamp(*secs),
        AMQPValue::FieldArray(values) => RabbitHeader::List(values.as_slice().iter().map(header).collect()),
        AMQPValue::FieldTable(fields) => RabbitHeader::Table(table(fields)),
        AMQPValue::Void => RabbitHeader::Null,
    }
}

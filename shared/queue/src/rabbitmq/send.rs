use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::Guard;
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use moka::future::Cache;
use tokio::time::{Instant, timeout_at};

use super::RabbitPlace;
use super::connection::Broker;
use super::judge::{Failed, confirmed, not_confirmed, not_handed_over};
use crate::broker::{KEPT, KEPT_IDLE, LONGEST, send_each};
use crate::clients::fingerprint;
use crate::{Accepted, Outgoing, SendError};

/// A second attempt, on a new connection, is made only while this is left.
const LEFT_FOR_ANOTHER: Duration = Duration::from_millis(500);

/// Written to disk before it is confirmed.
const PERSISTENT: u8 = 2;

/// The connections of this process, one per broker and user. Cheap to clone; clones share them.
///
/// One is made when it is first needed, and let go when it was not used for an hour or 16 others came after it. A
/// function that sends in every invocation makes it in its start, by [`RabbitConnections::warm`].
#[derive(Clone)]
pub struct RabbitConnections {
    brokers: Cache<Who, Arc<Broker>>,
    guard: Guard,
}

/// Whose connection, and where. The password stands in it as a hash.
#[derive(PartialEq, Eq, Hash)]
struct Who {
    host: String,
    port: u16,
    tls: bool,
    vhost: String,
    user: [u8; 32],
}

impl fmt::Debug for RabbitConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitConnections")
            .field("brokers", &self.brokers.entry_count())
            .finish_non_exhaustive()
    }
}

impl RabbitConnections {
    /// Connects to nothing yet, and never to an address that `guard` forbids.
    pub fn new(guard: Guard) -> RabbitConnections {
        let brokers = Cache::builder().max_capacity(KEPT).time_to_idle(KEPT_IDLE).build();
        RabbitConnections { brokers, guard }
    }

    /// Sends one message, persistent, with its message id as AMQP's own, and `message-id`, `round` and its attributes as
    /// headers. Answers once the broker has confirmed it (from a quorum queue: once most of its nodes have it), within
    /// 4 s.
    ///
    /// Once more on a new connection, and under the same id, if the old one broke before it confirmed: then the message
    /// may be there twice.
    ///
    /// # Errors
    /// [`SendError`] says whether the message may be on the queue all the same.
    pub async fn send(&self, to: &RabbitPlace, message: &Outgoing) -> Result<Accepted, SendError> {
        self.deliver(to, message, true).await
    }

    /// As [`RabbitConnections::send`], but by one attempt, whatever comes of it.
    ///
    /// # Errors
    /// [`SendError`] says whether the message may be on the queue all the same.
    pub async fn send_once(&self, to: &RabbitPlace, message: &Outgoing) -> Result<Accepted, SendError> {
        self.deliver(to, message, false).await
    }

    async fn deliver(
        &self,
        to: &RabbitPlace,
        message: &Outgoing,
        again: bool,
    ) -> Result<Accepted, SendError> {
        let end = Instant::now() + LONGEST;
        to.check()?;
        let broker = self.broker(to).await;
        let mut before: Option<SendError> = None;
        loop {
            let Failed { error, connection } = match attempt(&broker, to, message, end).await {
                Ok(()) => return Ok(Accepted { engine_id: message.message_id.clone() }),
                Err(failed) => failed,
            };
            let first = before.is_none();
            let known = match before.take() {
                Some(before) => before.then(error),
                None => error,
            };
            if !again || !first || !connection || Instant::now() + LEFT_FOR_ANOTHER > end {
                return Err(known.without(&to.credentials.username));
            }
            before = Some(known);
        }
    }

    /// Sends many messages, one result each, in their order. None is begun 6.5 s after the first; what was not sent is
    /// [`SendError::Unreachable`].
    pub async fn send_all(
        &self,
        to: &RabbitPlace,
        messages: &[Outgoing],
    ) -> Vec<Result<Accepted, SendError>> {
        send_each(messages, |message| self.send(to, message)).await
    }

    /// Connects to a place's broker and opens a channel there, so that the first message need not. Within 4 s. Which queue it is
    /// does not matter.
    ///
    /// # Errors
    /// [`SendError`]: the broker is not there or refuses us.
    pub async fn warm(&self, to: &RabbitPlace) -> Result<(), SendError> {
        let broker = self.broker(to).await;
        let lane = timeout_at(Instant::now() + LONGEST, broker.lane()).await;
        let lane = lane.unwrap_or_else(|_| Err(too_late()));
        lane.map_err(|error| error.without(&to.credentials.username))?.done();
        Ok(())
    }

    async fn broker(&self, to: &RabbitPlace) -> Arc<Broker> {
        let who = Who {
            host: to.host.clone(),
            port: to.port,
            tls: to.tls,
            vhost: to.vhost.clone(),
            user: fingerprint(&to.credentials),
        };
        let made = async { Arc::new(Broker::new(to.uri(), self.guard.clone())) };
        self.brokers.get_with(who, made).await
    }
}

/// One attempt. Whatever happens before the message is handed over is certain.
async fn attempt(broker: &Broker, to: &RabbitPlace, message: &Outgoing, end: Instant) -> Result<(), Failed> {
    let certain = |error| Failed { error, connection: false };
    let lane = timeout_at(end, broker.lane()).await.unwrap_or_else(|_| Err(too_late())).map_err(certain)?;
    // Mandatory: what no queue takes comes back.
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let published = async {
        let (queue, body) = (ShortString::from(to.queue.as_str()), message.body.as_bytes());
        let handed_over =
            lane.channel.basic_publish(ShortString::default(), queue, options, body, properties(message));
        let confirming = handed_over.await.map_err(|error| not_handed_over(&error))?;
        confirming.await.map_err(|error| not_confirmed(&error, lane.stands()))
    };
    match timeout_at(end, published).await {
        Ok(Ok(confirmation)) => {
            lane.done();
            confirmed(confirmation).map_err(certain)
        }
        Ok(Err(failed)) => {
            if failed.connection {
                lane.lost().await;
            }
            Err(failed)
        }
        Err(_) => {
            lane.doubted();
            Err(certain(SendError::Unanswered { reason: "no confirmation within 4 s".to_owned() }))
        }
    }
}

fn too_late() -> SendError {
    SendError::Unreachable { reason: "no channel to the broker in time".to_owned() }
}

fn properties(message: &Outgoing) -> BasicProperties {
    let round = message.round.to_string();
    let ours = [("message-id", message.message_id.as_str()), ("round", round.as_str())];
    let others = message.attributes.iter().map(|(name, value)| (*name, value.as_str()));
    let mut headers = FieldTable::default();
    for (name, value) in ours.into_iter().chain(others) {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
    // AMQP's own has room for 255 bytes: enough for ours, not for every id that others gave.
    match ShortString::try_new(message.message_id.as_str()) {
        Ok(id) => properties.with_message_id(id),
        Err(_) => properties,
    }
}

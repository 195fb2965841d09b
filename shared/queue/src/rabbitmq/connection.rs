use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Guard;
use lapin::options::ConfirmSelectOptions;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::judge::not_connected;
use crate::SendError;
use crate::addresses::looked_at;

/// A connection that does not stand by then will not.
const CONNECT: Duration = Duration::from_secs(2);

/// A channel is one question and one answer.
const OPEN: Duration = Duration::from_secs(1);

/// After such a rest (a frozen function's) a connection may be dead without our knowing: it is asked before a message is
/// entrusted to it.
const RESTED: Duration = Duration::from_secs(5);

/// Messages on their way to one broker at once, each on its channel. Brokers allow 2047.
const CHANNELS: usize = 128;

/// One broker and user, connected when first needed.
pub(super) struct Broker {
    uri: AMQPUri,
    guard: Guard,
    live: AsyncMutex<Option<Arc<Live>>>,
    channels: Semaphore,
}

/// A connection.
struct Live {
    connection: Connection,
    resting: Mutex<Resting>,
}

/// Channels nobody uses just now, and when the broker was last heard.
struct Resting {
    channels: Vec<Channel>,
    /// `None`: something makes us doubt that it still listens.
    heard: Option<Instant>,
}

/// A channel for one message.
pub(super) struct Lane<'b> {
    broker: &'b Broker,
    live: Arc<Live>,
    pub(super) channel: Channel,
    _permit: SemaphorePermit<'b>,
}

impl Broker {
    /// Whose addresses are held against `guard` each time it is connected to.
    pub(super) fn new(uri: AMQPUri, guard: Guard) -> Broker {
        Broker { uri, guard, live: AsyncMutex::new(None), channels: Semaphore::new(CHANNELS) }
    }

    /// A channel for one message, on a connection that surely stood a moment ago.
    pub(super) async fn lane(&self) -> Result<Lane<'_>, SendError> {
        let permit = self.channels.acquire().await.expect("it is never closed");
        let mut rebuilt = false;
        loop {
            let live = self.live().await?;
            if live.connection.status().blocked() {
                let reason = "the broker takes nothing just now: memory or disk is short".to_owned();
                return Err(SendError::Unreachable { reason });
            }
            if let Some(channel) = live.rested_channel() {
                return Ok(Lane { broker: self, live, channel, _permit: permit });
            }
            let reason = match timeout(OPEN, live.new_channel()).await {
                Ok(Ok(channel)) => return Ok(Lane { broker: self, live, channel, _permit: permit }),
                Ok(Err(error)) => not_connected(&error),
                Err(_) => SendError::Unreachable { reason: "the broker opens no channel".to_owned() },
            };
            self.forget(&live).await;
            if rebuilt {
                return Err(reason);
            }
            rebuilt = true;
        }
    }

    /// The connection, made if there is none. Whoever comes meanwhile waits for the same one.
    async fn live(&self) -> Result<Arc<Live>, SendError> {
        let mut kept = self.live.lock().await;
        if let Some(live) = kept.as_ref().filter(|live| live.connection.status().connected()) {
            return Ok(Arc::clone(live));
        }
        *kept = None;
        let silent = |_| SendError::Unreachable { reason: "the broker does not answer".to_owned() };
        let connection = timeout(CONNECT, self.connect()).await.map_err(silent)??;
        let resting = Mutex::new(Resting { channels: Vec::new(), heard: Some(Instant::now()) });
        let live = Arc::new(Live { connection, resting });
        *kept = Some(Arc::clone(&live));
        Ok(live)
    }

    /// Connects to an address that was looked at; over TLS by the name, which is what the certificate there must bear.
    async fn connect(&self) -> Result<Connection, SendError> {
        let (host, port) = (&self.uri.authority.host, self.uri.authority.port);
        let addresses = looked_at(&self.guard, host, port).await?;
        let hosts = match self.uri.scheme {
            AMQPScheme::AMQPS => vec![host.clone()],
            AMQPScheme::AMQP => addresses.iter().map(|address| address.ip().to_string()).collect(),
        };
        let mut failed = None;
        for host in hosts {
            let mut uri = self.uri.clone();
            uri.authority.host = host;
            let properties = ConnectionProperties::default().with_connection_name("queuelink".into());
            match Connection::connect_uri(uri, properties).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = Some(not_connected(&error)),
            }
        }
        Err(failed.expect("a name that was looked at has an address"))
    }

    /// The next message gets another connection.
    async fn forget(&self, dead: &Arc<Live>) {
        let mut kept = self.live.lock().await;
        if kept.as_ref().is_some_and(|live| Arc::ptr_eq(live, dead)) {
            *kept = None;
            // Dropped, it would stay open as long as one of its channels does.
            let dead = Arc::clone(dead);
            tokio::spawn(async move { timeout(CONNECT, dead.connection.close(200, "OK".into())).await });
        }
    }
}

impl Live {
    /// A channel that was used before, unless all of them rested too long.
    fn rested_channel(&self) -> Option<Channel> {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if resting.heard.is_none_or(|heard| heard.elapsed() > RESTED) {
            return None;
        }
        std::iter::from_fn(|| resting.channels.pop()).find(|channel| channel.status().connected())
    }

    async fn new_channel(&self) -> Result<Channel, lapin::Error> {
        let channel = self.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).heard = Some(Instant::now());
        Ok(channel)
    }
}

impl Lane<'_> {
    /// Whether the connection is neither closed nor about to be.
    pub(super) fn stands(&self) -> bool {
        self.live.connection.status().connected()
    }

    /// The broker has answered: the channel is free for the next message.
    pub(super) fn done(self) {
        let mut resting = self.live.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.heard = Some(Instant::now());
        if self.channel.status().connected() {
            resting.channels.push(self.channel);
        }
    }

    /// The connection is dead.
    pub(super) async fn lost(self) {
        self.broker.forget(&self.live).await;
    }

    /// No answer came. That may be the queue's doing alone, and on the same connection others wait for theirs: it is
    /// asked before the next message.
    pub(super) fn doubted(self) {
        self.live.resting.lock().unwrap_or_else(PoisonError::into_inner).heard = None;
    }
}

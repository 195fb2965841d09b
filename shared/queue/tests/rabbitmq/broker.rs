//! The broker that `tests/engines/with-rabbitmq` started, and what a test does to it.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use domain::Guard;
use lapin::options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};
use queue::rabbitmq::{RabbitConnections, RabbitPlace};
use tokio::net::TcpStream;
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use crate::brokers::process::{Process, alone, say_skipped, shared};
use crate::brokers::{own_name, user};

pub(crate) struct Rabbit {
    pub(crate) port: u16,
    /// Where it listens encrypted.
    pub(crate) tls: u16,
    /// Where somebody listens encrypted whom nobody vouches for.
    pub(crate) stranger: u16,
    pub(crate) process: Process,
}

/// A message as it lies on a queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lying {
    pub(crate) body: String,
    pub(crate) id: String,
    pub(crate) persistent: bool,
    pub(crate) headers: HashMap<String, String>,
}

/// The broker, for a test that leaves it as it is. `None`, and a loud word, where there is none.
pub(crate) async fn rabbit() -> Option<(Rabbit, RwLockReadGuard<'static, ()>)> {
    shared(Rabbit::find).await
}

/// The broker, for a test that stops it.
pub(crate) async fn rabbit_alone() -> Option<(Rabbit, RwLockWriteGuard<'static, ()>)> {
    alone(Rabbit::find).await
}

impl Rabbit {
    #[allow(clippy::disallowed_methods, reason = "the engine's place is told to the test alone")]
    fn find() -> Option<Rabbit> {
        let port = |name: &str| {
            let address = std::env::var(name).ok()?;
            Some(address.rsplit_once(':').unwrap().1.parse().unwrap())
        };
        let Some(plain) = port("QUEUELINK_RABBITMQ") else {
            say_skipped("RabbitMQ", "with-rabbitmq");
            return None;
        };
        Some(Rabbit {
            port: plain,
            tls: port("QUEUELINK_RABBITMQ_TLS").unwrap(),
            stranger: port("QUEUELINK_RABBITMQ_STRANGER").unwrap(),
            process: Process { folder: std::env::var("QUEUELINK_RABBITMQ_FOLDER").unwrap().into() },
        })
    }

    pub(crate) fn place(&self, queue: &str) -> RabbitPlace {
        RabbitPlace {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            tls: false,
            vhost: "/".to_owned(),
            credentials: user("guest", "guest"),
            queue: queue.to_owned(),
        }
    }

    async fn channel(&self) -> (Connection, Channel) {
        let uri = format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port);
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    /// A durable queue that nobody else has.
    pub(crate) async fn queue(&self, kind: &str, arguments: &[(&str, AMQPValue)]) -> String {
        let name = own_name();
        let mut table = FieldTable::default();
        table.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        for (key, value) in arguments {
            table.insert((*key).into(), value.clone());
        }
        let (_connection, channel) = self.channel().await;
        channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), table).await.unwrap();
        name
    }

    /// Takes all that lies on a queue.
    pub(crate) async fn take(&self, queue: &str) -> Vec<Lying> {
        let (_connection, channel) = self.channel().await;
        let mut lying = Vec::new();
        while let Some(got) = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap() {
            let properties = &got.delivery.properties;
            // The broker adds some of its own.
            let ours = properties.headers().as_ref().unwrap().inner().iter();
            let headers = ours.filter(|(name, _)| !name.as_str().starts_with("x-")).map(|(name, value)| {
                let AMQPValue::LongString(text) = value else { panic!("{name} is no text: {value:?}") };
                (name.to_string(), text.to_string())
            });
            lying.push(Lying {
                body: String::from_utf8(got.delivery.data.clone()).unwrap(),
                id: properties.message_id().as_ref().unwrap().to_string(),
                persistent: *properties.delivery_mode() == Some(2),
                headers: headers.collect(),
            });
            got.delivery.ack(BasicAckOptions::default()).await.unwrap();
        }
        lying
    }

    pub(crate) fn ctl(&self, arguments: &[&str]) {
        let done = Command::new(self.process.folder.join("ctl")).args(arguments).status().unwrap();
        assert!(done.success(), "{arguments:?}");
    }

    /// Ends it as an operator would.
    pub(crate) async fn stop(&self) {
        self.process.end("-TERM").await;
    }

    /// Starts it again, and waits until it has its queues.
    pub(crate) async fn start(&self) {
        self.process.start();
        let end = Instant::now() + Duration::from_secs(180);
        while TcpStream::connect(("127.0.0.1", self.tls)).await.is_err() {
            assert!(Instant::now() < end, "the broker does not start again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Connections of our own for one test, so that none meets another's state.
pub(crate) fn connections() -> RabbitConnections {
    RabbitConnections::new(Guard::operator().with_loopback(true))
}

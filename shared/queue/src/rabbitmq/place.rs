use std::fmt;

use domain::{Credentials, RabbitMqBroker};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

use crate::SendError;

/// Seconds between two signs of life. A function that was frozen longer than two of them finds its connection closed.
const HEARTBEAT_SECS: u16 = 10;

/// A queue of a broker and the right to send to it. It is reached through the default exchange, by its name.
#[derive(Clone, PartialEq, Eq)]
pub struct RabbitPlace {
    /// Name or address of the broker.
    pub host: String,
    /// Its port: 5671 with TLS and 5672 without, if nobody says otherwise.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The virtual host, `/` as a rule.
    pub vhost: String,
    /// Who we are there.
    pub credentials: Credentials,
    /// The queue, at most 255 bytes.
    pub queue: String,
}

impl fmt::Debug for RabbitPlace {
    /// Without the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitPlace")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("vhost", &self.vhost)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl RabbitPlace {
    /// The `queue` of this `broker`, where we are who `credentials` say.
    pub fn at(broker: &RabbitMqBroker, credentials: Credentials, queue: String) -> RabbitPlace {
        let RabbitMqBroker { host, port, tls, vhost } = broker.clone();
        RabbitPlace { host, port, tls, vhost, credentials, queue }
    }

    /// Whether it can be sent to at all.
    pub(crate) fn check(&self) -> Result<(), SendError> {
        if (1..=255).contains(&self.queue.len()) {
            return Ok(());
        }
        let message = "the name of a queue has 1 to 255 bytes".to_owned();
        Err(SendError::Refused { code: "InvalidQueue".to_owned(), message })
    }

    /// Put together from parts, never read from a text of a user's: what else a URI may ask for stays as it is here.
    pub(crate) fn uri(&self) -> AMQPUri {
        AMQPUri {
            scheme: if self.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.credentials.username.expose().to_owned(),
                    password: self.credentials.password.expose().to_owned(),
                },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString { heartbeat: Some(HEARTBEAT_SECS), ..AMQPQueryString::default() },
        }
    }
}

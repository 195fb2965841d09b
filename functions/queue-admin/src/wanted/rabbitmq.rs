//! The rules for queues of RabbitMQ.

use api::{Fields, Given};
use domain::{BrokerAddress, Destination, Engine, Faults, RabbitMqBroker, RabbitMqQueue};

use super::{Asked, Place, broker};

/// What only queues of RabbitMQ have.
pub(super) struct Own {
    tls: Given<bool>,
}

impl Own {
    pub(super) const FIELDS: &[&str] = &["tls"];

    pub(super) fn read(fields: &mut Fields<'_>) -> Own {
        Own { tls: fields.flag("tls") }
    }

    pub(super) fn place(self, asked: &Asked<'_>, faults: &mut Faults) -> Option<Place> {
        let is_own = asked.url_is_left_out();
        let there = match asked.url {
            Given::Absent | Given::Null => {
                broker::own(Engine::RabbitMq, asked, &[("tls", self.tls.is_said())], faults);
                Some(None)
            }
            Given::Wrong => None,
            Given::Is(url) => {
                let there = faults.take(RabbitMqBroker::from_url(url));
                if let Some(there) = &there {
                    let address: Vec<BrokerAddress> = there.address().into_iter().collect();
                    broker::guarded(&address, asked.settings, faults);
                    self.encrypted(there, faults);
                }
                if !asked.has_credentials {
                    let message = "with a url user name and password must be given";
                    faults.add("username", "required", message);
                }
                there.map(Some)
            }
        };
        let worker = broker::worker(Engine::RabbitMq, is_own, asked, faults);
        let destination = Destination::RabbitMq(RabbitMqQueue { broker: there? });
        Some(Place { destination, owned: false, worker })
    }

    /// The url says whether the connection is encrypted; that a password goes in clear must be said besides.
    fn encrypted(&self, there: &RabbitMqBroker, faults: &mut Faults) {
        match (there.tls, &self.tls) {
            (true, Given::Is(false)) => {
                faults.add(
                    "tls",
                    "tls",
                    "amqps:// is encrypted: leave 'tls' out, or begin the url with amqp://",
                );
            }
            (false, Given::Is(true)) => {
                faults.add("tls", "tls", "amqp:// is not encrypted: begin the url with amqps://");
            }
            (false, Given::Absent | Given::Null) => {
                let message = "amqp:// sends user name and password in clear: begin the url with amqps://, or say \"tls\": false \
                               if that is meant";
                faults.add("tls", "required", message);
            }
            _ => {}
        }
    }
}

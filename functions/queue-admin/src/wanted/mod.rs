//! What a caller wants of a queue, read whole: every fault at once.

mod broker;
mod fields;
mod kafka;
#[cfg(test)]
mod laws;
mod rabbitmq;
mod sqs;
#[cfg(test)]
mod tests;

use api::{Fields, Given};
use domain::{
    Credentials, DEFAULT_MAX_FAILURES, Destination, Engine, Faults, HandlerName, Queue, QueueName, WorkerMode,
};
use serde_json::Value;

use crate::Settings;

pub(crate) use broker::may_change;
pub(crate) use fields::{credentials, default_handler, max_failures, name, schema, worker};
pub(crate) use sqs::{attachable, own_role};

/// The fields that the queues of every engine have.
const COMMON: [&str; 9] =
    ["name", "type", "url", "username", "password", "default-handler", "schema", "worker", "max-failures"];

/// The queue that a caller wants, all rules checked.
pub(crate) struct Wanted {
    pub(crate) name: QueueName,
    pub(crate) destination: Destination,
    /// Whether we make the SQS queues ourselves.
    pub(crate) owned: bool,
    pub(crate) fifo: bool,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) default_handler: Option<HandlerName>,
    pub(crate) schema: Option<Value>,
    pub(crate) worker: WorkerMode,
    pub(crate) max_failures: u32,
}

/// What the rules of an engine look at, beside its own fields.
struct Asked<'a> {
    name: Option<&'a QueueName>,
    url: &'a Given<String>,
    has_credentials: bool,
    worker: Option<WorkerMode>,
    settings: &'a Settings,
}

/// What an engine's rules make of it.
struct Place {
    destination: Destination,
    owned: bool,
    worker: WorkerMode,
}

/// The fields of one engine alone.
enum Own {
    Sqs(sqs::Own),
    Kafka(kafka::Own),
    RabbitMq(rabbitmq::Own),
}

impl Wanted {
    /// Reads the body of `POST queue`; all faults at once. The name stands beside them, for it decides about the right.
    pub(crate) fn read(
        mut fields: Fields<'_>,
        settings: &Settings,
    ) -> (Option<QueueName>, Result<Wanted, Faults>) {
        let name = name(&mut fields);
        let name = fields.required("name", name);
        let engine = fields::engine(&mut fields);
        let url = fields.text("url");
        let credentials = credentials(&mut fields);
        let default_handler = default_handler(&mut fields).value();
        let schema = schema(&mut fields).value();
        let own = Own::read(engine, &mut fields);
        let worker = worker(&mut fields).value();
        let max_failures = max_failures(&mut fields).value().unwrap_or(DEFAULT_MAX_FAILURES);
        fields.refuse_unknown(&[&COMMON, Own::fields(engine)].concat());
        let mut faults = fields.faults;
        let asked = Asked {
            name: name.as_ref(),
            url: &url,
            has_credentials: credentials.is_said(),
            worker,
            settings,
        };
        // What is wrong with the place can only be said of an engine that we know.
        let place = own.and_then(|own| own.place(&asked, &mut faults));
        let wanted = match (name.clone(), place) {
            (Some(name), Some(Place { destination, owned, worker })) if faults.is_empty() => Ok(Wanted {
                name,
                fifo: matches!(&destination, Destination::Sqs(sqs) if sqs.name.ends_with(".fifo")),
                destination,
                owned,
                credentials: credentials.value(),
                default_handler,
                schema,
                worker,
                max_failures,
            }),
            _ => Err(faults),
        };
        (name, wanted)
    }

    /// Whether `queue` is what an earlier, interrupted request of the same kind began.
    pub(crate) fn is_begun_as(&self, queue: &Queue) -> bool {
        self.name == queue.name
            && self.destination == queue.destination
            && self.owned == queue.owned
            && self.default_handler == queue.default_handler
            && self.schema == queue.schema
            && self.worker == queue.worker
            && self.max_failures == queue.max_failures
            && self.credentials.is_some() == queue.credentials.is_some()
    }
}

impl Asked<'_> {
    /// Whether what is meant is ours: a queue to be made, or one on the installation's own broker.
    fn url_is_left_out(&self) -> bool {
        matches!(self.url, Given::Absent | Given::Null)
    }
}

impl Own {
    /// Of an engine that is not known, no field is known to be wrong.
    fn read(engine: Option<Engine>, fields: &mut Fields<'_>) -> Option<Own> {
        match engine {
            Some(Engine::Sqs) => Some(Own::Sqs(sqs::Own::read(fields))),
            Some(Engine::Kafka) => Some(Own::Kafka(kafka::Own::read(fields))),
            Some(Engine::RabbitMq) => Some(Own::RabbitMq(rabbitmq::Own::read(fields))),
            None => {
                for engine in Engine::ALL {
                    for field in Own::fields(Some(engine)) {
                        fields.raw(field);
                    }
                }
                None
            }
        }
    }

    fn fields(engine: Option<Engine>) -> &'static [&'static str] {
        match engine {
            Some(Engine::Sqs) => sqs::Own::FIELDS,
            Some(Engine::Kafka) => kafka::Own::FIELDS,
            Some(Engine::RabbitMq) => rabbitmq::Own::FIELDS,
            None => &[],
        }
    }

    fn place(self, asked: &Asked<'_>, faults: &mut Faults) -> Option<Place> {
        match self {
            Own::Sqs(own) => own.place(asked, faults),
            Own::Kafka(own) => own.place(asked, faults),
            Own::RabbitMq(own) => own.place(asked, faults),
        }
    }
}

/// What of a queue of this engine cannot be changed, and so must not be said.
pub(crate) fn fixed(engine: Engine) -> impl Iterator<Item = &'static str> {
    ["type", "url"].into_iter().chain(Own::fields(Some(engine)).iter().copied())
}

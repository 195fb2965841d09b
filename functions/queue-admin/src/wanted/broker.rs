//! The rules that Kafka and RabbitMQ have in common.

use api::Given;
use domain::{BrokerAddress, Credentials, Destination, Engine, Faults, Queue, QueueName, WorkerMode};

use super::Asked;
use crate::Settings;
use crate::brokers::mapped_by;

/// Without a url the installation's own broker is meant: there must be one, and nothing is said of how it is reached.
pub(super) fn own(engine: Engine, asked: &Asked<'_>, said: &[(&str, bool)], faults: &mut Faults) {
    let (broker, example) = match engine {
        Engine::RabbitMq => ("RabbitMQ", "amqps://HOST[:PORT][/VHOST]"),
        Engine::Kafka | Engine::Sqs => ("Kafka cluster", "HOST:PORT[,HOST:PORT...]"),
    };
    if asked.settings.brokers.own(engine).is_none() {
        let message = format!("this installation has no {broker} of its own: give the url of one, {example}");
        faults.add("url", "required", message);
        return;
    }
    let own_said = [("username", asked.has_credentials)];
    for (key, _) in own_said.iter().chain(said).filter(|(_, is_said)| *is_said) {
        let message = format!(
            "without a url the installation's own {broker} is meant, which is reached as its operator has set: leave '{key}' \
             out, or give a url"
        );
        faults.add(*key, "own-broker", message);
    }
}

/// Refuses what must not be connected to, as far as that can be told from what is written.
pub(super) fn guarded(addresses: &[BrokerAddress], settings: &Settings, faults: &mut Faults) {
    for address in addresses {
        if let Err(forbidden) = address.check(&settings.brokers.guard) {
            let message =
                format!("{address} cannot be a broker: {forbidden}; give an address that it has for others");
            faults.add("url", "address", message);
        }
    }
}

/// Whether our worker receives: if nothing is said, where it can.
pub(super) fn worker(engine: Engine, is_own: bool, asked: &Asked<'_>, faults: &mut Faults) -> WorkerMode {
    let feeds = |name| asked.settings.brokers.own(engine).is_some_and(|own| own.feeds(name));
    match (asked.worker, asked.name) {
        (Some(worker), Some(name)) => {
            attachable(engine, worker, name, is_own, asked.settings, faults);
            worker
        }
        (None, Some(name)) if is_own && feeds(name) => WorkerMode::Attached,
        (worker, _) => worker.unwrap_or(WorkerMode::None),
    }
}

/// The rules for attaching our worker: there must be a mapping already, for none is made at run time.
fn attachable(
    engine: Engine,
    worker: WorkerMode,
    name: &QueueName,
    is_own: bool,
    settings: &Settings,
    faults: &mut Faults,
) {
    let own = settings.brokers.own(engine);
    match worker {
        WorkerMode::None => {}
        WorkerMode::Attached if !is_own => {
            let message = "the worker receives from the installation's own broker alone: say \"worker\": \"none\", or leave \
                           the url out";
            faults.add("worker", "publish-only", message);
        }
        WorkerMode::Attached if own.is_some_and(|own| own.feeds(name)) => {}
        WorkerMode::Attached => {
            let message = format!(
                "no event source mapping receives from '{name}', and none is made at run time: name it in the {} first, or \
                 say \"worker\": \"none\"",
                mapped_by(engine)
            );
            faults.add("worker", "not-mapped", message);
        }
    }
}

/// The rules for changing a queue of a broker: it keeps its name, for it bears it there, and how it is reached.
pub(crate) fn may_change(
    queue: &Queue,
    name: &Given<QueueName>,
    credentials: &Given<Credentials>,
    worker: &Given<WorkerMode>,
    settings: &Settings,
    faults: &mut Faults,
) {
    let takes_credentials = match &queue.destination {
        Destination::Sqs(_) => return,
        Destination::Kafka(topic) => {
            topic.cluster.as_ref().is_some_and(|cluster| cluster.login.takes_credentials())
        }
        Destination::RabbitMq(there) => there.broker.is_some(),
    };
    if matches!(name, Given::Is(name) if *name != queue.name) {
        let message =
            "a queue of Kafka or RabbitMQ bears its name there and cannot be renamed; register another queue";
        faults.add("name", "fixed", message);
    }
    match credentials {
        Given::Null if takes_credentials => {
            let message = "the broker asks for user name and password: give others, or delete this queue";
            faults.add("username", "required", message);
        }
        Given::Is(_) if !takes_credentials => {
            let message = "this queue is reached without user name and password, which cannot be changed; register another queue";
            faults.add("username", "fixed", message);
        }
        _ => {}
    }
    // What was attached stays so, whatever the parameter says by now.
    if let (Given::Is(worker), WorkerMode::None) = (worker, queue.worker) {
        attachable(queue.engine(), *worker, &queue.name, queue.is_on_own_broker(), settings, faults);
    }
}

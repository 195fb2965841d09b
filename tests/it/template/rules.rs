//! The rules: each looks at the whole stack and names every place that breaks it.

mod brokers;
mod duties;
mod edge;
mod functions;
mod network;
mod outbox;
mod queues;
mod rights;
mod storage;

use super::stack::Stack;

/// Finds what breaks a rule.
pub(super) type Find = fn(&Stack) -> Vec<String>;

/// Every rule by its name.
pub(super) const RULES: &[(&str, Find)] = &[
    ("a folder is a function", functions::folders),
    ("functions run what we build", functions::runtime),
    ("logs are kept for a while", functions::logs),
    ("the environment is whole", functions::environment),
    ("settings agree", functions::agreement),
    ("handlers are a layer", functions::handlers),
    ("batches of ten, answered one by one", queues::events),
    ("visibility outlasts the worker", queues::visibility),
    ("poison messages are kept", queues::redrive),
    ("queues are the stack's own", queues::own),
    ("the doorbell rings and holds up nobody", outbox::doorbell),
    ("the sweeper comes every minute", outbox::schedule),
    ("silence and lag are told", outbox::alarms),
    ("brokers are off unless asked for", brokers::off),
    ("nested stacks fit", brokers::nested),
    ("topics and queues reach their workers", brokers::mappings),
    ("what a worker could not settle is tried again", brokers::retries),
    ("senders know their brokers", brokers::senders),
    ("released senders speak TLS", brokers::encryption),
    ("senders are in the network, and nobody else", network::members),
    ("the network is closed", network::closed),
    ("brokers let in senders alone", network::guarded),
    ("a role for each function", rights::roles),
    ("no unexplained wildcard", rights::wildcards),
    ("rights are bound by conditions", rights::conditions),
    ("duties stay apart", duties::duties),
    ("paths stay as they are", edge::stage),
    ("routes are those of the routers", edge::routes),
    ("tables are kept safe", storage::tables),
    ("the key is kept safe", storage::key),
    ("parameters explain themselves", storage::parameters),
    ("outputs are there", storage::outputs),
    ("no YAML aliases", storage::aliases),
];

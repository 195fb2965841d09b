//! The rules: each looks at the whole stack and names every place that breaks it.

mod edge;
mod functions;
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
    ("a role for each function", rights::roles),
    ("no unexplained wildcard", rights::wildcards),
    ("rights are bound by conditions", rights::conditions),
    ("duties stay apart", rights::duties),
    ("paths stay as they are", edge::stage),
    ("routes are those of the routers", edge::routes),
    ("tables are kept safe", storage::tables),
    ("the key is kept safe", storage::key),
    ("parameters explain themselves", storage::parameters),
    ("outputs are there", storage::outputs),
    ("no YAML aliases", storage::aliases),
];

use api::{Fields, Given};
use domain::{
    Credentials, DEFAULT_MAX_FAILURES, Destination, Fault, Faults, HandlerName, MAX_FAILURES_LIMIT,
    PayloadSchema, Queue, QueueName, Secret, SqsQueue, WorkerMode,
};
use serde_json::Value;

use crate::Settings;

/// What a queue's engine may be called; one of them is in this build.
const ENGINES: [&str; 3] = ["sqs", "kafka", "rabbitmq"];

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

impl Wanted {
    /// Reads the body of `POST queue`; all faults at once. The name stands beside them, for it decides about the right.
    pub(crate) fn read(
        mut fields: Fields<'_>,
        settings: &Settings,
    ) -> (Option<QueueName>, Result<Wanted, Faults>) {
        let name = name(&mut fields);
        let name = fields.required("name", name);
        let is_sqs = engine(&mut fields);
        let url = fields.text("url");
        let region = fields.text("region");
        let credentials = credentials(&mut fields);
        let default_handler = default_handler(&mut fields).value();
        let schema = schema(&mut fields).value();
        let fifo = fields.flag("fifo");
        let worker = worker(&mut fields).value();
        let max_failures = max_failures(&mut fields).value().unwrap_or(DEFAULT_MAX_FAILURES);
        fields.refuse_unknown(&[
            "name",
            "type",
            "url",
            "region",
            "username",
            "password",
            "default-handler",
            "schema",
            "fifo",
            "worker",
            "max-failures",
        ]);
        let mut faults = fields.faults;
        let owned = matches!(url, Given::Absent | Given::Null);
        let (has_credentials, credentials) = (credentials.is_said(), credentials.value());
        // What is wrong with the place can only be said of an engine that we know.
        let place = match (is_sqs, url) {
            (false, _) | (true, Given::Wrong) => None,
            (true, Given::Is(url)) => {
                let endpoint = settings.sqs_endpoint.as_deref();
                let place = faults.take(SqsQueue::from_url(&url, endpoint, &settings.region));
                if let Some(place) = &place {
                    existing(place, &fifo, has_credentials, settings, &mut faults);
                }
                place
            }
            (true, Given::Absent | Given::Null) => {
                let fifo = fifo == Given::Is(true);
                new_place(name.as_ref(), fifo, has_credentials, settings, &mut faults)
            }
        };
        if let (Some(place), Given::Is(region)) = (&place, &region)
            && place.region != *region
        {
            let message = format!("the queue is in {}, not in '{region}'", place.region);
            faults.add("region", "region", message);
        }
        // We attach what we make; what others made only when asked, for it may have a receiver already.
        let worker =
            worker.unwrap_or(if owned && !has_credentials { WorkerMode::Attached } else { WorkerMode::None });
        if let Some(place) = &place {
            attachable(worker, place, has_credentials, settings, &mut faults);
        }
        let wanted = match (name.clone(), place) {
            (Some(name), Some(place)) if faults.is_empty() => Ok(Wanted {
                name,
                fifo: place.name.ends_with(".fifo"),
                destination: Destination::Sqs(place),
                owned,
                credentials,
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

/// The rules for a queue that others made.
fn existing(
    place: &SqsQueue,
    fifo: &Given<bool>,
    has_credentials: bool,
    settings: &Settings,
    faults: &mut Faults,
) {
    let is_fifo = place.name.ends_with(".fifo");
    if let Given::Is(said) = fifo
        && *said != is_fifo
    {
        let message =
            "an SQS queue is FIFO exactly when its name ends in .fifo; leave 'fifo' out, the url says it";
        faults.add("fifo", "fifo", message);
    }
    if settings.is_the_systems(place) {
        faults.add("url", "reserved", "this is a queue of the system itself; nobody can register it");
        return;
    }
    own_role(place, has_credentials, settings, faults);
}

/// Without credentials our own role would be used, and that only on what is ours.
pub(crate) fn own_role(place: &SqsQueue, has_credentials: bool, settings: &Settings, faults: &mut Faults) {
    if !has_credentials && !settings.is_ours(place) {
        let message = format!(
            "without credentials only queues named {}-* of account {} can be registered; give username and password",
            settings.stack, settings.account
        );
        faults.add("username", "required", message);
    }
}

/// The rules for attaching our worker.
pub(crate) fn attachable(
    worker: WorkerMode,
    place: &SqsQueue,
    has_credentials: bool,
    settings: &Settings,
    faults: &mut Faults,
) {
    if worker == WorkerMode::None {
        return;
    }
    if has_credentials {
        let message = "a queue with credentials of its own is publish only: say \"worker\": \"none\"";
        faults.add("worker", "publish-only", message);
    }
    if place.region != settings.region {
        let message = format!("the worker receives in {} alone: say \"worker\": \"none\"", settings.region);
        faults.add("worker", "region", message);
    }
}

/// The rules for a queue that we are to make.
fn new_place(
    name: Option<&QueueName>,
    fifo: bool,
    has_credentials: bool,
    settings: &Settings,
    faults: &mut Faults,
) -> Option<SqsQueue> {
    if !settings.creation_allowed {
        let message = "queues are not made at run time here; give the url of an existing one";
        faults.add("url", "required", message);
    }
    if has_credentials {
        faults.add(
            "url",
            "required",
            "with username and password an existing queue is registered; give its url",
        );
    }
    let name = name?;
    let place = settings.own_place(name.as_str(), fifo);
    if place.is_none() {
        let message =
            format!("the queue's SQS name, {}-{name} and -dead behind it, is too long", settings.stack);
        faults.add("name", "too-long", message);
    }
    if place.as_ref().is_some_and(|place| settings.is_the_systems(place)) {
        faults.add("name", "reserved", "the system has a queue of this name for itself; choose another one");
    }
    place
}

pub(crate) fn name(fields: &mut Fields<'_>) -> Given<QueueName> {
    fields.parsed("name", QueueName::parse)
}

pub(crate) fn default_handler(fields: &mut Fields<'_>) -> Given<HandlerName> {
    fields.parsed("default-handler", HandlerName::parse)
}

pub(crate) fn worker(fields: &mut Fields<'_>) -> Given<WorkerMode> {
    fields.parsed("worker", |text| match text {
        "attached" => Ok(WorkerMode::Attached),
        "none" => Ok(WorkerMode::None),
        _ => Err(Fault::new("worker", "value", "'worker' is \"attached\" or \"none\"")),
    })
}

pub(crate) fn max_failures(fields: &mut Fields<'_>) -> Given<u32> {
    match fields.number("max-failures") {
        Given::Is(number) if !(1..=MAX_FAILURES_LIMIT).contains(&number) => {
            fields.wrong("max-failures", "range", format!("'max-failures' is 1 to {MAX_FAILURES_LIMIT}"))
        }
        given => given,
    }
}

pub(crate) fn schema(fields: &mut Fields<'_>) -> Given<Value> {
    match fields.json("schema") {
        Given::Is(schema) => match PayloadSchema::compile(&schema) {
            Ok(_compiles) => Given::Is(schema),
            Err(faults) => {
                fields.faults.0.extend(faults.0);
                Given::Wrong
            }
        },
        given => given,
    }
}

/// User name and password: both or neither. Both `null` clears them in a change.
pub(crate) fn credentials(fields: &mut Fields<'_>) -> Given<Credentials> {
    let (username, password) = (secret(fields, "username"), secret(fields, "password"));
    let lacking = |fields: &mut Fields<'_>, here: &str, there: &str| {
        fields.wrong(here, "required", format!("'{here}' must be given with '{there}': both or neither"))
    };
    match (username, password) {
        (Given::Is(username), Given::Is(password)) => Given::Is(Credentials { username, password }),
        (Given::Wrong, _) | (_, Given::Wrong) => Given::Wrong,
        (Given::Is(_), _) => lacking(fields, "password", "username"),
        (_, Given::Is(_)) => lacking(fields, "username", "password"),
        (Given::Absent, Given::Absent) => Given::Absent,
        _ => Given::Null,
    }
}

/// An empty text is as good as none, as forms send it. What is wrong is said without quoting it.
fn secret(fields: &mut Fields<'_>, key: &str) -> Given<Secret> {
    match fields.text(key) {
        Given::Is(text) if text.is_empty() => Given::Null,
        Given::Is(text) if text.len() > 512 || !text.chars().all(|c| c.is_ascii_graphic()) => {
            fields.wrong(key, "form", format!("'{key}' has 1 to 512 visible ASCII characters and no space"))
        }
        Given::Is(text) => Given::Is(Secret::new(text)),
        Given::Absent => Given::Absent,
        Given::Null => Given::Null,
        Given::Wrong => Given::Wrong,
    }
}

/// Whether the engine is one of this build; else its fault is noted.
fn engine(fields: &mut Fields<'_>) -> bool {
    let engine = fields.parsed("type", |text| match text {
        "sqs" => Ok(()),
        "kafka" | "rabbitmq" => Err(Fault::new(
            "type",
            "not-in-this-build",
            "this build sends to SQS alone: Kafka and RabbitMQ are not in it",
        )),
        _ => Err(Fault::new("type", "value", format!("'type' is one of {}", ENGINES.join(", ")))),
    });
    fields.required("type", engine).is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            stack: "ql".into(),
            region: "eu-west-1".into(),
            account: "123456789012".into(),
            sqs_endpoint: None,
            creation_allowed: true,
            worker_timeout_secs: 10,
        }
    }

    /// `expect`: paths with codes, in order; empty = wanted.
    fn check_with(settings: &Settings, body: &str, expect: &[(&str, &str)]) {
        let (_, wanted) = Wanted::read(Fields::read(body).unwrap(), settings);
        let faults = wanted.err().unwrap_or_default();
        let found: Vec<_> = faults.0.iter().map(|f| (f.path.as_str(), f.code)).collect();
        assert_eq!(found, expect, "{body}: {faults}");
    }

    #[test]
    fn a_new_queue_is_checked_whole() {
        let check = |body: &str, expect: &[(&str, &str)]| check_with(&settings(), body, expect);
        check(r#"{"name":"orders","type":"sqs"}"#, &[]);
        check(r#"{"name":"orders","type":"sqs","fifo":true,"worker":"none","max-failures":10}"#, &[]);
        check("{}", &[("name", "required"), ("type", "required")]);
        check(
            r#"{"name":"a b","type":"kafka","url":"x:9092"}"#,
            &[("name", "queue-name"), ("type", "not-in-this-build")],
        );
        check(r#"{"name":"a","type":"rabbitmq"}"#, &[("type", "not-in-this-build")]);
        check(r#"{"name":"a","type":"redis"}"#, &[("type", "value")]);
        check(
            r#"{"name":7,"type":"sqs","default-handler":"a b","schema":{"type":"no"},"fifo":1,"worker":"yes","max-failures":11,"more":1}"#,
            &[
                ("name", "type"),
                ("default-handler", "handler-name"),
                ("schema/type", "schema"),
                ("fifo", "type"),
                ("worker", "value"),
                ("max-failures", "range"),
                ("more", "unknown-field"),
            ],
        );
        check(&format!(r#"{{"name":"{}","type":"sqs"}}"#, "a".repeat(75)), &[("name", "too-long")]);
        check(
            r#"{"name":"a","type":"sqs","username":"u"}"#,
            &[("password", "required"), ("url", "required")],
        );
        check(r#"{"name":"a","type":"sqs","region":"us-east-1"}"#, &[("region", "region")]);
        for name in ["jobs", "jobs-dead", "outbox-failed"] {
            check(&format!(r#"{{"name":"{name}","type":"sqs"}}"#), &[("name", "reserved")]);
        }
        let refused = Settings { creation_allowed: false, ..settings() };
        check_with(&refused, r#"{"name":"orders","type":"sqs"}"#, &[("url", "required")]);
    }

    #[test]
    fn our_role_serves_our_queues_alone() {
        let check = |url: &str, more: &str, expect: &[(&str, &str)]| {
            check_with(&settings(), &format!(r#"{{"name":"a","type":"sqs","url":"{url}"{more}}}"#), expect);
        };
        let ours = "https://sqs.eu-west-1.amazonaws.com/123456789012/ql-orders";
        check(ours, "", &[]);
        check(ours, r#","worker":"attached","region":"eu-west-1""#, &[]);
        check("https://sqs.eu-west-1.amazonaws.com/123456789012/orders", "", &[("username", "required")]);
        check("https://sqs.eu-west-1.amazonaws.com/999999999999/ql-orders", "", &[("username", "required")]);
        check("https://sqs.eu-west-1.amazonaws.com/123456789012/qlx-orders", "", &[("username", "required")]);
        for name in ["ql-jobs", "ql-jobs-dead", "ql-outbox-failed"] {
            let url = format!("https://sqs.eu-west-1.amazonaws.com/123456789012/{name}");
            check(&url, "", &[("url", "reserved")]);
            check(&url, r#","username":"AKIA","password":"secret""#, &[("url", "reserved")]);
        }
        let foreign = r#","username":"AKIA","password":"secret""#;
        check("https://sqs.us-east-1.amazonaws.com/999999999999/orders.fifo", foreign, &[]);
        check(ours, &format!(r#"{foreign},"worker":"attached""#), &[("worker", "publish-only")]);
        check(
            "https://sqs.us-east-1.amazonaws.com/123456789012/ql-a",
            r#","worker":"attached","fifo":true"#,
            &[("fifo", "fifo"), ("worker", "region")],
        );
        check("http://evil.example/123456789012/ql-orders", "", &[("url", "queue-url")]);
        check(ours, r#","username":"a b","password":"x""#, &[("username", "form")]);
        check(ours, r#","username":"","password":"""#, &[]);
    }
}

//! The rules for queues of SQS.

use api::{Fields, Given};
use domain::{Destination, Faults, QueueName, SqsQueue, WorkerMode};

use super::{Asked, Place};
use crate::Settings;

/// What only queues of SQS have.
pub(super) struct Own {
    region: Given<String>,
    fifo: Given<bool>,
}

impl Own {
    pub(super) const FIELDS: &[&str] = &["region", "fifo"];

    pub(super) fn read(fields: &mut Fields<'_>) -> Own {
        Own { region: fields.text("region"), fifo: fields.flag("fifo") }
    }

    pub(super) fn place(self, asked: &Asked<'_>, faults: &mut Faults) -> Option<Place> {
        let owned = asked.url_is_left_out();
        let sqs = self.queue(asked, faults)?;
        if let Given::Is(region) = &self.region
            && sqs.region != *region
        {
            let message = format!("the queue is in {}, not in '{region}'", sqs.region);
            faults.add("region", "region", message);
        }
        // We attach what we make; what others made only when asked, for it may have a receiver already.
        let usual = if owned && !asked.has_credentials { WorkerMode::Attached } else { WorkerMode::None };
        let worker = asked.worker.unwrap_or(usual);
        attachable(worker, &sqs, asked.has_credentials, asked.settings, faults);
        Some(Place { destination: Destination::Sqs(sqs), owned, worker })
    }

    fn queue(&self, asked: &Asked<'_>, faults: &mut Faults) -> Option<SqsQueue> {
        let settings = asked.settings;
        match asked.url {
            Given::Wrong => None,
            Given::Is(url) => {
                let endpoint = settings.sqs_endpoint.as_deref();
                let place = faults.take(SqsQueue::from_url(url, endpoint, &settings.region))?;
                existing(&place, &self.fifo, asked.has_credentials, settings, faults);
                Some(place)
            }
            Given::Absent | Given::Null => {
                let fifo = self.fifo == Given::Is(true);
                new_place(asked.name, fifo, asked.has_credentials, settings, faults)
            }
        }
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

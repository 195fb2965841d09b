use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Clock, Faults, MAX_BODY_BYTES, Payload, PayloadSchema, Queue, QueueId};
use jiff::{SignedDuration, Timestamp};
use queue::{Engines, Place};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use zstorage::Sealer;

/// What engines count beside the body: our attributes, bytes.
const BESIDE_BYTES: usize = 2048;

/// What was learnt of a queue is believed this long.
const FRESH: SignedDuration = SignedDuration::from_mins(10);

/// What could not be learnt is asked again after this long, not at every message.
const FRESH_AFTER_FAILURE: SignedDuration = SignedDuration::from_secs(30);

/// No longer than this is waited for what can be done without.
pub(crate) const LEARN_WITHIN: Duration = Duration::from_secs(1);

/// A schema is applied to one payload within this time.
pub(crate) const CHECK_WITHIN: Duration = Duration::from_secs(1);

/// So many payloads are held against schemas at once.
const CHECKS_AT_ONCE: usize = 4;

/// More queues than this are not remembered at once.
const MAX_DOORS: usize = 1000;

/// What stands between a caller and one queue: its schema, its size limit and the opened way to it. Made once per version
/// of the queue's settings and kept, so that a warm publish asks nobody but the engine.
pub(crate) struct Door {
    schema: Option<PayloadSchema>,
    checks: Arc<Semaphore>,
    /// The largest body, bytes.
    pub(crate) max_body_bytes: usize,
    /// Where to send; or why that cannot be said (then a message is as if the engine could not be reached).
    pub(crate) place: Result<Place, String>,
}

impl Door {
    /// What the queue's schema has against `payload`; said by `by` or within 1 s. `None` = no turn came to look at it.
    ///
    /// A schema that refers to itself can take any time over a payload made for it, and cannot be stopped. So it is applied
    /// on a thread of its own, of which there are a few at most, and those who serve requests never wait behind it.
    pub(crate) async fn payload_faults(self: &Arc<Self>, payload: &Payload, by: Instant) -> Option<Faults> {
        if self.schema.is_none() {
            return Some(Faults::none());
        }
        let by = by.min(Instant::now() + CHECK_WITHIN);
        let turn = timeout_at(by, Arc::clone(&self.checks).acquire_owned()).await.ok()?.ok()?;
        let checking = async {
            let (tell, told) = oneshot::channel();
            let (door, payload) = (Arc::clone(self), payload.clone());
            let check = move || {
                // Nobody may be listening any more.
                let _ = tell.send(door.check(&payload));
                drop(turn);
            };
            std::thread::Builder::new().name("schema".to_owned()).spawn(check).ok()?;
            told.await.ok()
        };
        if let Ok(Some(faults)) = timeout_at(by, checking).await {
            return Some(faults);
        }
        let mut faults = Faults::none();
        let message = "the queue's schema came to no end with this payload in the time there is; make either of them simpler";
        faults.add("", "schema-too-slow", message);
        Some(faults)
    }

    fn check(&self, payload: &Payload) -> Faults {
        let Some(schema) = &self.schema else { return Faults::none() };
        match serde_json::from_str(payload.as_str()) {
            Ok(value) => schema.check(&value).err().unwrap_or_default(),
            Err(error) => {
                let mut faults = Faults::none();
                faults.add("", "not-json", format!("the schema cannot be applied: {error}"));
                faults
            }
        }
    }
}

/// The doors of the queues met so far.
#[derive(Clone)]
pub(crate) struct Doors {
    engines: Engines,
    sealer: Sealer,
    clock: Clock,
    kept: Arc<Mutex<HashMap<QueueId, Kept>>>,
    checks: Arc<Semaphore>,
}

struct Kept {
    version: u64,
    until: Timestamp,
    door: Arc<Door>,
}

impl Doors {
    pub(crate) fn new(engines: Engines, sealer: Sealer, clock: Clock) -> Doors {
        Doors {
            engines,
            sealer,
            clock,
            kept: Arc::default(),
            checks: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
        }
    }

    /// The door of `queue`, from memory if its settings have not changed since. Cold, it costs one call: the queue's
    /// attributes with our own role, or the opening of foreign credentials.
    pub(crate) async fn of(&self, queue: &Queue) -> Arc<Door> {
        let now = self.clock.now();
        if let Some(kept) = self.kept().get(&queue.id)
            && kept.version == queue.version
            && now < kept.until
        {
            return Arc::clone(&kept.door);
        }
        let (door, fresh) = self.build(queue).await;
        let door = Arc::new(door);
        let mut kept = self.kept();
        if kept.len() >= MAX_DOORS && !kept.contains_key(&queue.id) {
            kept.clear();
        }
        kept.insert(queue.id, Kept { version: queue.version, until: now + fresh, door: Arc::clone(&door) });
        door
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<QueueId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn build(&self, queue: &Queue) -> (Door, SignedDuration) {
        let (place, max_body_bytes) = tokio::join!(self.place(queue), self.max_body_bytes(queue));
        let fresh = if place.is_ok() && max_body_bytes.is_some() { FRESH } else { FRESH_AFTER_FAILURE };
        // A schema was compiled when it was saved, so it compiles now; should a new release of the crate refuse it, a
        // message at the wrong door is better than no message.
        let schema = queue.schema.as_ref().and_then(|schema| {
            let compiled = PayloadSchema::compile(schema);
            compiled
                .inspect_err(
                    |faults| tracing::error!(queue.id = %queue.id, %faults, "A stored schema is not used."),
                )
                .ok()
        });
        let (checks, max_body_bytes) = (Arc::clone(&self.checks), max_body_bytes.unwrap_or(MAX_BODY_BYTES));
        (Door { schema, checks, max_body_bytes, place }, fresh)
    }

    async fn place(&self, queue: &Queue) -> Result<Place, String> {
        let credentials = match &queue.credentials {
            None => None,
            Some(sealed) => match timeout(LEARN_WITHIN, self.sealer.open(queue.id, sealed)).await {
                Ok(Ok(credentials)) => Some(credentials),
                Ok(Err(error)) => {
                    tracing::error!(queue.id = %queue.id, %error, "The credentials of a queue cannot be opened.");
                    return Err("its credentials cannot be opened".to_owned());
                }
                Err(_elapsed) => return Err("its credentials were not opened in time".to_owned()),
            },
        };
        self.engines.place(queue, credentials)
    }

    /// What the queue's own `MaximumMessageSize` leaves for a body. `None` = could not be learnt: then the engine has
    /// the last word. A queue with foreign credentials is not asked: they may be good for sending alone. Nor are brokers: by
    /// default they take as much as SQS at its largest.
    async fn max_body_bytes(&self, queue: &Queue) -> Option<usize> {
        let Some(sqs) = queue.sqs().filter(|_| queue.credentials.is_none()) else {
            return Some(MAX_BODY_BYTES);
        };
        let facts = timeout(LEARN_WITHIN, self.engines.sqs().describe(sqs)).await.ok()?.ok()?;
        Some(facts.max_message_bytes.saturating_sub(BESIDE_BYTES).min(MAX_BODY_BYTES))
    }
}

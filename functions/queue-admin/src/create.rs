use std::sync::Arc;

use api::{Caller, JsonObject, Kind, Problem};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Destination, Engine, Fault, Names, Queue, QueueId, QueueState, Scope, SqsQueue, WorkerMode};
use http::StatusCode;
use http::header::LOCATION;
use queue::AdminError;
use zstorage::CatalogError;

use crate::wanted::Wanted;
use crate::{AdminState, documents, problems};

/// How to go on after a creation that broke off.
const RESUME: &str = "The queue is saved as 'creating'; send the same request again to go on";

/// `POST queue`: registers a queue, and makes it where no `url` is given. It is saved as `creating` before anything is made,
/// so that what was made is never lost sight of; the same request goes on where it broke off.
pub(crate) async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    body: JsonObject,
) -> Result<Response, Problem> {
    let (name, wanted) = Wanted::read(body.fields()?, &state.settings);
    let any = Scope::QueueWrite(Names::Any);
    match &name {
        Some(name) => caller.require(&Scope::write(name))?,
        // Without a name no right over one can be judged; whoever has none at all learns nothing of the rules.
        None if !caller.scopes.could_cover(&any) => caller.require(&any)?,
        None => {}
    }
    let wanted = wanted?;
    let (dead_letter_queue, creating) = state.begin(&wanted).await?;
    let queue = state.finish(&creating, dead_letter_queue).await?;
    let location = format!("{}/queue/{}", api::BASE, queue.id);
    let document = documents::of_queue(&queue, &state.settings);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(document)).into_response())
}

impl AdminState {
    /// The queue as saved before anything is made: new, or taken over from a request that broke off. Of requests at the
    /// same time one goes on: each take-over is a new version, and only the last version can be finished.
    async fn begin(&self, wanted: &Wanted) -> Result<(Option<SqsQueue>, Arc<Queue>), Problem> {
        if let Some(known) = self.catalog.queue_by_name(&wanted.name).await?
            && let Some(known) = self.catalog.fresh_queue(known.id).await?
            && known.name == wanted.name
        {
            if known.state == QueueState::Creating && wanted.is_begun_as(&known) {
                let again = Queue { updated_at: self.clock.now(), ..known.as_ref().clone() };
                return Ok((
                    known.dead_letter_queue.clone(),
                    self.catalog.update_queue(&known, &again).await?,
                ));
            }
            return Err(CatalogError::Taken { field: "name" }.into());
        }
        if wanted.owned {
            if let Destination::Sqs(place) = &wanted.destination {
                self.refuse_found(place).await?;
            }
            if let Some(dead) = self.settings.own_dead_place(wanted.name.as_str(), wanted.fifo) {
                self.refuse_found(&dead).await?;
            }
        }
        let id = QueueId::new(self.clock.now(), &mut rand::rng());
        let credentials = match &wanted.credentials {
            None => None,
            Some(credentials) => {
                Some(self.sealer.seal(id, credentials).await.map_err(|error| problems::of_sealer(&error))?)
            }
        };
        let mut queue = Queue {
            id,
            name: wanted.name.clone(),
            destination: wanted.destination.clone(),
            credentials,
            default_handler: wanted.default_handler.clone(),
            schema: wanted.schema.clone(),
            fifo: wanted.fifo,
            worker: wanted.worker,
            mapping: None,
            state: QueueState::Creating,
            max_failures: wanted.max_failures,
            dead_letter_queue: None,
            owned: wanted.owned,
            created_at: self.clock.now(),
            updated_at: self.clock.now(),
            version: 1,
        };
        queue.dead_letter_queue = match queue.engine() {
            Engine::Kafka | Engine::RabbitMq => Some(self.settings.retry_dead_place()),
            Engine::Sqs if !wanted.owned && queue.credentials.is_none() => self.look_at(&queue).await?,
            Engine::Sqs => None,
        };
        self.catalog.create_queue(&queue).await?;
        Ok((queue.dead_letter_queue.clone(), Arc::new(queue)))
    }

    /// What we make must be new: an SQS queue that is there already has a life of its own (or belongs to a queue that was renamed),
    /// and would go with this one. If SQS does not answer now, the making will find out.
    async fn refuse_found(&self, place: &SqsQueue) -> Result<(), Problem> {
        match self.queues.describe(place).await {
            Err(_missing_or_out_of_reach) => Ok(()),
            Ok(_facts) => {
                let detail = format!(
                    "there is an SQS queue named {} already; choose another name, or register that queue by its url",
                    place.name
                );
                Err(Problem::new(Kind::Conflict, detail))
            }
        }
    }

    /// Makes what is to be made, then saves the queue as ready.
    async fn finish(&self, creating: &Queue, dead: Option<SqsQueue>) -> Result<Arc<Queue>, Problem> {
        let mut ready = Queue { state: QueueState::Ready, dead_letter_queue: dead, ..creating.clone() };
        let saved = match self.make(&mut ready).await {
            Err(error) => Err(problems::of_engine(&error, RESUME)),
            Ok(()) => match self.catalog.update_queue(creating, &ready).await {
                Err(CatalogError::Conflict) => Err(Problem::new(
                    Kind::Conflict,
                    "another request went on with the queue, or deleted it, while this one was making it",
                )),
                saved => saved.map_err(Problem::from),
            },
        };
        if saved.is_err() {
            // A deletion in the midst of it did not see what was made after it.
            self.take_back(&ready).await;
        }
        saved
    }

    async fn make(&self, ready: &mut Queue) -> Result<(), AdminError> {
        if ready.owned {
            let settings = &self.settings;
            let stem = settings.own_stem(ready.name.as_str());
            let pair =
                self.queues.create_pair(&stem, ready.fifo, &settings.stack, settings.visibility_secs());
            let (main, dead) = pair.await?;
            ready.destination = Destination::Sqs(main);
            ready.dead_letter_queue = Some(dead);
        }
        if let (WorkerMode::Attached, Some(place)) = (ready.worker, ready.sqs()) {
            ready.mapping = Some(self.mappings.attach(place).await?);
        }
        ready.updated_at = self.clock.now();
        Ok(())
    }

    /// Looks at a queue that others made, before it is registered under our own role: it must be there, and leave the worker
    /// the time it needs. Answers its dead-letter queue.
    pub(crate) async fn look_at(&self, queue: &Queue) -> Result<Option<SqsQueue>, Problem> {
        let Some(place) = queue.sqs() else { return Ok(None) };
        let facts = match self.queues.describe(place).await {
            Ok(facts) => facts,
            Err(error) if error.is_missing() => {
                return Err(Fault::new("url", "unknown", "there is no queue at this url").into());
            }
            // Publishing alone needs no right to look.
            Err(error) if error.is_denied() && queue.worker == WorkerMode::None => return Ok(None),
            Err(error) => return Err(problems::of_engine(&error, "Nothing was saved")),
        };
        let needed = self.settings.worker_timeout_secs;
        if queue.worker == WorkerMode::Attached && facts.visibility_secs < needed {
            let message = format!(
                "the queue's visibility timeout is {} s; the worker needs {needed} s at least, and {} s to be at ease",
                facts.visibility_secs,
                self.settings.visibility_secs()
            );
            return Err(Fault::new("worker", "visibility", message).into());
        }
        Ok(facts.dead_letter_queue)
    }
}

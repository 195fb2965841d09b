use std::sync::Arc;

use api::{Caller, JsonObject, Kind, PathText, Problem};
use axum::Json;
use axum::extract::State;
use domain::{Credentials, Fault, Faults, Queue, QueueState, Scope, WorkerMode};
use serde_json::Value;
use zstorage::CatalogError;

use crate::wanted::{self, attachable, may_change, own_role};
use crate::{AdminState, documents, problems};

/// A lost race is run again at most so often.
const TRIES: usize = 5;

/// How to go on after a change that broke off.
const RESUME: &str = "Send the same request again to go on";

/// `PUT queue/{id}`: changes what is given and keeps the rest; `null` clears.
pub(crate) async fn change(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
    body: JsonObject,
) -> Result<Json<Value>, Problem> {
    for _ in 0..TRIES {
        let queue = state.to_change(&caller, &id).await?;
        match state.change(&caller, &queue, &body).await {
            Err(Change::Raced) => {}
            Err(Change::Refused(problem)) => return Err(problem),
            Ok(queue) => return Ok(Json(documents::of_queue(&queue, &state.settings))),
        }
    }
    Err(CatalogError::Conflict.into())
}

/// Why a change was not made.
enum Change {
    /// Somebody else was faster: read and try again.
    Raced,
    Refused(Problem),
}

impl From<Problem> for Change {
    fn from(problem: Problem) -> Change {
        Change::Refused(problem)
    }
}

impl From<CatalogError> for Change {
    fn from(error: CatalogError) -> Change {
        match error {
            CatalogError::Conflict => Change::Raced,
            other => Change::Refused(other.into()),
        }
    }
}

impl AdminState {
    async fn change(&self, caller: &Caller, queue: &Queue, body: &JsonObject) -> Result<Arc<Queue>, Change> {
        let (new, credentials) = self.changed(queue, body)?;
        if new.name != queue.name {
            caller.require(&Scope::write(&new.name))?;
        }
        if queue.state != QueueState::Ready {
            let detail =
                "the queue is being created or deleted; finish that first, by the same request again";
            return Err(Problem::new(Kind::Conflict, detail).into());
        }
        let mut new = new;
        if let Some(credentials) = credentials {
            let sealed = self.sealer.seal(queue.id, &credentials).await;
            new.credentials = Some(sealed.map_err(|error| problems::of_sealer(&error))?);
        }
        // An attaching that broke off is gone on with, though nothing else is asked for.
        let half_attached =
            new.sqs().is_some() && new.worker == WorkerMode::Attached && new.mapping.is_none();
        if new == *queue && !half_attached {
            return Ok(Arc::new(new));
        }
        new.updated_at = self.clock.now();
        match (queue.worker, new.worker) {
            (WorkerMode::Attached, WorkerMode::None) => {
                // Detached before it is saved: a mapping that nobody knows of would go on receiving.
                self.detach(queue).await.map_err(|error| problems::of_engine(&error, RESUME))?;
                new.mapping = None;
                Ok(self.catalog.update_queue(queue, &new).await?)
            }
            (_, WorkerMode::Attached) if half_attached => self.attach(queue, &new).await,
            _ => Ok(self.catalog.update_queue(queue, &new).await?),
        }
    }

    /// Saved first, because one SQS queue feeds the worker for one registration alone, and saving finds that out.
    async fn attach(&self, queue: &Queue, new: &Queue) -> Result<Arc<Queue>, Change> {
        let dead_letter_queue = self.look_at(new).await?;
        let new = Queue { dead_letter_queue, ..new.clone() };
        let saved = self.catalog.update_queue(queue, &new).await?;
        let Some(place) = saved.sqs() else { return Ok(saved) };
        let mapping =
            self.mappings.attach(place).await.map_err(|error| problems::of_engine(&error, RESUME))?;
        let noted = Queue { mapping: Some(mapping), ..saved.as_ref().clone() };
        let done = self.catalog.update_queue(&saved, &noted).await;
        if done.is_err() {
            self.take_back(&noted).await;
        }
        Ok(done?)
    }

    /// `queue` with the changes of `body`, and new credentials that are yet to be sealed; all faults at once.
    fn changed(&self, queue: &Queue, body: &JsonObject) -> Result<(Queue, Option<Credentials>), Problem> {
        let mut fields = body.fields()?;
        let name = wanted::name(&mut fields);
        if name == api::Given::Null {
            fields.faults.add("name", "required", "a queue cannot be without a name");
        }
        let default_handler = wanted::default_handler(&mut fields);
        let schema = wanted::schema(&mut fields);
        let credentials = wanted::credentials(&mut fields);
        let worker = wanted::worker(&mut fields);
        let max_failures = wanted::max_failures(&mut fields);
        for fixed in wanted::fixed(queue.engine()) {
            if fields.raw(fixed).is_some() {
                let message = format!("'{fixed}' cannot be changed; register another queue");
                fields.faults.add(fixed, "fixed", message);
            }
        }
        fields.refuse_unknown(&[
            "name",
            "default-handler",
            "schema",
            "username",
            "password",
            "worker",
            "max-failures",
        ]);
        let mut faults: Faults = fields.faults;
        let has_credentials = match &credentials {
            api::Given::Null => false,
            given => given.is_said() || queue.credentials.is_some(),
        };
        may_change(queue, &name, &credentials, &worker, &self.settings, &mut faults);
        let new_worker = worker.value().unwrap_or(queue.worker);
        if let Some(place) = queue.sqs() {
            attachable(new_worker, place, has_credentials, &self.settings, &mut faults);
            own_role(place, has_credentials, &self.settings, &mut faults);
        }
        if queue.owned && has_credentials {
            faults.0.push(Fault::new(
                "username",
                "owned",
                "a queue that we made is reached by our own role alone",
            ));
        }
        faults.into_result()?;
        let kept = if has_credentials { queue.credentials.clone() } else { None };
        let new = Queue {
            name: name.value().unwrap_or_else(|| queue.name.clone()),
            default_handler: default_handler.over(queue.default_handler.clone()),
            schema: schema.over(queue.schema.clone()),
            credentials: kept,
            worker: new_worker,
            max_failures: max_failures.value().unwrap_or(queue.max_failures),
            ..queue.clone()
        };
        Ok((new, credentials.value()))
    }
}

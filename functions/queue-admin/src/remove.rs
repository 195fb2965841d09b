use api::{Caller, PathText, Problem};
use axum::extract::State;
use domain::{Queue, QueueState, WorkerMode};
use http::StatusCode;
use queue::AdminError;

use crate::{AdminState, problems};

/// How to go on after a deletion that broke off.
const RESUME: &str = "The queue is saved as 'deleting'; send the same request again to go on";

/// `DELETE queue/{id}`: the worker's mapping, the SQS queues if we made them (with all that is in them), the registration;
/// in this order, so that nothing is left that nobody knows of. The same request goes on where it broke off.
pub(crate) async fn remove(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<StatusCode, Problem> {
    let known = state.to_change(&caller, &id).await?;
    let queue = match known.state {
        QueueState::Deleting => known,
        QueueState::Creating | QueueState::Ready => {
            let deleting = Queue {
                state: QueueState::Deleting,
                updated_at: state.clock.now(),
                ..known.as_ref().clone()
            };
            state.catalog.update_queue(&known, &deleting).await?
        }
    };
    state.take_down(&queue).await.map_err(|error| problems::of_engine(&error, RESUME))?;
    state.catalog.delete_queue(&queue).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl AdminState {
    async fn take_down(&self, queue: &Queue) -> Result<(), AdminError> {
        let Some(place) = queue.sqs() else { return Ok(()) };
        let mapping = match (&queue.mapping, queue.worker) {
            (Some(mapping), _) => Some(mapping.clone()),
            // A creation that broke off may have made one and not noted it: attaching again names it. Without a queue
            // there is none.
            (None, WorkerMode::Attached) => match self.queues.describe(place).await {
                Err(error) if error.is_missing() => None,
                _ => Some(self.mappings.attach(place).await?),
            },
            (None, WorkerMode::None) => None,
        };
        if let Some(mapping) = mapping {
            self.mappings.detach(&mapping).await?;
        }
        if queue.owned {
            self.queues.delete(place).await?;
            let unnoted = || self.settings.own_dead_place(queue.name.as_str(), queue.fifo);
            if let Some(dead) = queue.dead_letter_queue.clone().or_else(unnoted) {
                self.queues.delete(&dead).await?;
            }
        }
        Ok(())
    }
}

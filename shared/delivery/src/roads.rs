use std::sync::Arc;

use domain::{Clock, Engine, Queue, QueueId, QueueState};
use queue::{Engines, Place};
use zstorage::{Catalog, CatalogError, Sealer};

use crate::breaker::{Breaker, Breakers};
use crate::door::Doors;

/// The ways to all queues: which there are, how they are opened, whether they take anything. Cheap to clone; clones share what
/// they have learnt.
#[derive(Clone)]
pub(crate) struct Roads {
    pub(crate) engines: Engines,
    pub(crate) clock: Clock,
    catalog: Catalog,
    doors: Doors,
    breakers: Breakers,
}

/// The way to one queue.
#[derive(Clone)]
pub(crate) struct Road {
    pub(crate) place: Place,
    pub(crate) breaker: Arc<Breaker>,
}

/// Why there is no way to a queue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRoad {
    /// Nothing can be sent there, for this reason; whether it may yet be otherwise.
    #[error("{reason}")]
    Closed { reason: String, for_good: bool },
    /// It could not be looked up.
    #[error(transparent)]
    Unknown(#[from] CatalogError),
}

impl Roads {
    pub(crate) fn new(engines: Engines, catalog: Catalog, sealer: Sealer, clock: Clock) -> Roads {
        let doors = Doors::new(engines.clone(), sealer, clock.clone());
        Roads { engines, clock, catalog, doors, breakers: Breakers::default() }
    }

    /// The way to the queue of this id. Warm it asks nobody.
    pub(crate) async fn to(&self, id: QueueId) -> Result<Road, NoRoad> {
        let closed = |reason: String, for_good| NoRoad::Closed { reason, for_good };
        let queue = self.catalog.queue_by_id(id).await?;
        let queue = queue.ok_or_else(|| closed(format!("there is no queue {id} any more"), true))?;
        let name = &queue.name;
        match queue.state {
            QueueState::Ready => {}
            QueueState::Creating => {
                return Err(closed(format!("the queue {name} is still being made"), false));
            }
            QueueState::Deleting => return Err(closed(format!("the queue {name} is being deleted"), true)),
        }
        let door = self.doors.of(&queue).await;
        let place = door
            .place
            .clone()
            .map_err(|why| closed(format!("the queue {name} cannot be used: {why}"), false))?;
        Ok(Road { place, breaker: self.breakers.of(id) })
    }

    /// The engine of a queue. `None` = it is not registered any more, or that is not known just now.
    pub(crate) async fn engine(&self, id: QueueId) -> Option<Engine> {
        let queue = self.catalog.queue_by_id(id).await;
        let queue = queue.inspect_err(|error| {
            tracing::warn!(queue.id = %id, %error, "A queue could not be looked up.");
        });
        queue.ok().flatten().map(|queue| queue.engine())
    }

    /// What a write needs to know of a queue that a link of its table goes to.
    pub(crate) async fn facts(&self, id: QueueId) -> Result<zstorage::LinkQueue, CatalogError> {
        let Some(queue) = self.catalog.queue_by_id(id).await? else {
            return Ok(zstorage::LinkQueue { accepts: false, ..zstorage::LinkQueue::default() });
        };
        Ok(self.facts_of(&queue).await)
    }

    async fn facts_of(&self, queue: &Queue) -> zstorage::LinkQueue {
        let door = self.doors.of(queue).await;
        let is_open = queue.state == QueueState::Ready && door.place.is_ok();
        zstorage::LinkQueue {
            ordered: queue.keeps_order(),
            max_body_bytes: door.max_body_bytes,
            accepts: is_open && self.breakers.of(queue.id).lets_one(self.clock.now()),
        }
    }
}

use std::sync::Arc;

use api::{Caller, Kind, PathText, Problem};
use axum::extract::State;
use domain::{Link, Queue, QueueState, Scope, TableState, WorkerMode};
use http::StatusCode;
use queue::AdminError;
use serde_json::{Value, json};
use zstorage::CatalogError;

use crate::{AdminState, problems};

/// How to go on after a deletion that broke off.
const RESUME: &str = "The queue is saved as 'deleting'; send the same request again to go on";

/// Tables are looked through in pages of so many.
const TABLES_AT_ONCE: usize = 100;

/// Why a queue is not removed yet; the same call goes on where it broke off.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The registration could not be changed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// SQS or Lambda did not do as asked.
    #[error(transparent)]
    Engine(#[from] AdminError),
}

/// What is left of a request that lost its queue to another one.
enum Orphaned {
    Nothing,
    Mapping,
    Everything,
}

/// `DELETE queue/{id}`: the worker's mapping, the SQS queues if we made them (with all that is in them), the registration;
/// in this order, so that nothing is left that nobody knows of. The same request goes on where it broke off. A queue that
/// tables are linked to stays: their writes would go nowhere.
pub(crate) async fn remove(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<StatusCode, Problem> {
    let known = state.to_change(&caller, &id).await?;
    state.refuse_linked(&caller, &known).await?;
    let marked = state.mark(&known).await?;
    // No link is made to a queue that is marked, so what is found now is all there is.
    if let Err(linked) = state.refuse_linked(&caller, &marked).await {
        if known.state != marked.state {
            let as_it_was = Queue { state: known.state, ..marked.as_ref().clone() };
            state.catalog.update_queue(&marked, &as_it_was).await?;
        }
        return Err(linked);
    }
    match state.take_away(&marked).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(RemoveError::Catalog(error)) => Err(error.into()),
        Err(RemoveError::Engine(error)) => Err(problems::of_engine(&error, RESUME)),
    }
}

impl AdminState {
    /// Takes the worker off `queue`.
    pub(crate) async fn detach(&self, queue: &Queue) -> Result<(), AdminError> {
        let mapping = match (&queue.mapping, queue.worker, queue.sqs()) {
            (Some(mapping), _, _) => mapping.clone(),
            // A request that broke off may have made one and not noted it: attaching again names it. Without a queue
            // there is none.
            (None, WorkerMode::Attached, Some(place)) => match self.queues.describe(place).await {
                Err(error) if error.is_missing() => return Ok(()),
                _ => self.mappings.attach(place).await?,
            },
            (None, _, _) => return Ok(()),
        };
        self.mappings.detach(&mapping).await
    }

    /// For a request that made what `made` says while another one changed or deleted the queue: takes back what nobody
    /// answers for any more. What is still registered, or was registered anew, stays.
    pub(crate) async fn take_back(&self, made: &Queue) {
        let done = match self.is_orphaned(made).await {
            Ok(Orphaned::Nothing) => Ok(()),
            Ok(Orphaned::Mapping) => self.detach(made).await,
            Ok(Orphaned::Everything) => self.take_down(made).await,
            Err(error) => {
                tracing::error!(queue.id = %made.id, %error, "What a request made in vain may be left behind.");
                return;
            }
        };
        if let Err(error) = done {
            tracing::error!(queue.id = %made.id, queue.name = %made.name, %error, "What a request made in vain is left behind.");
        }
    }

    async fn is_orphaned(&self, made: &Queue) -> Result<Orphaned, CatalogError> {
        match self.catalog.fresh_queue(made.id).await? {
            Some(now) if now.state != QueueState::Deleting => {
                let detached = made.worker == WorkerMode::Attached && now.worker == WorkerMode::None;
                return Ok(if detached { Orphaned::Mapping } else { Orphaned::Nothing });
            }
            Some(_) | None => {}
        }
        let by_arn = match made.sqs() {
            Some(place) => self.catalog.queue_by_arn(&place.arn()).await?,
            None => None,
        };
        let by_name = self.catalog.queue_by_name(&made.name).await?;
        let anew = [by_arn, by_name]
            .into_iter()
            .flatten()
            .any(|other| other.id != made.id && other.destination == made.destination);
        Ok(if anew { Orphaned::Nothing } else { Orphaned::Everything })
    }

    /// Removes the queue `known` as `DELETE queue/{id}` does, without asking whose wish it is: that is the caller's to judge.
    ///
    /// # Errors
    /// [`RemoveError`]; the queue is then saved as `deleting`, or as it was.
    pub async fn remove_queue(&self, known: &Queue) -> Result<(), RemoveError> {
        let marked = self.mark(known).await?;
        self.take_away(&marked).await
    }

    /// The queue, saved as `deleting`.
    async fn mark(&self, known: &Queue) -> Result<Arc<Queue>, CatalogError> {
        match known.state {
            QueueState::Deleting => Ok(Arc::new(known.clone())),
            QueueState::Creating | QueueState::Ready => {
                let deleting =
                    Queue { state: QueueState::Deleting, updated_at: self.clock.now(), ..known.clone() };
                self.catalog.update_queue(known, &deleting).await
            }
        }
    }

    async fn take_away(&self, queue: &Queue) -> Result<(), RemoveError> {
        self.take_down(queue).await?;
        Ok(self.catalog.delete_queue(queue).await?)
    }

    /// Refuses a queue that links point to, and names them with their tables, as far as the caller may see those. Tables that are
    /// being deleted set nothing off any more.
    async fn refuse_linked(&self, caller: &Caller, queue: &Queue) -> Result<(), Problem> {
        let (mut named, mut unseen, mut cursor) = (Vec::new(), 0, None);
        loop {
            let page = self.catalog.list_tables(None, TABLES_AT_ONCE, cursor.as_ref()).await?;
            for schema in &page.items {
                let table = schema.table();
                let points_here = |link: &&Link| link.queue == queue.id && table.state == TableState::Ready;
                let links = table.links.iter().filter(points_here).map(|link| link.id.to_string());
                match caller.scopes.cover(&Scope::table_read(&table.api_name)) {
                    true => named.extend(links.map(|link| (table.api_name.to_string(), link))),
                    false => unseen += links.count(),
                }
            }
            match page.next {
                None => break,
                next => cursor = next,
            }
        }
        if named.is_empty() && unseen == 0 {
            return Ok(());
        }
        let mut said: Vec<String> =
            named.iter().map(|(table, link)| format!("{link} of table {table}")).collect();
        if unseen > 0 {
            said.push(format!("{unseen} of tables that this key does not see"));
        }
        let detail = format!("links point to this queue: {}; delete them first", said.join(", "));
        let named = named.into_iter().map(|(table, link)| json!({ "table": table, "link": link }));
        Err(Problem::new(Kind::Conflict, detail).with("links", named.collect::<Vec<Value>>()))
    }

    async fn take_down(&self, queue: &Queue) -> Result<(), AdminError> {
        let Some(place) = queue.sqs() else { return Ok(()) };
        self.detach(queue).await?;
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

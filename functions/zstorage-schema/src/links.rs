use std::sync::Arc;

use api::{Caller, Fields, IfMatch, JsonObject, Kind, PathText, Problem};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use domain::{
    Engine, Fault, Faults, Link, LinkId, Names, Queue, QueueId, QueueName, QueueState, Scope, Table,
    TableSchema,
};
use http::StatusCode;
use serde_json::{Value, json};
use zstorage::CatalogError;

use crate::change::TableScope;
use crate::design::Edit;
use crate::wanted::WantedLink;
use crate::{SchemaState, answers, design, documents};

/// `POST table/{apiName}/link`: one more link. Whoever makes it must have the right to publish on its queue.
pub(crate) async fn add(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    if_match: IfMatch,
    body: JsonObject,
) -> Result<Response, Problem> {
    state.table(&caller, &name, Scope::TableWrite).await?;
    let wanted = WantedLink::read(body.fields()?);
    let target = state.target(&caller, &wanted, None).await?;
    let edit = |table: &Table| -> Edit {
        let id = LinkId { table: table.prefix, number: table.next_link };
        let (link, faults) = target.linked(&wanted, id, table);
        Edit { faults, queue: target.queue_id(), ..design::with_link(table, link) }
    };
    let schema = state.change(&caller, &name, &if_match, |table, _, _| Ok(edit(table))).await?;
    let table = schema.table();
    let id = LinkId { table: table.prefix, number: table.next_link.saturating_sub(1) };
    let link = known(table, id)?;
    let document = state.changed_link(table, link).await?;
    Ok(answers::made(&format!("link/{id}"), table.version, document))
}

/// `GET table/{apiName}/link`: all links of a table, in their order.
pub(crate) async fn list(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
) -> Result<Json<Value>, Problem> {
    let schema = state.table(&caller, &name, Scope::TableRead).await?;
    let table = schema.table();
    let queues = state.queue_names(table).await?;
    let links: Vec<Value> = table.links.iter().map(|link| documents::of_link(table, link, &queues)).collect();
    Ok(Json(json!({ "links": links })))
}

/// `GET link/{id}`
pub(crate) async fn read(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<Response, Problem> {
    let (schema, id) = state.link(&caller, &id, Scope::TableRead).await?;
    let table = schema.table();
    let queues = state.queue_names(table).await?;
    Ok(answers::shown(table.version, documents::of_link(table, known(table, id)?, &queues)))
}

/// `PUT link/{id}`: what is not given stays, `null` clears. What a link says is said on its queue in the name of whoever
/// changed it last, who must have the right to publish there; turning it off needs no such right.
pub(crate) async fn change(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(id): PathText,
    if_match: IfMatch,
    body: JsonObject,
) -> Result<Response, Problem> {
    let (schema, id) = state.link(&caller, &id, Scope::TableWrite).await?;
    body.fields()?;
    let wanted = |table: &Table, link: &Link| -> Result<WantedLink, Problem> {
        let merged = documents::changed_link(table, link, body.text()?);
        Ok(WantedLink::read(Fields::read(&merged)?))
    };
    let link = known(schema.table(), id)?;
    let now = wanted(schema.table(), link)?;
    let target = match now.turns_off(link, schema.table()) {
        true => Target::Unasked,
        false => state.target(&caller, &now, Some(link.queue)).await?,
    };
    let edit = |table: &Table| -> Result<Edit, Problem> {
        let link = known(table, id)?;
        let wanted = wanted(table, link)?;
        let is_as_judged = match &target {
            Target::Unasked => wanted.turns_off(link, table),
            _ => wanted.queue == now.queue,
        };
        if !is_as_judged {
            // Changed in between: the rights were judged for another change.
            return Err(CatalogError::Conflict.into());
        }
        let (changed, faults) = match &target {
            Target::Unasked => (Link { enabled: false, ..link.clone() }, Faults::none()),
            target => target.linked(&wanted, id, table),
        };
        let edit = design::with_changed_link(table, changed).ok_or_else(missing)?;
        Ok(Edit { faults, queue: target.queue_id(), ..edit })
    };
    let name = schema.table().api_name.as_str();
    let schema = state.change(&caller, name, &if_match, |table, _, _| edit(table)).await?;
    let table = schema.table();
    Ok(answers::shown(table.version, state.changed_link(table, known(table, id)?).await?))
}

/// `DELETE link/{id}`: no write sets it off any more. What it has said already goes its way.
pub(crate) async fn remove(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(id): PathText,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let (schema, id) = state.link(&caller, &id, Scope::TableWrite).await?;
    let edit = |table: &Table| -> Result<Edit, Problem> {
        known(table, id)?;
        let mut table = table.clone();
        table.links.retain(|link| link.id != id);
        Ok(table.into())
    };
    let name = schema.table().api_name.as_str();
    state.change(&caller, name, &if_match, |table, _, _| edit(table)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a link points, as far as that is known.
pub(crate) enum Target {
    /// A queue on which the caller may publish.
    Queue(Arc<Queue>),
    /// None that there is, and what to say of it; or none was given, which is said elsewhere.
    None(Option<Fault>),
    /// The link keeps its own, and nothing new is said there.
    Unasked,
}

impl Target {
    /// The queue that must be in use when the link is saved.
    fn queue_id(&self) -> Option<QueueId> {
        match self {
            Target::Queue(queue) => Some(queue.id),
            Target::None(_) | Target::Unasked => None,
        }
    }

    /// The link to it, with every fault that is known before it is compiled.
    fn linked(&self, wanted: &WantedLink, id: LinkId, table: &Table) -> (Link, Faults) {
        let mut faults = Faults::none();
        // A link that points nowhere is compiled for its faults alone, and never saved.
        let mut queue_id = QueueId::new(jiff::Timestamp::UNIX_EPOCH, &mut rand::rng());
        match self {
            Target::Queue(queue) => {
                queue_id = queue.id;
                if wanted.ordering_key.is_some() && !queue.keeps_order() {
                    let (code, what) = match queue.engine() {
                        Engine::RabbitMq => ("not-on-rabbitmq", "a queue of RabbitMQ"),
                        Engine::Sqs | Engine::Kafka => ("not-on-standard", "a standard queue"),
                    };
                    let message = format!(
                        "{what} keeps no order; leave the ordering key out, or link to a queue made with \"fifo\": true or to \
                         a topic of Kafka"
                    );
                    faults.add("ordering-key", code, message);
                }
            }
            Target::None(fault) => faults.0.extend(fault.clone()),
            Target::Unasked => {}
        }
        let (link, found) = wanted.numbered(id, queue_id, table);
        faults.0.extend(found.0);
        (link, faults)
    }
}

impl SchemaState {
    /// The table that has the link of this id, if the caller has the right of `scope` to it.
    pub(crate) async fn link(
        &self,
        caller: &Caller,
        id: &str,
        scope: TableScope,
    ) -> Result<(Arc<TableSchema>, LinkId), Problem> {
        let found = match id.parse::<LinkId>() {
            Ok(id) => self.catalog.fresh_table(id.table).await?.map(|schema| (schema, id)),
            Err(_no_id_of_ours) => None,
        };
        // One answer for a link that is not there and one of another's table: ids can be made up, and would tell its name.
        let may =
            |schema: &TableSchema| caller.scopes.cover(&scope(Names::One(schema.table().api_name.clone())));
        let (schema, id) = found
            .filter(|(schema, _)| may(schema))
            .ok_or_else(|| caller.unknown(&scope(Names::Any), "link of this id"))?;
        known(schema.table(), id)?;
        Ok((schema, id))
    }

    /// The queue that a link names, by its name or its id, if the caller may publish there. Whoever may not is told its name only if
    /// it is `own`, the one that the link points to already: ids of others tell nothing.
    async fn target(
        &self,
        caller: &Caller,
        wanted: &WantedLink,
        own: Option<QueueId>,
    ) -> Result<Target, Problem> {
        let Some(text) = &wanted.queue else { return Ok(Target::None(None)) };
        let unknown = |asked: &Scope| {
            caller.require(asked)?;
            let fault = Fault::new("queue", "unknown-queue", "there is no queue of this name or id");
            Ok(Target::None(Some(fault)))
        };
        let any = Scope::QueuePublish(Names::Any);
        let found = match (text.parse::<QueueId>(), QueueName::parse(text)) {
            (Ok(id), _) => self.catalog.fresh_queue(id).await?,
            (Err(_), Ok(name)) => {
                let asked = Scope::publish(&name);
                caller.require(&asked)?;
                let known = self.catalog.queue_by_name(&name).await?;
                let fresh = match known {
                    Some(known) => self.catalog.fresh_queue(known.id).await?,
                    None => None,
                };
                match fresh.filter(|queue| queue.name == name) {
                    Some(queue) => Some(queue),
                    None => return unknown(&asked),
                }
            }
            (Err(_), Err(_)) => None,
        };
        let Some(queue) = found else { return unknown(&any) };
        let asked = Scope::publish(&queue.name);
        if !caller.scopes.cover(&asked) && own != Some(queue.id) {
            return unknown(&any);
        }
        caller.require(&asked)?;
        let doing = match queue.state {
            QueueState::Ready => return Ok(Target::Queue(queue)),
            QueueState::Creating => "created",
            QueueState::Deleting => "deleted",
        };
        let message = format!("the queue is being {doing}");
        Ok(Target::None(Some(Fault::new("queue", "not-in-use", message))))
    }

    /// The document of a link that was saved just now; it says when every process knows it.
    async fn changed_link(&self, table: &Table, link: &Link) -> Result<Value, Problem> {
        let mut document = documents::of_link(table, link, &self.queue_names(table).await?);
        document["active-from"] = json!(self.active_from(table.updated_at).to_string());
        Ok(document)
    }
}

fn known(table: &Table, id: LinkId) -> Result<&Link, Problem> {
    table.links.iter().find(|link| link.id == id).ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::new(Kind::NotFound, "there is no link of this id")
}

impl WantedLink {
    /// Whether it is `link` itself, off: then nothing new is said on any queue.
    fn turns_off(&self, link: &Link, table: &Table) -> bool {
        let (wanted, faults) = self.numbered(link.id, link.queue, table);
        let same_queue = self.queue.as_deref() == Some(link.queue.to_string().as_str());
        faults.is_empty() && same_queue && wanted == Link { enabled: false, ..link.clone() }
    }
}

//! Queues themselves: made, found, listed, changed, emptied, tagged, deleted.

use super::{
    attributes::{Attributes, READ_ONLY},
    refusal::Refusal,
    store::Turn,
};
use rusqlite::{OptionalExtension, Row};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const MAX_NAME_BYTES: usize = 80;
const MAX_TAGS: usize = 50;

/// A queue as it is stored.
pub(super) struct Queue {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) attributes: Attributes,
    tags: BTreeMap<String, String>,
    created_ms: i64,
    modified_ms: i64,
}

impl Queue {
    pub(super) fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    /// The queue of this name.
    pub(super) fn named(turn: &Turn<'_>, name: &str) -> Result<Option<Queue>, Refusal> {
        let mut find = turn.prepare_cached(
            "SELECT id, name, attributes, tags, created_ms, modified_ms FROM queue WHERE name = ?1",
        )?;
        Ok(find.query_row([name], Queue::read).optional()?)
    }

    /// The queue a URL names by its last part; its host is of no matter, it changes from start to start.
    pub(super) fn at(turn: &Turn<'_>, url: &str) -> Result<Queue, Refusal> {
        Queue::named(turn, name_in_url(url))?.ok_or_else(Refusal::no_such_queue)
    }

    /// All queues, by name.
    pub(super) fn all(turn: &Turn<'_>) -> Result<Vec<Queue>, Refusal> {
        let mut all = turn.prepare_cached(
            "SELECT id, name, attributes, tags, created_ms, modified_ms FROM queue ORDER BY name",
        )?;
        Ok(all.query_map([], Queue::read)?.collect::<Result<_, _>>()?)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Queue> {
        let stored = |column: usize| -> rusqlite::Result<BTreeMap<String, String>> {
            let text: String = row.get(column)?;
            serde_json::from_str(&text).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(
                    column,
                    rusqlite::types::Type::Text,
                    Box::new(error),
                )
            })
        };
        Ok(Queue {
            id: row.get(0)?,
            name: row.get(1)?,
            attributes: Attributes::stored(stored(2)?),
            tags: stored(3)?,
            created_ms: row.get(4)?,
            modified_ms: row.get(5)?,
        })
    }

    fn save(&self, turn: &Turn<'_>) -> Result<(), Refusal> {
        turn.execute(
            "UPDATE queue SET attributes = ?2, tags = ?3, modified_ms = ?4 WHERE id = ?1",
            (self.id, json!(self.attributes).to_string(), json!(self.tags).to_string(), turn.now_ms),
        )?;
        Ok(())
    }
}

/// The last part of a queue's URL.
pub(super) fn name_in_url(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

/// A request that says no more than which queue is meant.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OnQueue {
    pub(super) queue_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// Lower case: so it stands in the service's model.
    #[serde(default, rename = "tags", alias = "Tags")]
    tags: BTreeMap<String, String>,
}

/// Makes a queue, or finds the one that is already as it is asked for.
pub(super) fn create(turn: &Turn<'_>, request: Create) -> Result<Value, Refusal> {
    let Create { queue_name: name, attributes, tags } = request;
    let is_fifo = check_name(&name)?;
    match (is_fifo, attributes.get("FifoQueue").map(String::as_str)) {
        (true, Some("true")) | (false, None) => {}
        (true, _) => return Err(Refusal::invalid("The name of a standard queue cannot end with '.fifo'.")),
        (false, Some("true")) => {
            return Err(Refusal::invalid(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.",
            ));
        }
        (false, Some(_)) => return Err(Refusal::unknown_attribute("FifoQueue")),
    }
    let wanted = Attributes::check(&attributes, is_fifo)?;
    let answer = json!({"QueueUrl": turn.place.url(&name)});
    if let Some(queue) = Queue::named(turn, &name)? {
        return match queue.attributes.first_difference(&wanted) {
            Some(attribute) => Err(Refusal::queue_exists(attribute)),
            None => Ok(answer),
        };
    }
    check_redrive_target(turn, &name, &wanted)?;
    let mut kept = Attributes::default();
    kept.merge(wanted);
    turn.execute(
        "INSERT INTO queue (name, attributes, tags, created_ms, modified_ms) VALUES (?1, ?2, ?3, ?4, ?4)",
        (&name, json!(kept).to_string(), json!(tags).to_string(), turn.now_ms),
    )?;
    Ok(answer)
}

/// Whether the name is that of a FIFO queue.
fn check_name(name: &str) -> Result<bool, Refusal> {
    let stem = name.strip_suffix(".fifo");
    let sound = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    let letters = stem.unwrap_or(name);
    if letters.is_empty() || name.len() > MAX_NAME_BYTES || !letters.bytes().all(sound) {
        return Err(Refusal::invalid(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(stem.is_some())
}

/// A dead-letter queue must be there, of the same kind, and willing.
fn check_redrive_target(turn: &Turn<'_>, name: &str, attributes: &Attributes) -> Result<(), Refusal> {
    let Some(policy) = attributes.redrive() else { return Ok(()) };
    let refused = |reason: &str| Refusal::invalid_value(&policy.target_arn, "RedrivePolicy", reason);
    let target =
        turn.place.name_in_arn(&policy.target_arn).map(|target| Queue::named(turn, target)).transpose()?;
    let target = target.flatten().ok_or_else(|| refused("Dead letter target does not exist."))?;
    if target.is_fifo() != name.ends_with(".fifo") {
        return Err(refused("Dead-letter queue must be same type of queue as the source."));
    }
    if !target.attributes.takes_dead_letters_of(&turn.place.arn(name)) {
        return Err(refused("The dead-letter queue does not allow this source queue (RedriveAllowPolicy)."));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetUrl {
    queue_name: String,
}

pub(super) fn get_url(turn: &Turn<'_>, request: GetUrl) -> Result<Value, Refusal> {
    let queue = Queue::named(turn, &request.queue_name)?.ok_or_else(Refusal::no_such_queue)?;
    Ok(json!({"QueueUrl": turn.place.url(&queue.name)}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    #[serde(default)]
    queue_name_prefix: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// Lists queues by name. The token is the last name of the page before.
pub(super) fn list(turn: &Turn<'_>, request: List) -> Result<Value, Refusal> {
    let fitting =
        Queue::all(turn)?.into_iter().filter(|queue| queue.name.starts_with(&request.queue_name_prefix));
    Ok(page("QueueUrls", turn, fitting, request.max_results, request.next_token.as_deref()))
}

/// A page of queue URLs; a token only where the caller asked for pages.
pub(super) fn page(
    key: &str,
    turn: &Turn<'_>,
    queues: impl Iterator<Item = Queue>,
    max_results: Option<usize>,
    after: Option<&str>,
) -> Value {
    const MOST: usize = 1000;
    let limit = max_results.unwrap_or(MOST).clamp(1, MOST);
    let mut rest = queues.filter(|queue| after.is_none_or(|after| queue.name.as_str() > after)).peekable();
    let names: Vec<String> = rest.by_ref().take(limit).map(|queue| queue.name).collect();
    let urls: Vec<String> = names.iter().map(|name| turn.place.url(name)).collect();
    let mut answer = json!({});
    if !urls.is_empty() {
        answer[key] = json!(urls);
    }
    if max_results.is_some() && rest.peek().is_some() {
        answer["NextToken"] = json!(names.last());
    }
    answer
}

/// Deletes a queue and all that is in it.
pub(super) fn delete(turn: &Turn<'_>, request: OnQueue) -> Result<Value, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    turn.execute("DELETE FROM queue WHERE id = ?1", [queue.id])?;
    turn.ring(&queue.name);
    Ok(json!({}))
}

/// Empties a queue, of messages in flight too.
pub(super) fn purge(turn: &Turn<'_>, request: OnQueue) -> Result<Value, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    turn.execute("DELETE FROM message WHERE queue_id = ?1", [queue.id])?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

pub(super) fn get_attributes(turn: &Turn<'_>, request: GetAttributes) -> Result<Value, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    for name in request.attribute_names.iter().filter(|name| *name != "All") {
        if !Attributes::is_known(name) {
            return Err(Refusal::unknown_attribute(name));
        }
    }
    expire(turn, &queue)?;
    let asked = |name: &str| request.attribute_names.iter().any(|asked| asked == "All" || asked == name);
    let mut answer: Map<String, Value> = queue
        .attributes
        .effective(queue.is_fifo())
        .filter(|(name, _)| asked(name))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    for name in READ_ONLY.iter().filter(|name| asked(name)) {
        let value = match *name {
            "QueueArn" => turn.place.arn(&queue.name),
            "CreatedTimestamp" => (queue.created_ms / 1000).to_string(),
            "LastModifiedTimestamp" => (queue.modified_ms / 1000).to_string(),
            "ApproximateNumberOfMessages" => count(turn, &queue, "visible_ms <= ?2")?.to_string(),
            "ApproximateNumberOfMessagesNotVisible" => {
                count(turn, &queue, "visible_ms > ?2 AND handle IS NOT NULL")?.to_string()
            }
            _ => count(turn, &queue, "visible_ms > ?2 AND handle IS NULL")?.to_string(),
        };
        answer.insert((*name).to_owned(), json!(value));
    }
    Ok(if answer.is_empty() { json!({}) } else { json!({"Attributes": answer}) })
}

/// Counts messages; `state` is one of the three conditions above.
fn count(turn: &Turn<'_>, queue: &Queue, state: &'static str) -> Result<i64, Refusal> {
    let sql = format!("SELECT count(*) FROM message WHERE queue_id = ?1 AND {state}");
    Ok(turn.prepare_cached(&sql)?.query_row((queue.id, turn.now_ms), |row| row.get(0))?)
}

/// Forgets messages that outlived the queue's retention period.
pub(super) fn expire(turn: &Turn<'_>, queue: &Queue) -> Result<(), Refusal> {
    let cutoff_ms = turn.now_ms - queue.attributes.number("MessageRetentionPeriod") * 1000;
    turn.prepare_cached("DELETE FROM message WHERE queue_id = ?1 AND enqueued_ms <= ?2")?
        .execute((queue.id, cutoff_ms))?;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetAttributes {
    queue_url: String,
    attributes: BTreeMap<String, String>,
}

pub(super) fn set_attributes(turn: &Turn<'_>, request: SetAttributes) -> Result<Value, Refusal> {
    let mut queue = Queue::at(turn, &request.queue_url)?;
    let newer = Attributes::check(&request.attributes, queue.is_fifo())?;
    if queue.is_fifo() && newer.get("FifoQueue").is_some_and(|value| value != "true") {
        return Err(Refusal::attribute_value("FifoQueue"));
    }
    check_redrive_target(turn, &queue.name, &newer)?;
    queue.attributes.merge(newer);
    queue.save(turn)?;
    turn.ring(&queue.name);
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    queue_url: String,
    tags: BTreeMap<String, String>,
}

pub(super) fn tag(turn: &Turn<'_>, request: Tag) -> Result<Value, Refusal> {
    let mut queue = Queue::at(turn, &request.queue_url)?;
    queue.tags.extend(request.tags);
    if queue.tags.len() > MAX_TAGS {
        return Err(Refusal::invalid(format!("Too many tags added for queue {}.", queue.name)));
    }
    queue.save(turn)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Untag {
    queue_url: String,
    tag_keys: Vec<String>,
}

pub(super) fn untag(turn: &Turn<'_>, request: Untag) -> Result<Value, Refusal> {
    let mut queue = Queue::at(turn, &request.queue_url)?;
    queue.tags.retain(|key, _| !request.tag_keys.contains(key));
    queue.save(turn)?;
    Ok(json!({}))
}

pub(super) fn list_tags(turn: &Turn<'_>, request: OnQueue) -> Result<Value, Refusal> {
    let queue = Queue::at(turn, &request.queue_url)?;
    Ok(if queue.tags.is_empty() { json!({}) } else { json!({"Tags": queue.tags}) })
}

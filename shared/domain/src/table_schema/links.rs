//! Links, compiled: which of them a write sets off, and what their messages say.
//!
//! Asking cannot fail. Whoever asks is about to commit a record, and a message that tells most of it is better than a record that
//! cannot be saved or a message that is lost: a condition that cannot be computed counts as true, a hole that cannot be
//! computed is null, and the message carries a note of either.

mod answer;
mod body;
pub(super) mod design;
mod holes;
mod template;

use super::{TableSchema, json::json_of, roomy};
use crate::expression::{Effort, Expression, JsonSeen, Names, Scene};
use crate::{
    Faults, FieldId, HandlerName, Link, LinkId, LinkPayload, Operation, Table, Value, Values, ascii_json, hex,
};
use holes::{Filling, Room, Text};
use sha2::{Digest, Sha256};
use template::Template;

pub use answer::{LinkAnswer, LinkMessage, RecordWrite, Silence};
pub use holes::MAX_LINK_HOLES;
pub use template::MAX_TEMPLATE_BYTES;

pub(super) use holes::Hole;

/// The text of an ordering key has at most this many bytes, its holes as they are written.
pub const MAX_ORDERING_KEY_BYTES: usize = 2048;

/// A key that SQS takes as it is has at most this many characters.
const MAX_GROUP_ID: usize = 128;

/// What of a link is compiled.
pub(super) struct CompiledLink {
    condition: Option<Expression>,
    payload: Payload,
    ordering_key: Option<Text>,
}

enum Payload {
    /// The record, or these fields of it.
    Record {
        only: Option<Vec<FieldId>>,
        handler: Option<HandlerName>,
    },
    Template(Template),
}

/// Compiles the links of `table`. `room` is what patterns may still take, bytes.
pub(super) fn compile(table: &Table, room: &mut usize, faults: &mut Faults) -> Vec<CompiledLink> {
    table.links.iter().enumerate().map(|(at, link)| compiled(table, at, link, room, faults)).collect()
}

fn compiled(table: &Table, at: usize, link: &Link, room: &mut usize, faults: &mut Faults) -> CompiledLink {
    let path = format!("links/{at}");
    let condition = link.condition.as_deref().and_then(|text| {
        let condition = Expression::condition(text, Names::OldAndNew, table);
        faults.take(roomy(condition, room, format!("{path}/condition")))
    });
    let mut room = Room { table, patterns: room, holes: MAX_LINK_HOLES };
    let payload = match &link.payload {
        LinkPayload::Whole => Payload::Record { only: None, handler: link.handler.clone() },
        LinkPayload::Fields(fields) => {
            Payload::Record { only: Some(fields.clone()), handler: link.handler.clone() }
        }
        LinkPayload::Template(text) => {
            Payload::Template(Template::compile(text, link.handler.as_ref(), &path, &mut room, faults))
        }
    };
    let ordering_key = link.ordering_key.as_deref().and_then(|text| {
        if text.is_empty() || text.len() > MAX_ORDERING_KEY_BYTES {
            let message = format!("an ordering key is said in 1 to {MAX_ORDERING_KEY_BYTES} bytes");
            faults.add(format!("{path}/ordering-key"), "length", message);
            return None;
        }
        faults.take(Text::compile(text, &format!("{path}/ordering-key"), &mut room))
    });
    CompiledLink { condition, payload, ordering_key }
}

impl CompiledLink {
    pub(super) fn condition(&self) -> Option<&Expression> {
        self.condition.as_ref()
    }

    /// Every hole, with where it stands within the link: `payload/to`, `ordering-key`.
    pub(super) fn holes(&self) -> impl Iterator<Item = (&str, &Hole)> {
        let payload = match &self.payload {
            Payload::Record { .. } => None,
            Payload::Template(template) => Some(template.holes()),
        };
        let key = self.ordering_key.iter().flat_map(Text::holes);
        payload.into_iter().flatten().chain(key.map(|hole| ("ordering-key", hole)))
    }
}

impl TableSchema {
    /// The table's link of this id.
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.table.links.iter().find(|link| link.id == id)
    }

    /// Whether `link`, one of this table's, fires at `write`, and with which message. What it is on for is taken from `link`
    /// (so one that is off can be tried as if it were on), all else from the table as it was compiled.
    pub fn ask(&self, link: &Link, write: &RecordWrite<'_>) -> LinkAnswer {
        match self.table.links.iter().position(|known| known.id == link.id) {
            Some(at) => self.links[at].ask(link, &Asked::about(self, write)),
            // None of ours: off, as far as this table goes.
            None => LinkAnswer::Silent(Silence::Disabled),
        }
    }

    /// The links that `write` sets off, in their order, with their messages.
    pub fn fired(&self, write: &RecordWrite<'_>) -> Vec<(&Link, LinkMessage)> {
        let asked = Asked::about(self, write);
        let links = self.table.links.iter().zip(&self.links);
        links
            .filter_map(|(link, compiled)| match compiled.ask(link, &asked) {
                LinkAnswer::Fires(message) => Some((link, message)),
                LinkAnswer::Silent(_) => None,
            })
            .collect()
    }
}

/// What links are asked about.
struct Asked<'a> {
    schema: &'a TableSchema,
    write: RecordWrite<'a>,
    scene: Scene<'a>,
    /// What any of them has read of JSON.
    seen: JsonSeen,
}

impl<'a> Asked<'a> {
    fn about(schema: &'a TableSchema, write: &RecordWrite<'a>) -> Asked<'a> {
        let scene = Scene { table: &schema.table, old: write.old, new: write.new };
        Asked { schema, write: *write, scene, seen: JsonSeen::default() }
    }

    /// The table's fields whose values are others after the write than before.
    fn changed(&self) -> impl Iterator<Item = FieldId> {
        let value = |values: Option<&'a Values>, id: FieldId| values.and_then(|values| values.get(&id));
        let ids = self.schema.table.fields.iter().map(|field| field.id);
        ids.filter(move |id| !same(value(self.write.old, *id), value(self.write.new, *id)))
    }
}

impl CompiledLink {
    fn ask(&self, link: &Link, asked: &Asked<'_>) -> LinkAnswer {
        // Each link has its own: what one looks at takes nothing from the others.
        let (mut notes, effort) = (Vec::new(), Effort::whole());
        match self.silence(link, asked, &effort, &mut notes) {
            Some(silence) => LinkAnswer::Silent(silence),
            None => LinkAnswer::Fires(self.message(asked, &effort, notes)),
        }
    }

    fn silence(
        &self,
        link: &Link,
        asked: &Asked<'_>,
        effort: &Effort,
        notes: &mut Vec<String>,
    ) -> Option<Silence> {
        if !link.enabled {
            return Some(Silence::Disabled);
        }
        if !link.on.contains(asked.write.operation) {
            return Some(Silence::OtherOperation);
        }
        if asked.write.operation == Operation::Update {
            let mut changed = asked.changed().peekable();
            if changed.peek().is_none() {
                return Some(Silence::NothingChanged);
            }
            if !link.only_fields.is_empty() && !changed.any(|field| link.only_fields.contains(&field)) {
                return Some(Silence::OtherFields);
            }
        }
        let condition = self.condition.as_ref()?;
        let spared = condition.spare(&asked.scene, effort);
        match spared.and_then(|()| condition.holds_having_seen(&asked.scene, &asked.seen)) {
            Ok(true) => None,
            Ok(false) => Some(Silence::Condition),
            Err(error) => {
                notes.push(format!("condition: it could not be asked, so the link fires: {error}"));
                None
            }
        }
    }

    fn message(&self, asked: &Asked<'_>, effort: &Effort, mut notes: Vec<String>) -> LinkMessage {
        let body = match &self.payload {
            Payload::Record { only, handler } => body::of_record(asked, only.as_deref(), handler.as_ref()),
            Payload::Template(template) => template.fill(&mut Filling::new(asked, effort, &mut notes)),
        };
        let key = self.ordering_key.as_ref();
        let ordering_key =
            key.and_then(|text| ordering_key(text, &mut Filling::new(asked, effort, &mut notes)));
        LinkMessage { body, ordering_key, notes }
    }
}

fn ordering_key(text: &Text, filling: &mut Filling<'_, '_>) -> Option<String> {
    let before = filling.notes.len();
    let key = text.fill("ordering-key", filling);
    if key.is_empty() && filling.notes.len() == before {
        filling
            .notes
            .push("ordering-key: it is empty here, so the record's id stands in its place".to_owned());
    }
    // A key with a part missing would put records in one line that have nothing to do with each other.
    (filling.notes.len() == before).then(|| fitting(key))
}

/// Whether two values say the same. JSON does where only its keys stand in another order.
fn same(old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old, new) {
        (Some(Value::Json(old)), Some(Value::Json(new))) if old != new => {
            json_of(old).is_some_and(|old| json_of(new) == Some(old))
        }
        _ => old == new,
    }
}

/// `key` if an ordered queue takes it as it is, else its SHA-256 in hex: equal keys stay equal, others stay others.
fn fitting(key: String) -> String {
    let fits = (1..=MAX_GROUP_ID).contains(&key.len()) && key.chars().all(|c| c.is_ascii_graphic());
    if fits { key } else { hex(&Sha256::digest(key)) }
}

/// JSON in ASCII, as it stands in bodies.
fn ascii(json: &impl serde::Serialize) -> String {
    // Texts, numbers and maps with texts for keys: nothing of it can fail to be JSON.
    ascii_json(&serde_json::to_string(json).expect("values of records are JSON"))
}

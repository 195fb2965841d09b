use std::collections::BTreeSet;

use api::{Fields, Given};
use domain::{
    ApiName, Fault, Faults, FieldId, HandlerName, Link, LinkId, LinkMode, LinkPayload, Operation, Operations,
    QueueId, RawFields, Table,
};

use super::{names, operations};

/// A link as a caller wants it. Where something of it is wrong, a stand-in is in its place, so that the rest can be checked,
/// too: every fault is told at once, and with a fault nothing is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedLink {
    /// The name or id of the queue; `None` = not given, or no text.
    pub(crate) queue: Option<String>,
    on: Operations,
    mode: LinkMode,
    condition: Option<String>,
    only_fields: Vec<ApiName>,
    handler: Option<HandlerName>,
    payload: WantedPayload,
    pub(crate) ordering_key: Option<String>,
    enabled: bool,
    /// What is wrong with it so far.
    faults: Faults,
}

/// What its message says, fields by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WantedPayload {
    Whole,
    Fields(Vec<ApiName>),
    Template(String),
}

/// The words for modes, as the API says them.
const MODES: [(&str, LinkMode); 2] = [("outbox", LinkMode::Outbox), ("strict", LinkMode::Strict)];

impl WantedLink {
    /// Reads one link.
    pub(crate) fn read(mut fields: Fields<'_>) -> WantedLink {
        let queue = fields.text("queue");
        let queue = fields.required("queue", queue);
        let on = operations(&mut fields);
        let on = fields.required("on", on);
        let mode = fields.parsed("mode", mode).value();
        let condition = fields.text("condition").value();
        let only_fields = names(&mut fields, "only-fields").value();
        let handler = fields.parsed("handler", HandlerName::parse).value();
        let payload = payload(&mut fields);
        let ordering_key = fields.text("ordering-key").value();
        let enabled = fields.flag("enabled").value();
        fields.refuse_unknown(&[
            "queue",
            "on",
            "mode",
            "condition",
            "only-fields",
            "handler",
            "payload",
            "payload-fields",
            "ordering-key",
            "enabled",
        ]);
        WantedLink {
            queue,
            on: on.unwrap_or(Operations::WRITES),
            mode: mode.unwrap_or(LinkMode::Outbox),
            condition,
            only_fields: only_fields.unwrap_or_default(),
            handler,
            payload,
            ordering_key,
            enabled: enabled.unwrap_or(true),
            faults: fields.faults,
        }
    }

    /// The link under this id, for a queue that was found, and every fault of it that can be told before it is compiled.
    pub(crate) fn numbered(&self, id: LinkId, queue: QueueId, table: &Table) -> (Link, Faults) {
        let mut faults = self.faults.clone();
        let only_fields = known(&self.only_fields, "only-fields", table, &mut faults);
        let payload = match &self.payload {
            WantedPayload::Whole => LinkPayload::Whole,
            WantedPayload::Fields(names) => {
                let before = faults.0.len();
                let ids = known(names, "payload-fields", table, &mut faults);
                if faults.0.len() > before { LinkPayload::Whole } else { LinkPayload::Fields(ids) }
            }
            WantedPayload::Template(text) => LinkPayload::Template(text.clone()),
        };
        let link = Link {
            id,
            queue,
            on: self.on,
            mode: self.mode,
            condition: self.condition.clone(),
            only_fields,
            handler: self.handler.clone(),
            payload,
            ordering_key: self.ordering_key.clone(),
            enabled: self.enabled,
        };
        (link, faults)
    }
}

/// The word for a mode.
pub(crate) fn mode_of(mode: LinkMode) -> &'static str {
    MODES.iter().find(|(_, known)| *known == mode).map_or("", |(word, _)| word)
}

fn mode(word: &str) -> Result<LinkMode, Fault> {
    let known = MODES.iter().find(|(known, _)| *known == word);
    known
        .map(|(_, mode)| *mode)
        .ok_or_else(|| Fault::new("mode", "value", "'mode' is \"outbox\" or \"strict\""))
}

/// `payload`, JSON as it was written, or `payload-fields`.
fn payload(fields: &mut Fields<'_>) -> WantedPayload {
    let template = fields.raw("payload").map(|raw| raw.get()).filter(|raw| *raw != "null");
    let only = names(fields, "payload-fields");
    if template.is_some() && only.is_said() {
        let message = "a payload of its own has no 'payload-fields': give one of the two";
        fields.faults.add("payload-fields", "not-with-payload", message);
    }
    match (template, only) {
        (Some(template), _) => WantedPayload::Template(template.to_owned()),
        (None, Given::Is(names)) => WantedPayload::Fields(names),
        (None, _) => WantedPayload::Whole,
    }
}

/// The fields of these names; one that is not there, or stands twice, is a fault at its place.
fn known(names: &[ApiName], key: &str, table: &Table, faults: &mut Faults) -> Vec<FieldId> {
    let mut seen = BTreeSet::new();
    let mut ids = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        if faults.are_many() {
            break;
        }
        match table.field(name.as_str()) {
            None => {
                let message = format!("{} has no field '{name}'", table.api_name);
                faults.add(format!("{key}/{at}"), "unknown-field", message);
            }
            Some(field) if !seen.insert(field.id) => {
                faults.add(format!("{key}/{at}"), "repeated", format!("'{name}' stands here already"));
            }
            Some(field) => ids.push(field.id),
        }
    }
    ids
}

/// A write that nobody makes, to try a link on.
#[derive(Debug, Clone)]
pub(crate) struct WantedWrite {
    pub(crate) operation: Operation,
    /// The record before, as it was stored; `None` = not given.
    pub(crate) old: Option<RawFields>,
    /// What the write gives; `None` = not given.
    pub(crate) new: Option<RawFields>,
    /// The version that it gives to the record.
    pub(crate) version: u64,
    /// What is wrong with it so far.
    pub(crate) faults: Faults,
}

impl WantedWrite {
    /// Reads one write. Which operation it is, what is given tells, unless it is said.
    pub(crate) fn read(mut fields: Fields<'_>) -> WantedWrite {
        let operation = fields.parsed("operation", operation).value();
        let (old, new) = (values(&mut fields, "old"), values(&mut fields, "new"));
        let operation = operation.unwrap_or(match (&old, &new) {
            (Some(_), Some(_)) => Operation::Update,
            (Some(_), None) => Operation::Delete,
            (None, _) => Operation::Create,
        });
        match operation {
            Operation::Create if old.is_some() => {
                fields.faults.add("old", "not-here", "before a create there is no record: leave 'old' out");
            }
            Operation::Delete if new.is_some() => {
                fields.faults.add("new", "not-here", "after a delete there is no record: leave 'new' out");
            }
            _ => {}
        }
        let least = if operation == Operation::Create { 1 } else { 2 };
        let version = match fields.number("version") {
            Given::Is(version) if version < least => {
                let message = format!(
                    "a record begins with version 1, so {} gives {least} or more",
                    operation.as_str()
                );
                fields.faults.add("version", "range", message);
                least
            }
            version => version.value().unwrap_or(least),
        };
        fields.refuse_unknown(&["operation", "old", "new", "version"]);
        WantedWrite { operation, old, new, version: version.into(), faults: fields.faults }
    }
}

fn operation(word: &str) -> Result<Operation, Fault> {
    let all = [Operation::Create, Operation::Update, Operation::Delete];
    all.into_iter().find(|operation| operation.as_str() == word).ok_or_else(|| {
        Fault::new("operation", "value", "'operation' is \"create\", \"update\" or \"delete\"")
    })
}

/// The values of a record at `key`, each as it was written.
fn values(fields: &mut Fields<'_>, key: &str) -> Option<RawFields> {
    let raw = fields.raw(key).filter(|raw| raw.get() != "null")?;
    let values = serde_json::from_str(raw.get()).ok();
    if values.is_none() {
        let message = format!("'{key}' must be an object: each field's name with its value");
        fields.faults.add(key, "type", message);
    }
    values
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn told(faults: &Faults) -> Vec<(&str, &str)> {
        faults.0.iter().map(|fault| (fault.path.as_str(), fault.code)).collect()
    }

    #[test]
    fn every_fault_of_a_link_is_named() {
        let check = |body: &str, expect: &[(&str, &str)]| {
            let wanted = WantedLink::read(Fields::read(body).unwrap());
            assert_eq!(told(&wanted.faults), expect, "{body}");
        };
        check(r#"{"queue":"q","on":["create","update","delete"]}"#, &[]);
        check(
            r#"{"queue":"q","on":["create"],"mode":"strict","condition":"true","only-fields":[],"handler":"a/b",
                "payload":["x"],"ordering-key":"k","enabled":false}"#,
            &[],
        );
        check(r#"{"queue":"q","on":["create"],"payload-fields":["a"],"payload":null}"#, &[]);
        check("{}", &[("queue", "required"), ("on", "required")]);
        check(r#"{"queue":null,"on":[]}"#, &[("queue", "required"), ("on", "required")]);
        check(
            r#"{"queue":7,"on":["create","x"],"mode":"sure","condition":1,"only-fields":["a b"],"handler":"a b",
                "payload":1,"payload-fields":"all","ordering-key":{},"enabled":"yes","id":"x"}"#,
            &[
                ("queue", "type"),
                ("on/1", "value"),
                ("mode", "value"),
                ("condition", "type"),
                ("only-fields/0", "api-name"),
                ("handler", "handler-name"),
                ("payload-fields", "type"),
                ("payload-fields", "not-with-payload"),
                ("ordering-key", "type"),
                ("enabled", "type"),
                ("id", "unknown-field"),
            ],
        );
    }

    #[test]
    fn what_is_given_of_a_write_tells_which_it_is() {
        let check = |body: &str, operation: Operation, version: u64, expect: &[(&str, &str)]| {
            let wanted = WantedWrite::read(Fields::read(body).unwrap());
            assert_eq!((wanted.operation, wanted.version), (operation, version), "{body}");
            assert_eq!(told(&wanted.faults), expect, "{body}");
        };
        check("{}", Operation::Create, 1, &[]);
        check(r#"{"new":{},"old":null,"version":7}"#, Operation::Create, 7, &[]);
        check(r#"{"new":{},"old":{}}"#, Operation::Update, 2, &[]);
        check(r#"{"old":{}}"#, Operation::Delete, 2, &[]);
        check(r#"{"operation":"update","new":{}}"#, Operation::Update, 2, &[]);
        check(r#"{"operation":"create","old":{}}"#, Operation::Create, 1, &[("old", "not-here")]);
        check(r#"{"operation":"delete","new":{}}"#, Operation::Delete, 2, &[("new", "not-here")]);
        check(
            r#"{"operation":"upsert","new":[],"version":0,"x":1}"#,
            Operation::Create,
            1,
            &[("operation", "value"), ("new", "type"), ("version", "range"), ("x", "unknown-field")],
        );
        check(r#"{"operation":"update","version":1}"#, Operation::Update, 2, &[("version", "range")]);
    }
}

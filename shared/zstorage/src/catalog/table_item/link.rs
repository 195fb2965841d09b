use domain::{FieldId, HandlerName, Link, LinkMode, LinkPayload, Operations};
use serde::{Deserialize, Serialize};

/// The number of a table's first link: of tables that were saved before there were links.
pub(super) fn first() -> u32 {
    1
}

#[derive(Serialize, Deserialize)]
pub(super) struct LinkV1 {
    id: String,
    queue: String,
    create: bool,
    update: bool,
    delete: bool,
    strict: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    only_fields: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<String>,
    payload: PayloadV1,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordering_key: Option<String>,
    enabled: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PayloadV1 {
    Whole,
    Fields(Vec<u32>),
    Template(String),
}

impl LinkV1 {
    pub(super) fn of(link: &Link) -> LinkV1 {
        LinkV1 {
            id: link.id.to_string(),
            queue: link.queue.to_string(),
            create: link.on.create,
            update: link.on.update,
            delete: link.on.delete,
            strict: link.mode == LinkMode::Strict,
            condition: link.condition.clone(),
            only_fields: numbers(&link.only_fields),
            handler: link.handler.as_ref().map(ToString::to_string),
            payload: match &link.payload {
                LinkPayload::Whole => PayloadV1::Whole,
                LinkPayload::Fields(fields) => PayloadV1::Fields(numbers(fields)),
                LinkPayload::Template(text) => PayloadV1::Template(text.clone()),
            },
            ordering_key: link.ordering_key.clone(),
            enabled: link.enabled,
        }
    }

    pub(super) fn read(self) -> Option<Link> {
        Some(Link {
            id: self.id.parse().ok()?,
            queue: self.queue.parse().ok()?,
            on: Operations { create: self.create, update: self.update, delete: self.delete },
            mode: if self.strict { LinkMode::Strict } else { LinkMode::Outbox },
            condition: self.condition,
            only_fields: fields(self.only_fields),
            handler: self.handler.as_deref().map(HandlerName::parse).transpose().ok()?,
            payload: match self.payload {
                PayloadV1::Whole => LinkPayload::Whole,
                PayloadV1::Fields(numbers) => LinkPayload::Fields(fields(numbers)),
                PayloadV1::Template(text) => LinkPayload::Template(text),
            },
            ordering_key: self.ordering_key,
            enabled: self.enabled,
        })
    }
}

fn numbers(fields: &[FieldId]) -> Vec<u32> {
    fields.iter().map(|field| field.0).collect()
}

fn fields(numbers: Vec<u32>) -> Vec<FieldId> {
    numbers.into_iter().map(FieldId).collect()
}

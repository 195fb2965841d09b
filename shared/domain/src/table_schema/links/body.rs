//! The body of a link without a template: the record.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::super::Clear;
use super::{Asked, ascii};
use crate::{FieldId, HandlerName, Operation};

/// What travels; its keys stay as they are, because handlers read them.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RecordBody<'b> {
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<&'b str>,
    table: &'b str,
    record_id: String,
    operation: &'static str,
    version: u64,
    /// Null when the record was removed.
    new: Option<Map<String, Json>>,
    /// Absent when the record was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<Map<String, Json>>,
}

pub(super) fn of_record(
    asked: &Asked<'_>,
    only: Option<&[FieldId]>,
    handler: Option<&HandlerName>,
) -> String {
    let Asked { schema, write, .. } = asked;
    let shown = |values| schema.fields_json(values, Clear::No, only);
    ascii(&RecordBody {
        handler: handler.map(HandlerName::as_str),
        table: schema.table().api_name.as_str(),
        record_id: write.id.to_string(),
        operation: write.operation.as_str(),
        version: write.version,
        new: write.new.filter(|_| write.operation != Operation::Delete).map(shown),
        old: write.old.filter(|_| write.operation != Operation::Create).map(shown),
    })
}

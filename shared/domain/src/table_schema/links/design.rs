//! What the links of a table must keep, before anything of them is compiled.

use super::super::design::{at_most, repeated};
use crate::{Faults, FieldId, Link, LinkMode, LinkPayload, MAX_LINKS, Operation, Table};

/// Adds every fault of the table's links to `faults`; paths are such as `links/1/on`.
pub(in super::super) fn check(table: &Table, faults: &mut Faults) {
    at_most(MAX_LINKS, table.links.len(), "links", faults);
    for (at, _) in repeated(table.links.iter().map(|link| link.id)) {
        faults.add(format!("links/{at}"), "taken", "another link of this table has this number");
    }
    for (at, link) in table.links.iter().enumerate() {
        let path = format!("links/{at}");
        if link.id.table != table.prefix || link.id.number == 0 || link.id.number >= table.next_link {
            let message =
                "a link's number is from 1 and below that of the next new link, and its table is this one";
            faults.add(path.as_str(), "number", message);
        }
        if !(link.on.create || link.on.update || link.on.delete) {
            faults.add(format!("{path}/on"), "required", "a link is for create, update or delete");
        }
        fields(table, &link.only_fields, &format!("{path}/only-fields"), faults);
        if let LinkPayload::Fields(chosen) = &link.payload {
            let path = format!("{path}/payload-fields");
            if chosen.is_empty() {
                faults.add(path.as_str(), "required", "a payload has at least one field");
            }
            fields(table, chosen, &path, faults);
        }
        strict(&table.links[..at], link, &path, faults);
    }
}

fn fields(table: &Table, fields: &[FieldId], path: &str, faults: &mut Faults) {
    for (at, _) in repeated(fields.iter()) {
        faults.add(format!("{path}/{at}"), "taken", "this field stands twice here");
    }
    for (at, _) in fields.iter().enumerate().filter(|(_, id)| table.field_by_id(**id).is_none()) {
        faults.add(format!("{path}/{at}"), "unknown-field", "this table has no such field");
    }
}

/// A write waits for one queue at most: with two, the one could accept and the other refuse.
fn strict(before: &[Link], link: &Link, path: &str, faults: &mut Faults) {
    let is_strict = |link: &Link| link.enabled && link.mode == LinkMode::Strict;
    if !is_strict(link) {
        return;
    }
    for operation in [Operation::Create, Operation::Update, Operation::Delete] {
        let first = before.iter().find(|other| is_strict(other) && other.on.contains(operation));
        if let Some(first) = first.filter(|_| link.on.contains(operation)) {
            let message =
                format!("{} is strict on {} already: one link may be", first.id, operation.as_str());
            faults.add(format!("{path}/mode"), "second-strict", message);
            return;
        }
    }
}

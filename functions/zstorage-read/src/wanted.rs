use std::collections::HashSet;

use api::{Fields, Given};
use domain::{Fault, FieldId, Filter, Table};
use zstorage::{Direction, MAX_LIMIT, MAX_SEARCH_BYTES, Query};

/// What else can be asked of a query.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// Of each record these fields alone.
    pub(crate) only: Option<Vec<FieldId>>,
    /// Tell how it was found, and what that cost.
    pub(crate) explain: bool,
}

/// All that a query may say.
const KNOWN: [&str; 10] =
    ["apiName", "filter", "search", "sort", "fields", "limit", "cursor", "allow-scan", "explain", "count"];

/// Records of a page where the request does not say.
const DEFAULT_LIMIT: usize = 50;

/// The order that needs no index, and the same downwards. No field is called so.
const BY_AGE: &str = "created-at";
const YOUNGEST_FIRST: &str = "-created-at";

/// What a request asks of `table`; all its faults go to the request's. `apiName` was taken out before.
pub(crate) fn read(request: &mut Fields<'_>, table: &Table) -> (Query, Shape) {
    let filter = request.parsed("filter", |text| {
        Filter::parse(text, table).map_err(|fault| {
            let place = fault.position.map(|at| format!(" (character {at})")).unwrap_or_default();
            Fault::new("filter", "expression", format!("{}{place}", fault.message))
        })
    });
    let search = request.parsed("search", |text| match text.len() {
        ..=MAX_SEARCH_BYTES => Ok(text.trim().to_owned()),
        bytes => {
            let message = format!("a search has at most {MAX_SEARCH_BYTES} bytes, and this one has {bytes}");
            Err(Fault::new("search", "too-long", message))
        }
    });
    let search = search.value().filter(|text| !text.is_empty());
    let names = request.texts("sort").value().unwrap_or_default();
    let (sort, by_age) = match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => (Vec::new(), None),
        [BY_AGE] => (Vec::new(), Some(Direction::Ascending)),
        [YOUNGEST_FIRST] => (Vec::new(), Some(Direction::Descending)),
        _ => (sorted(&names, table, request), None),
    };
    let only = request.texts("fields").value();
    let only = only.map(|names| chosen(&names, table, request));
    let limit = match request.number("limit") {
        Given::Is(limit) if !(1..=MAX_LIMIT).contains(&(limit as usize)) => {
            request.wrong("limit", "range", format!("'limit' is 1 to {MAX_LIMIT}"))
        }
        given => given,
    };
    let limit = limit.value().map_or(DEFAULT_LIMIT, |limit| limit as usize);
    let cursor = request.text("cursor").value();
    let allow_scan = request.flag("allow-scan").value().unwrap_or(false);
    let explain = request.flag("explain").value().unwrap_or(false);
    let count = request.flag("count").value().unwrap_or(false);
    request.refuse_unknown(&KNOWN);
    let filter = filter.value();
    let query = Query { filter, search, sort, by_age, limit, cursor, allow_scan, count, ..Query::default() };
    (query, Shape { only, explain })
}

/// Fields with a '-' before those that run downwards.
fn sorted(names: &[String], table: &Table, request: &mut Fields<'_>) -> Vec<(FieldId, Direction)> {
    let (mut sort, mut seen) = (Vec::new(), HashSet::new());
    for (at, text) in names.iter().enumerate() {
        let (name, direction) = match text.strip_prefix('-') {
            Some(name) => (name, Direction::Descending),
            None => (text.as_str(), Direction::Ascending),
        };
        let path = format!("sort/{at}");
        match table.field(name) {
            None if name == BY_AGE => {
                let message =
                    "'created-at' stands alone in 'sort', for no two records have the same place in it";
                request.faults.add(path, "alone", message);
            }
            None => unknown(request, path, name),
            Some(field) if !field.is_indexable() => {
                let message = "records cannot be sorted by JSON or encrypted text";
                request.faults.add(path, "not-sortable", message);
            }
            Some(field) if !seen.insert(field.id) => {
                request.faults.add(path, "repeated", "this field stands twice in 'sort'");
            }
            Some(field) => sort.push((field.id, direction)),
        }
    }
    sort
}

fn chosen(names: &[String], table: &Table, request: &mut Fields<'_>) -> Vec<FieldId> {
    let mut only = Vec::new();
    for (at, name) in names.iter().enumerate() {
        match table.field(name) {
            // Named twice it is shown once.
            Some(field) if only.contains(&field.id) => {}
            Some(field) => only.push(field.id),
            None => unknown(request, format!("fields/{at}"), name),
        }
    }
    only
}

fn unknown(request: &mut Fields<'_>, path: String, name: &str) {
    let shown: String = name.chars().take(80).collect();
    request.faults.add(path, "unknown-field", format!("the table has no field '{shown}'"));
}

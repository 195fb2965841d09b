//! What callers ask for, read from their JSON with every fault named.

mod field;
mod index;
mod link;
mod page;
mod rule;
mod table;

use api::{Fields, Given};
use domain::{ApiName, Fault, Faults, Operations};
use serde_json::value::RawValue;

pub(crate) use field::{WantedField, result_of, type_of};
pub(crate) use index::WantedIndex;
pub(crate) use link::{WantedLink, WantedWrite, mode_of};
pub(crate) use page::WantedPage;
pub(crate) use rule::{Trial, read as rule};
pub(crate) use table::{TableChange, WantedTable};

/// Adds `found` to `faults`, each as seen from one level further out.
pub(crate) fn under(faults: &mut Faults, prefix: &str, found: Faults) {
    for fault in found.0 {
        let fault = fault.under(prefix);
        faults.add(fault.path, fault.code, fault.message);
    }
}

/// A name at `key`, its fault noted there.
fn name(fields: &mut Fields<'_>, key: &str) -> Given<ApiName> {
    fields.parsed(key, ApiName::parse)
}

/// Names at `key`, each fault noted at its place.
fn names(fields: &mut Fields<'_>, key: &str) -> Given<Vec<ApiName>> {
    match fields.texts(key) {
        Given::Is(texts) => {
            let mut names = Vec::with_capacity(texts.len());
            for (at, text) in texts.iter().enumerate() {
                match ApiName::parse(text) {
                    Ok(name) => names.push(name),
                    Err(fault) => fields.faults.add(format!("{key}/{at}"), fault.code, fault.message),
                }
            }
            if names.len() == texts.len() { Given::Is(names) } else { Given::Wrong }
        }
        Given::Absent => Given::Absent,
        Given::Null => Given::Null,
        Given::Wrong => Given::Wrong,
    }
}

/// The operations at `on`, at least one.
fn operations(fields: &mut Fields<'_>) -> Given<Operations> {
    let words = match fields.texts("on") {
        Given::Is(words) => words,
        Given::Absent => return Given::Absent,
        Given::Null => return Given::Null,
        Given::Wrong => return Given::Wrong,
    };
    let mut on = Operations { create: false, update: false, delete: false };
    let before = fields.faults.0.len();
    for (at, word) in words.iter().enumerate() {
        match word.as_str() {
            "create" => on.create = true,
            "update" => on.update = true,
            "delete" => on.delete = true,
            _ => fields.faults.add(format!("on/{at}"), "value", "'on' lists create, update, delete"),
        }
    }
    if words.is_empty() {
        fields.faults.add("on", "required", "'on' lists at least one of create, update, delete");
    }
    if fields.faults.0.len() > before || fields.faults.are_many() { Given::Wrong } else { Given::Is(on) }
}

/// The objects of a list at `key`, each read by `read`; faults are noted under `key/PLACE`. An absent list is empty.
fn each<T>(fields: &mut Fields<'_>, key: &str, read: impl Fn(Fields<'_>) -> Result<T, Faults>) -> Vec<T> {
    let Some(raw) = fields.raw(key).filter(|raw| raw.get() != "null") else { return Vec::new() };
    let Ok(objects) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
        fields.faults.add(key, "type", format!("'{key}' must be a list of objects"));
        return Vec::new();
    };
    let mut all = Vec::with_capacity(objects.len());
    for (at, object) in objects.iter().enumerate() {
        if fields.faults.are_many() {
            break;
        }
        match Fields::read(object.get()).map_err(Faults::from).and_then(&read) {
            Ok(one) => all.push(one),
            Err(found) => under(&mut fields.faults, &format!("{key}/{at}"), found),
        }
    }
    all
}

/// A whole number or a text of one at `key`, read by `T`'s own rule from the digits as they were written.
fn digits<T: std::str::FromStr>(fields: &mut Fields<'_>, key: &str, wanted: &str) -> Option<T> {
    let raw = fields.raw(key).map(RawValue::get).filter(|raw| *raw != "null")?;
    let text = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw);
    let number = text.parse().ok();
    if number.is_none() {
        fields.faults.add(key, "type", format!("'{key}' must be {wanted}"));
    }
    number
}

/// Refuses what is given twice over: a key of another kind of field, or one that cannot be changed.
fn fixed(fields: &mut Fields<'_>, keys: &[&str], why: &str) {
    for key in keys {
        if fields.raw(key).is_some() {
            fields.faults.0.push(Fault::new(*key, "fixed", format!("'{key}' {why}")));
        }
    }
}

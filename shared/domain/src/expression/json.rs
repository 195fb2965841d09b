//! A JSON field's value in an expression: every number an exact decimal where it can be one.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::common::types::{CelBool, CelDouble, CelList, CelMap, CelMapKey, CelNull, CelString};
use cel::common::value::Val;
use jiter::{Jiter, JiterError, Peek};

use super::scene::Side;
use super::values::DecimalVal;
use crate::{Decimal, FieldId};

/// The JSON values of one scene that were read, so that those who are asked about it one after the other read each but once.
/// Of one scene only: whose values they are is not looked at again.
#[derive(Default)]
pub(crate) struct JsonSeen(RefCell<BTreeMap<(Side, FieldId), Arc<dyn Val>>>);

impl JsonSeen {
    /// The value of a field, whose text is `text`.
    pub(super) fn value(&self, side: Side, field: FieldId, text: &str) -> Arc<dyn Val> {
        Arc::clone(self.0.borrow_mut().entry((side, field)).or_insert_with(|| json_value(text).into()))
    }
}

/// Reads JSON text that was checked when it was written (so it is at most 32 deep). What cannot be read is null.
fn json_value(text: &str) -> Box<dyn Val> {
    let mut json = Jiter::new(text.as_bytes());
    json.peek().and_then(|peek| value(&mut json, peek)).unwrap_or_else(|_| Box::new(CelNull))
}

fn value(json: &mut Jiter<'_>, peek: Peek) -> Result<Box<dyn Val>, JiterError> {
    Ok(match peek {
        Peek::Null => {
            json.known_null()?;
            Box::new(CelNull)
        }
        Peek::True | Peek::False => Box::new(CelBool::from(json.known_bool(peek)?)),
        Peek::String => Box::new(CelString::from(json.known_str()?.to_owned())),
        Peek::Array => {
            let mut elements: Vec<Box<dyn Val>> = Vec::new();
            let mut next = json.known_array()?;
            while let Some(peek) = next {
                elements.push(value(json, peek)?);
                next = json.array_step()?;
            }
            Box::new(CelList::from(elements))
        }
        Peek::Object => {
            let mut entries: HashMap<CelMapKey<'static>, Box<dyn Val>> = HashMap::new();
            let mut key = json.known_object()?.map(str::to_owned);
            while let Some(name) = key {
                let peek = json.peek()?;
                let member = value(json, peek)?;
                entries.insert(CelMapKey::from(name), member);
                key = json.next_key()?.map(str::to_owned);
            }
            Box::new(CelMap::from(entries))
        }
        _ => number(json.next_number_bytes()?),
    })
}

fn number(digits: &[u8]) -> Box<dyn Val> {
    let text = String::from_utf8_lossy(digits);
    match text.parse::<Decimal>() {
        Ok(decimal) => Box::new(DecimalVal(decimal)),
        Err(_) => match text.parse::<f64>() {
            Ok(double) => Box::new(CelDouble::from(double)),
            Err(_) => Box::new(CelNull),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_once_for_all_who_ask_about_a_scene() {
        let seen = JsonSeen::default();
        let new = seen.value(Side::New, FieldId(1), "[1]");
        assert!(Arc::ptr_eq(&new, &seen.value(Side::New, FieldId(1), "[1]")));
        let others = [seen.value(Side::Old, FieldId(1), "[1]"), seen.value(Side::New, FieldId(2), "[1]")];
        assert!(others.iter().all(|other| !Arc::ptr_eq(&new, other) && new.equals(other.as_ref())));
    }
}

//! A JSON field's value in an expression: every number an exact decimal where it can be one.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelDouble, CelList, CelMap, CelMapKey, CelNull, CelString};
use cel::common::value::Val;
use jiter::{Jiter, JiterError, Peek};

use super::values::DecimalVal;
use crate::Decimal;

/// Reads JSON text that was checked when it was written (so it is at most 32 deep). What cannot be read is null.
pub(super) fn json_value(text: &str) -> Box<dyn Val> {
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

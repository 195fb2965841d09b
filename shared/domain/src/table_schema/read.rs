//! From what a caller wrote to a value: the form alone. What a field asks of its values beyond that stands in `bounds`.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;
use serde_json::value::RawValue;

use super::json::json_of;
use crate::{
    Decimal, DecimalError, Fault, Field, FieldKind, RecordId, Secret, TablePrefix, Value, check_json,
};

/// The value that `raw` says for `field`; `None` where it is `null`. The fault has no path yet.
pub(super) fn value_of(field: &Field, raw: &RawValue) -> Result<Option<Value>, Fault> {
    let json = raw.get().trim();
    if json == "null" {
        return Ok(None);
    }
    let value = match &field.kind {
        FieldKind::Text(_)
        | FieldKind::TextArea(_)
        | FieldKind::Email(_)
        | FieldKind::Url(_)
        | FieldKind::Picklist { .. } => Value::Text(string(json)?),
        FieldKind::EncryptedText(_) => Value::Encrypted(Secret::new(string(json)?)),
        FieldKind::Integer { .. } => Value::Integer(integer(json)?),
        FieldKind::Decimal(_) | FieldKind::Currency(_) => Value::Decimal(decimal(json)?),
        FieldKind::Boolean => Value::Boolean(boolean(json)?),
        FieldKind::DateTime => Value::DateTime(moment(&string(json)?)?),
        FieldKind::Lookup { table } => Value::Lookup(lookup(&string(json)?, *table)?),
        FieldKind::Json => Value::Json(free_json(json)?),
        FieldKind::Formula { .. } => {
            return Err(Fault::new("", "read-only", "a formula is computed, not given"));
        }
    };
    Ok(Some(value))
}

fn of_type(expected: &str) -> Fault {
    Fault::new("", "type", format!("this must be {expected}"))
}

/// A JSON string. Half a surrogate pair is no character, so no text has one.
fn string(json: &str) -> Result<String, Fault> {
    if !json.starts_with('"') {
        return Err(of_type("a string"));
    }
    serde_json::from_str(json).map_err(|_| of_type("a string of whole characters"))
}

fn boolean(json: &str) -> Result<bool, Fault> {
    match json {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(of_type("true or false")),
    }
}

fn is_number(json: &str) -> bool {
    json.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// A JSON number that is whole, however it is written: `5`, `5.0`, `5e0`.
fn integer(json: &str) -> Result<i64, Fault> {
    if !is_number(json) {
        return Err(of_type("a whole number, without quotes"));
    }
    let number: Decimal = json.parse().map_err(not_kept)?;
    if number.decimal_places() > 0 {
        return Err(of_type("a whole number"));
    }
    number.to_i64().ok_or_else(|| {
        let message = format!("a whole number here is from {} to {}", i64::MIN, i64::MAX);
        Fault::new("", "number-not-kept", message)
    })
}

/// A JSON number, or a string with the same: many callers' own numbers would lose digits.
fn decimal(json: &str) -> Result<Decimal, Fault> {
    if is_number(json) {
        return json.parse().map_err(not_kept);
    }
    if !json.starts_with('"') {
        return Err(of_type("a decimal number, with or without quotes"));
    }
    string(json)?.parse().map_err(not_kept)
}

fn not_kept(error: DecimalError) -> Fault {
    let code = if error == DecimalError::Form { "type" } else { "number-not-kept" };
    Fault::new("", code, error.to_string())
}

/// A moment as a caller says it: RFC 3339 to the letter, from the year 1 to the end of the calendar in UTC, so that it is written
/// with four digits and every reader agrees which year it is.
///
/// # Errors
/// A fault of code `date-time`.
pub fn moment(text: &str) -> Result<Timestamp, Fault> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$")
            .expect("this pattern compiles")
    });
    let wrong = || {
        Fault::new(
            "",
            "date-time",
            "a date-time is said like 2024-02-29T18:30:00Z or 2024-02-29T18:30:00.5-03:00",
        )
    };
    if !FORM.is_match(text) {
        return Err(wrong());
    }
    let at: Timestamp = text.parse().map_err(|_| {
        // The last hours of the calendar have no place in it: in UTC they would be in a year of five digits.
        if text.starts_with("9999-12-3") {
            Fault::new("", "date-time", "a date-time is not after 9999-12-30T22:00:00Z")
        } else {
            wrong()
        }
    })?;
    if at < first_moment() {
        return Err(Fault::new("", "date-time", "a date-time is not before the year 1, in UTC"));
    }
    Ok(at)
}

/// The first moment of the year 1, in UTC.
fn first_moment() -> Timestamp {
    Timestamp::constant(-62_135_596_800, 0)
}

fn lookup(text: &str, table: TablePrefix) -> Result<RecordId, Fault> {
    let id: RecordId =
        text.parse().map_err(|error: crate::RecordIdError| Fault::new("", "lookup", error.to_string()))?;
    if id.table() != table {
        let message = format!("this must be the id of a record whose id begins with {table}");
        return Err(Fault::new("", "lookup", message));
    }
    Ok(id)
}

/// Any JSON, without the blanks between its parts. Its numbers must be such that readers, most of whom take them as
/// floating-point, see what was written.
fn free_json(json: &str) -> Result<String, Fault> {
    check_json(json).map_err(|faults| match faults.0.into_iter().next() {
        // A caller's text got here as JSON, so only what our own rules refuse is left.
        Some(fault) if fault.path.is_empty() => Fault::new("", "json", fault.message),
        Some(fault) => Fault::new("", fault.code, format!("at {}: {}", fault.path, fault.message)),
        None => of_type("JSON"),
    })?;
    let compact = without_blanks(json);
    if let Some(number) = numbers(&compact).find(|number| !survives(number)) {
        let shown: String = number.chars().take(40).collect();
        let message =
            format!("readers of JSON would not see the same number as {shown}: write it as a string");
        return Err(Fault::new("", "number-not-kept", message));
    }
    json_of(&compact).ok_or_else(|| of_type("JSON with whole characters"))?;
    Ok(compact)
}

/// The pieces of a JSON text, `(is inside a string, byte)`; the quotes count as inside.
fn bytes_of(json: &str) -> impl Iterator<Item = (bool, u8)> + '_ {
    let (mut inside, mut escaped) = (false, false);
    json.bytes().map(move |byte| {
        let was_inside = inside;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
        (was_inside || inside, byte)
    })
}

/// A JSON text without the blanks between its parts.
pub(super) fn without_blanks(json: &str) -> String {
    let kept = bytes_of(json).filter(|(inside, byte)| *inside || !byte.is_ascii_whitespace());
    String::from_utf8(kept.map(|(_, byte)| byte).collect()).expect("only ASCII blanks were left out")
}

/// The number literals of a compact JSON text.
fn numbers(json: &str) -> impl Iterator<Item = String> + '_ {
    let mut bytes = bytes_of(json).peekable();
    std::iter::from_fn(move || {
        let is_part = |(inside, byte): &(bool, u8)| {
            !inside && (byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'))
        };
        // `true`, `false` and `null` have no digit and no sign; their 'e' is passed over.
        let first = bytes.find(|(inside, byte)| !inside && (byte.is_ascii_digit() || *byte == b'-'))?;
        let mut number = String::from(char::from(first.1));
        while let Some((_, byte)) = bytes.next_if(is_part) {
            number.push(char::from(byte));
        }
        Some(number)
    })
}

/// Whether what shows JSON to callers writes the same number as it read.
fn survives(number: &str) -> bool {
    let shown = serde_json::from_str::<serde_json::Number>(number).map(|number| number.to_string());
    let exact = |text: &str| text.parse::<Decimal>().ok();
    exact(number).is_some() && shown.is_ok_and(|shown| exact(&shown) == exact(number))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn numbers_of_free_json_are_found_outside_of_strings_only() {
        let check =
            |json: &str, expect: &[&str]| assert_eq!(numbers(json).collect::<Vec<_>>(), expect, "{json}");
        check("1", &["1"]);
        check(r#"{"a1":[-1.5e+3,true,null,"2 \" 3",0],"b":false}"#, &["-1.5e+3", "0"]);
        check(r#""12""#, &[]);
        check(r#"["\\",7]"#, &["7"]);
    }

    #[test]
    fn free_json_keeps_what_is_inside_of_strings() {
        let check = |json: &str, expect: &str| assert_eq!(free_json(json).as_deref(), Ok(expect));
        check(" [ 1 , \" a \\\" b \" ,\t{ } ]\n", r#"[1," a \" b ",{}]"#);
        check("\"\"", "\"\"");
        check("[0.1,1.50,18446744073709551615,1e20]", "[0.1,1.50,18446744073709551615,1e20]");
        for lost in ["12345678901234567890123", "[0.12345678901234567890]", "{\"a\":1e400}"] {
            assert_eq!(free_json(lost).unwrap_err().code, "number-not-kept", "{lost}");
        }
        assert_eq!(free_json(r#"{"a":1,"a":2}"#).unwrap_err().code, "duplicate-key");
        assert_eq!(free_json(&format!("{}{}", "[".repeat(33), "]".repeat(33))).unwrap_err().code, "json");
    }
}

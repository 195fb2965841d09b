use std::collections::HashSet;
use std::fmt;

use domain::{Fault, Faults};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The fields of one JSON object, taken out one by one, so that **every** fault is named: a derive of serde stops at
/// the first. Values are kept as the caller wrote them until they are taken.
pub struct Fields<'b> {
    left: Vec<(String, &'b RawValue)>,
    /// What is wrong so far; whoever checks further adds to it.
    pub faults: Faults,
}

/// What an object has at a key. `Wrong` means: something of the wrong kind, and its fault is noted.
#[derive(Debug, Clone, PartialEq)]
pub enum Given<T> {
    /// The key is not there.
    Absent,
    /// `null`.
    Null,
    /// Of the wrong type or against a rule.
    Wrong,
    /// A value.
    Is(T),
}

impl<T> Given<T> {
    /// The value, if there is a good one.
    pub fn value(self) -> Option<T> {
        match self {
            Given::Is(value) => Some(value),
            Given::Absent | Given::Null | Given::Wrong => None,
        }
    }

    /// What a change makes of `now`: absent keeps it, `null` clears it, a value replaces it.
    pub fn over(self, now: Option<T>) -> Option<T> {
        match self {
            Given::Absent | Given::Wrong => now,
            Given::Null => None,
            Given::Is(value) => Some(value),
        }
    }

    /// Whether the caller said anything but `null` here.
    pub fn is_said(&self) -> bool {
        matches!(self, Given::Is(_) | Given::Wrong)
    }
}

impl<'b> Fields<'b> {
    /// Reads `text`, which must be a JSON object. A key that stands twice is a fault.
    pub fn read(text: &'b str) -> Result<Fields<'b>, Fault> {
        if !text.trim_start().starts_with('{') {
            return Err(Fault::new("", "type", "this must be a JSON object"));
        }
        let Entries(entries) = serde_json::from_str(text)
            .map_err(|e| Fault::new("", "not-json", format!("this is not JSON: {e}")))?;
        let mut faults = Faults::none();
        let mut left: Vec<(String, &RawValue)> = Vec::with_capacity(entries.len());
        let mut seen = HashSet::with_capacity(entries.len());
        for (key, value) in entries {
            if seen.insert(key.clone()) {
                left.push((key, value));
            } else {
                faults.add(key, "duplicate-key", "this key stands twice in its object");
            }
        }
        Ok(Fields { left, faults })
    }

    /// The value of `key` as it was written; the key counts as known from here on.
    pub fn raw(&mut self, key: &str) -> Option<&'b RawValue> {
        let at = self.left.iter().position(|(known, _)| known == key)?;
        Some(self.left.swap_remove(at).1)
    }

    /// Any JSON value. A number that a `Value` would keep as another one is a fault.
    pub fn json(&mut self, key: &str) -> Given<Value> {
        let raw = self.raw(key);
        // Not quoted: it may be half of a password.
        if raw.and_then(|raw| bent_number(raw.get())).is_some() {
            let message = "a number in it has too many digits to be kept here; send it as a string";
            return self.wrong(key, "number-not-kept", message);
        }
        match raw.map(|raw| serde_json::from_str(raw.get())) {
            None => Given::Absent,
            Some(Ok(Value::Null)) => Given::Null,
            Some(Ok(value)) => Given::Is(value),
            Some(Err(error)) => self.wrong(key, "type", format!("this value cannot be read: {error}")),
        }
    }

    /// A string.
    pub fn text(&mut self, key: &str) -> Given<String> {
        self.typed(key, "a string", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str) -> Given<bool> {
        self.typed(key, "true or false", |value| value.as_bool())
    }

    /// A whole number from 0 to 4,294,967,295.
    pub fn number(&mut self, key: &str) -> Given<u32> {
        self.typed(key, "a whole number, 0 or more", |value| {
            value.as_u64().and_then(|n| u32::try_from(n).ok())
        })
    }

    /// A list of strings.
    pub fn texts(&mut self, key: &str) -> Given<Vec<String>> {
        self.typed(key, "a list of strings", |value| match value {
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Some(text),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    /// A string that `parse` understands; its fault is noted at `key`.
    pub fn parsed<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, Fault>) -> Given<T> {
        match self.text(key) {
            Given::Absent => Given::Absent,
            Given::Null => Given::Null,
            Given::Wrong => Given::Wrong,
            Given::Is(text) => match parse(&text) {
                Ok(value) => Given::Is(value),
                Err(fault) => self.wrong(key, fault.code, fault.message),
            },
        }
    }

    /// The value of something that must be there; notes `required` where it is not.
    pub fn required<T>(&mut self, key: &str, given: Given<T>) -> Option<T> {
        if matches!(given, Given::Absent | Given::Null) {
            self.faults.add(key, "required", format!("'{key}' must be given"));
        }
        given.value()
    }

    /// Notes a fault for every key that nobody asked for; `known` are listed to the caller.
    pub fn refuse_unknown(&mut self, known: &[&str]) {
        for (key, _) in std::mem::take(&mut self.left) {
            if self.faults.are_many() {
                break;
            }
            let shown: String = key.chars().take(80).collect();
            let message = format!("there is no field of this name; there are: {}", known.join(", "));
            self.faults.add(shown, "unknown-field", message);
        }
    }

    /// Notes a fault at `key`.
    pub fn wrong<T>(&mut self, key: &str, code: &'static str, message: impl Into<String>) -> Given<T> {
        self.faults.add(key, code, message);
        Given::Wrong
    }

    fn typed<T>(&mut self, key: &str, wanted: &str, read: impl FnOnce(Value) -> Option<T>) -> Given<T> {
        match self.json(key) {
            Given::Absent => Given::Absent,
            Given::Null => Given::Null,
            Given::Wrong => Given::Wrong,
            Given::Is(value) => match read(value) {
                Some(value) => Given::Is(value),
                None => self.wrong(key, "type", format!("'{key}' must be {wanted}")),
            },
        }
    }
}

/// The first number in JSON text that is no integer of 64 bits and has more digits than a float is sure to keep.
fn bent_number(json: &str) -> Option<&str> {
    const SURE_DIGITS: usize = 15;
    let (bytes, mut at) = (json.as_bytes(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let in_number = |b: &u8| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let end = at + bytes[at..].iter().take_while(|b| in_number(b)).count();
                let number = &json[at..end];
                let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
                let digits =
                    mantissa.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
                let whole = number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
                if !whole && digits > SURE_DIGITS {
                    return Some(number);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    None
}

/// An object as it was written: keys in order, values untouched, duplicates kept.
struct Entries<'b>(Vec<(String, &'b RawValue)>);

impl<'de: 'b, 'b> Deserialize<'de> for Entries<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// `expect`: paths with codes, in order.
    fn check(text: &str, expect: &[(&str, &str)]) {
        let faults = match Fields::read(text) {
            Err(fault) => fault.into(),
            Ok(mut fields) => {
                let (name, size, on) = (fields.text("name"), fields.number("size"), fields.flag("on"));
                fields.required("name", name);
                let _ = (size, on, fields.texts("list"), fields.json("any"));
                let _ = fields.parsed("handler", domain::HandlerName::parse);
                fields.refuse_unknown(&["name", "size", "on", "list", "any", "handler"]);
                fields.faults
            }
        };
        let found: Vec<_> = faults.0.iter().map(|f| (f.path.as_str(), f.code)).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn every_fault_of_an_object_is_named() {
        check(r#"{"name":"a","size":1,"on":true,"list":["x"],"any":{"b":1},"handler":"a/b"}"#, &[]);
        check(r#"{"name":"a","size":null}"#, &[]);
        check("{}", &[("name", "required")]);
        check(r#"{"name":null}"#, &[("name", "required")]);
        check(
            r#"{"name":7,"size":-1,"on":"yes","list":[1],"handler":"a b","other":1}"#,
            &[
                ("name", "type"),
                ("size", "type"),
                ("on", "type"),
                ("list", "type"),
                ("handler", "handler-name"),
                ("other", "unknown-field"),
            ],
        );
        check(r#"{"name":"a","name":"b"}"#, &[("name", "duplicate-key")]);
        check(r#"{"name":"a","size":1.5}"#, &[("size", "type")]);
        check("[]", &[("", "type")]);
        check("{", &[("", "not-json")]);
    }

    #[test]
    fn an_object_of_very_many_fields_is_read_in_one_go_and_its_faults_fit_into_an_answer() {
        let fields: Vec<String> = (0..300_000).map(|n| format!("\"f{n}\":1")).collect();
        let text = format!("{{{}}}", fields.join(","));
        let mut fields = Fields::read(&text).unwrap();
        fields.refuse_unknown(&["name"]);
        assert_eq!(fields.faults.0.len(), 32);
    }

    #[test]
    fn a_value_is_kept_as_it_was_written() {
        let mut fields = Fields::read(r#"{"payload":{"n": 1.0e1 ,"é":"\u00e9"}}"#).unwrap();
        assert_eq!(fields.raw("payload").unwrap().get(), r#"{"n": 1.0e1 ,"é":"\u00e9"}"#);
    }

    #[test]
    fn a_number_that_would_change_is_found() {
        let check = |json: &str, expect: Option<&str>| assert_eq!(bent_number(json), expect, "{json}");
        check(
            r#"{"a":[1,-2.5e10,18446744073709551615,"12345678901234567890.5\"99999999999999999999"],"b":0.000000001}"#,
            None,
        );
        check("[18446744073709551616]", Some("18446744073709551616"));
        check("-9223372036854775809", Some("-9223372036854775809"));
        check(r#"{"\\":1234567890.1234567}"#, Some("1234567890.1234567"));
    }

    #[test]
    fn a_change_keeps_clears_or_replaces() {
        assert_eq!(Given::Absent.over(Some(1)), Some(1));
        assert_eq!(Given::Null.over(Some(1)), None);
        assert_eq!(Given::Is(2).over(Some(1)), Some(2));
    }
}

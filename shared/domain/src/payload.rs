use std::collections::HashSet;

use jiter::{Jiter, JiterError, Peek};

use crate::fault::MAX_FAULTS;
use crate::{Fault, Faults, HandlerName, forbidden_character};

/// JSON may be nested this deep, and no deeper.
pub const MAX_DEPTH: usize = 32;

/// A body that is received may be nested this deep: a link may put a record's JSON, which is [`MAX_DEPTH`] deep, into a template
/// that is as deep itself. Handlers read no deeper.
pub const MAX_BODY_DEPTH: usize = 2 * MAX_DEPTH;

/// The largest body any queue takes: SQS's 1 MiB less 2 KiB for the attributes that travel beside it, bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024 - 2048;

/// Digits a number may have and still be kept exactly (DynamoDB's and our decimals').
const MAX_DIGITS: usize = 38;

/// The largest power of ten, either way, of a number that is kept.
const MAX_EXPONENT: u64 = 125;

/// A message's body: JSON that arrives byte for byte as it was sent, and that every engine and handler can keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    text: String,
    handler: Option<HandlerName>,
}

impl Payload {
    /// Checks `bytes`: at most `max_bytes` long, UTF-8, JSON without duplicate keys, at most [`MAX_DEPTH`] deep,
    /// numbers that can be kept exactly, only characters SQS carries, and a `handler` (if there is one) that is a handler's name.
    ///
    /// Names every fault it finds, at most 32; paths are slash-separated keys and indexes. A fault of code
    /// `too-large` stands alone and means 413, `not-json` means 400, all else 422.
    pub fn parse(bytes: &[u8], max_bytes: usize) -> Result<Payload, Faults> {
        if bytes.len() > max_bytes {
            let message = format!("the body has {} bytes; this queue takes at most {max_bytes}", bytes.len());
            return Err(Fault::new("", "too-large", message).into());
        }
        let text = std::str::from_utf8(bytes).map_err(|e| {
            Fault::new("", "not-json", format!("the body is not UTF-8: byte {}", e.valid_up_to() + 1))
        })?;
        check_json(text)?;
        let mut faults = Faults::none();
        if let Some((at, c)) = forbidden_character(text) {
            let message =
                format!("character {at} (U+{:04X}) is one that no queue carries; escape it", u32::from(c));
            faults.add("", "forbidden-character", message);
        }
        let handler = faults.take(handler_of(text)).flatten();
        faults.into_result()?;
        Ok(Payload { text: text.to_owned(), handler })
    }

    /// The body as it was sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Never true: JSON has at least one character. (`len` wants its neighbour.)
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The handler the body asks for, by its top-level field `handler`.
    pub fn handler(&self) -> Option<&HandlerName> {
        self.handler.as_ref()
    }
}

/// The top-level field `handler` of a JSON text, whatever it holds; `None` where it is absent or null, or the text is no
/// JSON object.
pub fn handler_field(text: &str) -> Option<serde_json::Value> {
    #[derive(serde::Deserialize)]
    struct Head {
        handler: Option<serde_json::Value>,
    }
    // serde would read an array into the struct, too, by position.
    if !text.trim_start().starts_with('{') {
        return None;
    }
    serde_json::from_str::<Head>(text).ok()?.handler.filter(|handler| !handler.is_null())
}

/// The handler that a body asks for, or what is wrong with how it asks.
fn handler_of(text: &str) -> Result<Option<HandlerName>, Fault> {
    match handler_field(text) {
        None => Ok(None),
        Some(serde_json::Value::String(name)) => HandlerName::parse(&name).map(Some),
        Some(_) => Err(Fault::new("handler", "type", "the handler's name must be a string")),
    }
}

/// Checks JSON text as strictly as we store it: see [`Payload::parse`]. Also for bodies of API requests.
pub fn check_json(text: &str) -> Result<(), Faults> {
    check_to_depth(text, MAX_DEPTH)
}

/// As [`check_json`], for the body of a message that was received: it may be [`MAX_BODY_DEPTH`] deep.
pub fn check_body(text: &str) -> Result<(), Faults> {
    check_to_depth(text, MAX_BODY_DEPTH)
}

fn check_to_depth(text: &str, max_depth: usize) -> Result<(), Faults> {
    let json = Jiter::new(text.as_bytes());
    let mut walk = Walk { json, max_depth, path: Vec::new(), faults: Faults::none() };
    let walked = walk.document();
    match walked {
        Ok(()) => walk.faults.into_result(),
        Err(Stop::TooDeep) => {
            walk.faults.add("", "too-deep", format!("the JSON is nested more than {max_depth} deep"));
            Err(walk.faults)
        }
        Err(Stop::Enough) => Err(walk.faults),
        Err(Stop::NotJson(error)) => {
            let at = walk.json.error_position(error.index);
            let message = format!(
                "the body is not JSON: {} at line {} column {}",
                error.error_type, at.line, at.column
            );
            // Not JSON at all: what was found up to there says little, and the status is 400.
            Err(Fault::new("", "not-json", message).into())
        }
    }
}

enum Stop {
    NotJson(JiterError),
    TooDeep,
    Enough,
}

impl From<JiterError> for Stop {
    fn from(error: JiterError) -> Stop {
        Stop::NotJson(error)
    }
}

struct Walk<'j> {
    json: Jiter<'j>,
    max_depth: usize,
    path: Vec<String>,
    faults: Faults,
}

impl Walk<'_> {
    fn document(&mut self) -> Result<(), Stop> {
        let peek = self.json.peek()?;
        self.value(peek)?;
        self.json.finish()?;
        Ok(())
    }

    fn value(&mut self, peek: Peek) -> Result<(), Stop> {
        if self.path.len() >= self.max_depth && matches!(peek, Peek::Array | Peek::Object) {
            return Err(Stop::TooDeep);
        }
        match peek {
            Peek::Null => self.json.known_null()?,
            Peek::True | Peek::False => drop(self.json.known_bool(peek)?),
            Peek::String => drop(self.json.known_str()?),
            Peek::Array => self.array()?,
            Peek::Object => self.object()?,
            _ => {
                let number = self.json.known_number_bytes(peek)?;
                if let Err(message) = number_is_kept(number) {
                    self.fault("number-not-kept", message)?;
                }
            }
        }
        Ok(())
    }

    fn array(&mut self) -> Result<(), Stop> {
        let mut next = self.json.known_array()?;
        let mut index = 0;
        while let Some(peek) = next {
            self.path.push(index.to_string());
            self.value(peek)?;
            self.path.pop();
            index += 1;
            next = self.json.array_step()?;
        }
        Ok(())
    }

    fn object(&mut self) -> Result<(), Stop> {
        let mut seen = HashSet::new();
        let mut next = self.json.known_object()?.map(str::to_owned);
        while let Some(key) = next {
            self.path.push(key.clone());
            if !seen.insert(key) {
                self.fault("duplicate-key", "this key stands twice in its object".to_owned())?;
            }
            let peek = self.json.peek()?;
            self.value(peek)?;
            self.path.pop();
            next = self.json.next_key()?.map(str::to_owned);
        }
        Ok(())
    }

    fn fault(&mut self, code: &'static str, message: String) -> Result<(), Stop> {
        self.faults.add(self.path.join("/"), code, message);
        if self.faults.0.len() >= MAX_FAULTS { Err(Stop::Enough) } else { Ok(()) }
    }
}

/// Whether a JSON number can be kept exactly: at most 38 significant digits, magnitude within 10^-125 to 10^125.
fn number_is_kept(number: &[u8]) -> Result<(), String> {
    let (mantissa, exponent) = match number.iter().position(|b| matches!(b, b'e' | b'E')) {
        None => (number, 0),
        Some(at) => {
            let digits = std::str::from_utf8(&number[at + 1..]).unwrap_or_default();
            let exponent: i64 = digits.parse().map_err(|_| "this number is beyond all bounds".to_owned())?;
            (&number[..at], exponent)
        }
    };
    let fraction = mantissa.iter().position(|&b| b == b'.').map_or(0, |dot| mantissa.len() - dot - 1);
    let digits: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).collect();
    let Some(first) = digits.iter().position(|&d| d != b'0') else { return Ok(()) };
    let last = digits.iter().rposition(|&d| d != b'0').unwrap_or(first);
    let significant = last - first + 1;
    if significant > MAX_DIGITS {
        return Err(format!(
            "this number has {significant} digits; {MAX_DIGITS} can be kept. Send it as a string"
        ));
    }
    // Where the first significant digit stands, as a power of ten.
    let magnitude = exponent.saturating_add(digits.len() as i64 - fraction as i64 - first as i64 - 1);
    if magnitude.unsigned_abs() > MAX_EXPONENT {
        return Err(format!(
            "this number is beyond 10^{MAX_EXPONENT} or below 10^-{MAX_EXPONENT}. Send it as a string"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    /// `expect`: the codes with their paths, in order; empty = accepted.
    fn check(body: &str, expect: &[(&str, &str)]) {
        let faults = Payload::parse(body.as_bytes(), 1000).err().unwrap_or_default();
        let found: Vec<_> = faults.0.iter().map(|f| (f.code, f.path.as_str())).collect();
        assert_eq!(found, expect, "{body:?}: {faults}");
    }

    #[test]
    fn every_fault_of_a_body_is_named() {
        check(r#"{"handler":"signup","n":1}"#, &[]);
        check("[]", &[]);
        check("7", &[]);
        check("", &[("not-json", "")]);
        check("{", &[("not-json", "")]);
        check("{} {}", &[("not-json", "")]);
        check("{'a':1}", &[("not-json", "")]);
        check("NaN", &[("not-json", "")]);
        check("01", &[("not-json", "")]);
        check("\"a\u{1}\"", &[("not-json", "")]);
        check(r#""\ud800""#, &[("not-json", "")]);
        check(r#"{"a":1,"b":{"c":2,"c":3},"a":4}"#, &[("duplicate-key", "b/c"), ("duplicate-key", "a")]);
        check(r#"{"a":1,"\u0061":2}"#, &[("duplicate-key", "a")]);
        check(r#"[1,{"x":1e999}]"#, &[("number-not-kept", "1/x")]);
        check("123456789012345678901234567890123456789", &[("number-not-kept", "")]);
        check("12345678901234567890123456789012345678", &[]);
        check("1000000000000000000000000000000000000000000", &[]);
        check("0.00000000000000000000000000000000000000001", &[]);
        check("-0e99999", &[]);
        check("1e125", &[]);
        check("1e126", &[("number-not-kept", "")]);
        check("1e-126", &[("number-not-kept", "")]);
        check("1e99999999999999999999", &[("number-not-kept", "")]);
        check("1e-9223372036854775808", &[("number-not-kept", "")]);
        check("\"\u{FFFF}\"", &[("forbidden-character", "")]);
        check(r#"{"handler":7}"#, &[("type", "handler")]);
        check(r#"{"handler":null}"#, &[]);
        check(r#"{"handler":"../etc"}"#, &[("handler-name", "handler")]);
        check(&format!("{}{}", "[".repeat(32), "]".repeat(32)), &[]);
        check(&format!("{}7{}", "[".repeat(32), "]".repeat(32)), &[]);
        check(&format!("{}{}", "[".repeat(33), "]".repeat(33)), &[("too-deep", "")]);
        check(&format!("{}7{}", "{\"a\":".repeat(33), "}".repeat(33)), &[("too-deep", "")]);
        check(&format!("{}{}", "[".repeat(34), "]".repeat(34)), &[("too-deep", "")]);
        check(&"[".repeat(900), &[("too-deep", "")]);
        check(&"1".repeat(1001), &[("too-large", "")]);
    }

    #[test]
    fn a_body_that_is_not_text_is_refused() {
        assert_eq!(Payload::parse(b"\"\xff\"", 1000).unwrap_err().0[0].code, "not-json");
    }

    #[test]
    fn what_is_said_of_a_body_is_short_however_long_its_keys() {
        let key = "k".repeat(100_000);
        let twice = r#"{"a":1,"a":1}"#;
        let body = format!("{{\"{key}\":[{}{twice}]}}", format!("{twice},").repeat(40));
        let faults = Payload::parse(body.as_bytes(), body.len()).unwrap_err();
        assert_eq!(faults.0.len(), MAX_FAULTS);
        assert!(faults.to_string().len() < 20_000, "{} bytes", faults.to_string().len());
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Payload::parse(&bytes, 1000);
        }

        #[test]
        fn what_is_accepted_is_kept_byte_for_byte(text in "[\\[\\]{}\":,0-9eE.+\\-a-z \\\\]{0,40}") {
            if let Ok(payload) = Payload::parse(text.as_bytes(), 1000) {
                prop_assert_eq!(payload.as_str(), text.as_str());
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}

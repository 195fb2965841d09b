//! What a field asks of its values beyond their form.

use std::sync::LazyLock;

use regex::Regex;
use url::Url;

use crate::expression::compile_pattern;
use crate::{Decimal, Faults, Field, FieldKind, FormulaResult, NumberRules, TextRules, Value};

/// An e-mail address has at most this many bytes (RFC 5321, 4.5.3.1.3, less the brackets).
const MAX_EMAIL_BYTES: usize = 254;

/// A URL has at most this many bytes.
const MAX_URL_BYTES: usize = 2048;

/// Sizes that a compiled pattern may have, bytes; each is tried before the next. The last is what a name needs:
/// `^[\p{L} '-]{1,60}$`.
const COMPILED_SIZES: [usize; 3] = [64 << 10, 512 << 10, 4 << 20];

/// The compiled patterns of one table, of its fields, formulas and rules, take at most this much memory, bytes.
pub(super) const MAX_PATTERNS_BYTES: usize = 32 << 20;

/// A text that must match a pattern has at most this many characters. Matching takes time with the product of both sizes:
/// the worst pattern of 256 bytes takes half a second for so long a text, and three minutes for one of 390 KB (measured).
pub(super) const MAX_MATCHED_CHARACTERS: u32 = 1024;

/// Digits behind the point that currency is written with, unless the field says otherwise.
pub(super) const CURRENCY_SCALE: u8 = 2;

/// Compiles a field's pattern, or says why not. `room` is what the patterns of its table may still take, bytes.
pub(super) fn pattern(text: &str, room: &mut usize) -> Result<Regex, String> {
    compile_pattern(text, &COMPILED_SIZES, room).map(|(pattern, _)| pattern)
}

/// Adds every fault of `value` to `faults`, at `path`. `pattern` is the field's own, compiled.
pub(super) fn check(field: &Field, pattern: Option<&Regex>, value: &Value, path: &str, faults: &mut Faults) {
    match (&field.kind, value) {
        (FieldKind::Text(rules), Value::Text(text)) => {
            control_characters(text, &['\t'], path, faults);
            check_text(rules, pattern, text, path, faults);
        }
        (FieldKind::TextArea(rules), Value::Text(text)) => {
            control_characters(text, &['\t', '\n', '\r'], path, faults);
            check_text(rules, pattern, text, path, faults);
        }
        (FieldKind::Email(rules), Value::Text(text)) => {
            if !is_email(text) {
                faults.add(path, "email", "this is not an e-mail address such as ana@example.com");
            }
            check_text(rules, pattern, text, path, faults);
        }
        (FieldKind::Url(rules), Value::Text(text)) => {
            if !is_url(text) {
                faults.add(path, "url", "this is not an http or https URL such as https://example.com/a");
            }
            check_text(rules, pattern, text, path, faults);
        }
        (FieldKind::EncryptedText(rules), Value::Encrypted(secret)) => {
            check_text(rules, pattern, secret.expose(), path, faults);
        }
        (FieldKind::Picklist { values }, Value::Text(text)) => {
            if !values.contains(text) {
                faults.add(path, "picklist", format!("this must be one of: {}", values.join(", ")));
            }
        }
        (FieldKind::Integer { min, max }, Value::Integer(number)) => {
            check_range(number, min.as_ref(), max.as_ref(), path, faults);
        }
        (FieldKind::Decimal(rules), Value::Decimal(number)) => {
            check_range(number, rules.min.as_ref(), rules.max.as_ref(), path, faults);
            check_scale(rules.scale, number, path, faults);
        }
        (FieldKind::Currency(rules), Value::Decimal(number)) => {
            check_range(number, rules.min.as_ref(), rules.max.as_ref(), path, faults);
            check_scale(Some(currency_scale(rules)), number, path, faults);
        }
        (FieldKind::Lookup { table }, Value::Lookup(id)) => {
            if id.table() != *table {
                faults.add(
                    path,
                    "lookup",
                    format!("this must be the id of a record whose id begins with {table}"),
                );
            }
        }
        (FieldKind::Boolean, Value::Boolean(_))
        | (FieldKind::DateTime, Value::DateTime(_))
        | (FieldKind::Json, Value::Json(_))
        | (FieldKind::Formula { result: FormulaResult::Text, .. }, Value::Text(_))
        | (FieldKind::Formula { result: FormulaResult::Integer, .. }, Value::Integer(_))
        | (FieldKind::Formula { result: FormulaResult::Decimal, .. }, Value::Decimal(_))
        | (FieldKind::Formula { result: FormulaResult::Boolean, .. }, Value::Boolean(_)) => {}
        // Stored when the field was of another kind.
        _ => faults.add(path, "type", "the stored value is no longer of this field's type: give it anew"),
    }
}

/// How many digits behind the point a currency field is written with, and may have.
pub(super) fn currency_scale(rules: &NumberRules) -> u8 {
    rules.scale.unwrap_or(CURRENCY_SCALE)
}

fn check_text(rules: &TextRules, pattern: Option<&Regex>, text: &str, path: &str, faults: &mut Faults) {
    let length = text.chars().count();
    let has = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    if let Some(min) = rules.min_length.filter(|min| length < has(*min)) {
        faults.add(path, "min-length", format!("this must have at least {min} characters; it has {length}"));
    }
    let implied = pattern.map(|_| MAX_MATCHED_CHARACTERS);
    if let Some(max) = rules.max_length.or(implied).filter(|max| length > has(*max)) {
        faults.add(path, "max-length", format!("this must have at most {max} characters; it has {length}"));
        // Matching takes time with the length, and the length is wrong already.
        return;
    }
    if let Some(pattern) = pattern.filter(|pattern| !pattern.is_match(text)) {
        faults.add(path, "pattern", format!("this must match the pattern {pattern}"));
    }
}

/// Characters that steer terminals and end lines have no place in a line of text.
fn control_characters(text: &str, allowed: &[char], path: &str, faults: &mut Faults) {
    let found = text.chars().enumerate().find(|(_, c)| c.is_control() && !allowed.contains(c));
    if let Some((at, c)) = found {
        let message = format!("character {} (U+{:04X}) is a control character", at + 1, u32::from(c));
        faults.add(path, "control-character", message);
    }
}

fn check_range<T: PartialOrd + std::fmt::Display>(
    number: &T,
    min: Option<&T>,
    max: Option<&T>,
    path: &str,
    faults: &mut Faults,
) {
    if let Some(min) = min.filter(|min| number < *min) {
        faults.add(path, "min", format!("this must be at least {min}"));
    }
    if let Some(max) = max.filter(|max| number > *max) {
        faults.add(path, "max", format!("this must be at most {max}"));
    }
}

fn check_scale(scale: Option<u8>, number: &Decimal, path: &str, faults: &mut Faults) {
    if let Some(scale) = scale.filter(|scale| number.decimal_places() > u64::from(*scale)) {
        faults.add(path, "scale", format!("this may have at most {scale} digits behind the point"));
    }
}

/// The rule that browsers follow (HTML living standard, "valid e-mail address").
fn is_email(text: &str) -> bool {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        let label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
        Regex::new(&format!(r"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{label}(?:\.{label})*$"))
            .expect("this pattern compiles")
    });
    text.len() <= MAX_EMAIL_BYTES && FORM.is_match(text)
}

/// An absolute http or https URL without what parsers quietly mend: blanks, control characters, backslashes.
fn is_url(text: &str) -> bool {
    let scheme_end = text.find("://").unwrap_or(0);
    let is_web = ["http", "https"].iter().any(|scheme| text[..scheme_end].eq_ignore_ascii_case(scheme));
    is_web
        && text.len() <= MAX_URL_BYTES
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\')
        && !text[scheme_end + 3..].starts_with('/')
        && Url::parse(text).is_ok_and(|url| url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        for fits in ["a@b", "ana.silva+x@example.com", "o'neil@ex-ample.co.uk", "1@2.3"] {
            assert!(is_email(fits), "{fits}");
        }
        let long = format!("{}@example.com", "a".repeat(250));
        for wrong in
            ["", "@", "a@", "@b", "a b@c", "a@b..c", "a@-b", "a@b-", "a@b\n", "á@b", "a@b@c", "<a@b>", &long]
        {
            assert!(!is_email(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn urls_are_told_from_what_is_none() {
        for fits in [
            "http://a",
            "HTTPS://Example.com/a?b=c#d",
            "https://[::1]:8080/",
            "http://münchen.de/ü",
            "http://u:p@h",
        ] {
            assert!(is_url(fits), "{fits}");
        }
        let long = format!("http://a/{}", "a".repeat(2048));
        for wrong in [
            "",
            "a",
            "ftp://a",
            "javascript:alert(1)",
            "http:a",
            "http://",
            "http:///a",
            " http://a",
            "http://a b",
            "http://a\n",
            "http:\\\\a",
            "http://a\\b",
            "http://[::1",
            "http://a:99999",
            "//a",
            "http//://x",
            &long,
        ] {
            assert!(!is_url(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_pattern_is_bounded_and_says_what_is_wrong_with_it() {
        let check = |text: &str, expect: &str| {
            let said = pattern(text, &mut MAX_PATTERNS_BYTES.clone()).err().unwrap_or_default();
            assert!(said.contains(expect) && said.is_empty() == expect.is_empty(), "{text}: {said}");
        };
        check("(", "unclosed group");
        check(&"a".repeat(257), "at most 256 bytes");
        check("((((a{100}){100}){100}){100})", "too large");
        check(r"(\pL{1000}){1000}", "too large");
        check(r"(a)\1", "backreferences are not supported");
        check(&"(".repeat(120), "not a pattern");
        check("^[A-Z]{2}[0-9]{4}$", "");
        check(r"^[\p{L} '-]{1,60}$", "");
    }
}

/// The first character of `text` that SQS does not carry, with its position in characters from 1.
///
/// Allowed are `#x9 #xA #xD`, `#x20` to `#xD7FF`, `#xE000` to `#xFFFD`, `#x10000` to `#x10FFFF`
/// (Amazon SQS API reference, `SendMessage`).
pub fn forbidden_character(text: &str) -> Option<(usize, char)> {
    text.chars().enumerate().find_map(|(at, c)| {
        let allowed =
            matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
        (!allowed).then_some((at + 1, c))
    })
}

/// JSON text with every character beyond ASCII, and DEL, written as `\u` escapes: what we build ourselves travels anywhere.
pub fn ascii_json(json: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("a String takes every write");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn the_first_forbidden_character_is_named_with_its_place() {
        let check = |text: &str, expect: Option<(usize, char)>| {
            assert_eq!(forbidden_character(text), expect, "{text:?}")
        };
        check("", None);
        check("a\t\n\r é 😀 \u{FFFD}", None);
        check("ab\u{0}", Some((3, '\u{0}')));
        check("é\u{1b}x", Some((2, '\u{1b}')));
        check("\u{FFFE}", Some((1, '\u{FFFE}')));
        check("\u{FFFF}", Some((1, '\u{FFFF}')));
    }

    #[test]
    fn ascii_json_says_the_same_in_ascii() {
        let json = serde_json::to_string("João 😀 \u{7f}\u{FFFF}").unwrap();
        let ascii = ascii_json(&json);
        assert!(ascii.is_ascii());
        assert_eq!(serde_json::from_str::<String>(&ascii).unwrap(), "João 😀 \u{7f}\u{FFFF}");
    }
}

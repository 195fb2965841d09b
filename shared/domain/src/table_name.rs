use std::fmt;
use std::str::FromStr;

use crate::Fault;

/// A table's or a field's name in the API: a letter, then up to 62 letters, digits or '_'.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiName(String);

/// The three characters that every id of a table's records begins with: a letter, then letters or digits (Crockford base 32).
/// Never given to a second table, so that records of a table that is gone are never another's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TablePrefix([u8; 3]);

impl ApiName {
    /// Checks `text`; the fault's path is `apiName`.
    pub fn parse(text: &str) -> Result<ApiName, Fault> {
        let mut characters = text.bytes();
        let fits = characters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && characters.all(|c| c.is_ascii_alphanumeric() || c == b'_')
            && text.len() <= 63;
        if fits {
            Ok(ApiName(text.to_owned()))
        } else {
            let message = "a name is a letter and then up to 62 letters, digits or '_'";
            Err(Fault::new("apiName", if text.is_empty() { "required" } else { "api-name" }, message))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiName {
    type Err = Fault;

    fn from_str(text: &str) -> Result<ApiName, Fault> {
        ApiName::parse(text)
    }
}

impl fmt::Display for ApiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Crockford base 32: what ids are written in.
pub(crate) const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl TablePrefix {
    /// The `number`th prefix, counted from 0; `None` beyond the last of 22,528. Prefixes begin with a letter, so they are
    /// never those of queues, messages and keys.
    pub fn nth(number: u32) -> Option<TablePrefix> {
        let digit = |n: u32| CROCKFORD[n as usize % 32];
        (number < 22 * 1024)
            .then(|| TablePrefix([digit(10 + number / 1024), digit(number / 32), digit(number)]))
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base 32 is ASCII")
    }
}

impl FromStr for TablePrefix {
    type Err = Fault;

    fn from_str(text: &str) -> Result<TablePrefix, Fault> {
        match *text.as_bytes() {
            [a, b, c] if a.is_ascii_uppercase() && [a, b, c].iter().all(|x| CROCKFORD.contains(x)) => {
                Ok(TablePrefix([a, b, c]))
            }
            _ => Err(Fault::new("", "table-prefix", "this is not the prefix of a table")),
        }
    }
}

impl fmt::Display for TablePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TablePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_prefix_is_another_and_none_is_that_of_queues_messages_or_keys() {
        let all: HashSet<TablePrefix> = (0..22 * 1024).map(|n| TablePrefix::nth(n).unwrap()).collect();
        assert_eq!(all.len(), 22 * 1024);
        assert!(all.iter().all(|p| p.as_str().parse() == Ok(*p) && !p.as_str().starts_with('0')));
        assert_eq!(TablePrefix::nth(22 * 1024), None);
        for wrong in ["", "AA", "AAAA", "0AV", "AI0", "aaa", "A-0"] {
            assert!(wrong.parse::<TablePrefix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_checked() {
        for name in ["a", "Student", "first_name", &"x".repeat(63)] {
            assert!(ApiName::parse(name).is_ok(), "{name}");
        }
        for name in ["", "1a", "_a", "a-b", "a b", "é", "a.b", &"x".repeat(64)] {
            assert!(ApiName::parse(name).is_err(), "{name}");
        }
    }
}

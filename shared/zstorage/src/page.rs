use std::fmt;
use std::str::FromStr;

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// In a stable order: oldest first.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

/// A place in a list, behind one item. It travels through callers' hands as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) String);

/// A text that is not a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor: send back what the page before said, unchanged")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;
    /// Checks the form alone: a cursor says where to go on and grants nothing.
    fn from_str(text: &str) -> Result<Cursor, CursorError> {
        let fits = text.len() == 29 && text.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
        if fits { Ok(Cursor(text.to_owned())) } else { Err(CursorError) }
    }
}

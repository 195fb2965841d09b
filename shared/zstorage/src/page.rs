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

impl Cursor {
    /// Reads a cursor of a list of things whose ids are `Id`. It need not name one that is there: a cursor says where to
    /// go on and grants nothing.
    ///
    /// # Errors
    /// [`CursorError`] for a text that no page of such a list gave out.
    pub fn of<Id: FromStr + ToString>(text: &str) -> Result<Cursor, CursorError> {
        match text.parse::<Id>() {
            Ok(id) if id.to_string() == text => Ok(Cursor(text.to_owned())),
            _ => Err(CursorError),
        }
    }
}

use std::fmt;

/// No more faults than this are listed at once.
pub(crate) const MAX_FAULTS: usize = 32;

/// Of a path this much is told, bytes: a key of the caller's own may be as long as a body.
const MAX_PATH_BYTES: usize = 240;

/// Of a message this much is told, bytes.
const MAX_MESSAGE_BYTES: usize = 480;

/// One thing wrong with what a caller sent: where, which rule, and in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A JSON pointer-like path into the input, such as `messages/3/payload`, or a header's name. Empty = the whole.
    pub path: String,
    /// A stable word a program can switch on, such as `required` or `too-long`.
    pub code: &'static str,
    /// A sentence for a person.
    pub message: String,
}

impl Fault {
    /// A fault at `path`. What is too long to be told is cut: an answer is never as large as what it answers.
    pub fn new(path: impl Into<String>, code: &'static str, message: impl Into<String>) -> Fault {
        Fault {
            path: told(path.into(), MAX_PATH_BYTES),
            code,
            message: told(message.into(), MAX_MESSAGE_BYTES),
        }
    }

    /// The same fault seen from one level further out: `prefix/path`.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Fault {
        self.path = if self.path.is_empty() { prefix.to_owned() } else { format!("{prefix}/{}", self.path) };
        self
    }
}

/// `text`, cut to `max_bytes` and marked where it was cut.
fn told(mut text: String, max_bytes: usize) -> String {
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
        text.push_str("...");
    }
    text
}

/// Every fault found, in input order. An empty list means: nothing wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// No fault yet.
    pub fn none() -> Faults {
        Faults::default()
    }

    /// Notes one more fault, unless 32 stand here already: nobody reads on.
    pub fn add(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        if !self.are_many() {
            self.0.push(Fault::new(path, code, message));
        }
    }

    /// Whether no more are noted.
    pub fn are_many(&self) -> bool {
        self.0.len() >= MAX_FAULTS
    }

    /// Keeps the value of `result`, or its fault, unless 32 stand here already; for checking several fields and naming every
    /// fault at once.
    pub fn take<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result
            .map_err(|fault| {
                if !self.are_many() {
                    self.0.push(fault)
                }
            })
            .ok()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Ok` when nothing was found.
    pub fn into_result(self) -> Result<(), Faults> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Faults {
        Faults(vec![fault])
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
impl std::error::Error for Faults {}

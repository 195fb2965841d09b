use std::fmt;

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
    /// A fault at `path`.
    pub fn new(path: impl Into<String>, code: &'static str, message: impl Into<String>) -> Fault {
        Fault { path: path.into(), code, message: message.into() }
    }

    /// The same fault seen from one level further out: `prefix/path`.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Fault {
        self.path = if self.path.is_empty() { prefix.to_owned() } else { format!("{prefix}/{}", self.path) };
        self
    }
}

/// Every fault found, in input order. An empty list means: nothing wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// No fault yet.
    pub fn none() -> Faults {
        Faults::default()
    }

    /// Notes one more fault.
    pub fn add(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.0.push(Fault::new(path, code, message));
    }

    /// Keeps the value of `result`, or its fault; for checking several fields and naming every fault at once.
    pub fn take<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.0.push(fault)).ok()
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

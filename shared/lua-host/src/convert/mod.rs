//! JSON to Lua and back, keeping every value or saying which one cannot be kept.
//!
//! | JSON | Lua |
//! |---|---|
//! | `null` | `json.null`, a constant that is true in conditions and equal to itself only |
//! | a number that a float keeps exactly | number |
//! | any other number | a [decimal](Decimal) object |
//! | string | string |
//! | array | table with the metatable of arrays, so that an empty one stays an array |
//! | object | table |
//!
//! The ways that are refused, each by its path: more than 64 levels (a cycle is one of them), the same key twice, keys that
//! are neither all strings nor 1 to n, NaN and infinities, strings that are not UTF-8, functions and other objects.

mod decimal;
mod parse;
mod room;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use decimal::Decimal;
pub(crate) use parse::to_lua;
pub(crate) use room::Room;
pub(crate) use write::{Numbers, to_json};

/// How deep values may be nested.
pub(crate) const MAX_DEPTH: usize = 64;

/// The largest integer up to which a float keeps every integer.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_992.0;

/// A value that cannot be kept.
#[derive(Debug)]
pub(crate) struct ConvertError {
    pub(crate) problem: Problem,
    /// Outermost step last, as it is found on the way back.
    steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) enum Problem {
    /// In words.
    Value(String),
    /// The text would be longer than this many bytes.
    TooLarge(usize),
    /// The machine itself failed, mostly for lack of memory.
    Lua(mlua::Error),
}

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

impl ConvertError {
    fn new(message: impl Into<String>) -> ConvertError {
        ConvertError { problem: Problem::Value(message.into()), steps: Vec::new() }
    }

    fn under_key(mut self, key: &str) -> ConvertError {
        self.steps.push(Step::Key(key.chars().take(64).collect()));
        self
    }

    fn under_index(mut self, index: usize) -> ConvertError {
        self.steps.push(Step::Index(index));
        self
    }
}

impl From<mlua::Error> for ConvertError {
    fn from(error: mlua::Error) -> ConvertError {
        ConvertError { problem: Problem::Lua(error), steps: Vec::new() }
    }
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in self.steps.iter().rev() {
            match step {
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        match &self.problem {
            Problem::Value(message) => write!(f, ": {message}"),
            Problem::TooLarge(limit) => write!(f, ": makes a text of more than {limit} bytes"),
            Problem::Lua(error) => write!(f, ": {error}"),
        }
    }
}

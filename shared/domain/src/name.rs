use std::fmt;

use crate::Fault;

/// A queue's name: 1 to 80 of `A-Z a-z 0-9 - _`, unique in the registry. It is what SQS takes, without `.fifo`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueName(String);

impl QueueName {
    /// Checks `text`; the fault's path is `name`.
    pub fn parse(text: &str) -> Result<QueueName, Fault> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() {
            return Err(Fault::new("name", "required", "a queue needs a name"));
        }
        if text.len() > 80 || !text.chars().all(fits) {
            return Err(Fault::new(
                "name",
                "queue-name",
                "a queue's name has 1 to 80 letters, digits, '-' or '_' (for FIFO say \"fifo\": true instead of .fifo)",
            ));
        }
        Ok(QueueName(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A handler's name as a message gives it: `signup`, or with its package `on-boarding/signup`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandlerName(String);

impl HandlerName {
    /// Checks `text`: one or two parts of 1 to 64 letters, digits, '-', '_' parted by '/'; the fault's path is `handler`.
    pub fn parse(text: &str) -> Result<HandlerName, Fault> {
        let part = |p: &str| {
            (1..=64).contains(&p.len())
                && p.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() <= 2 && parts.iter().all(|p| part(p)) {
            Ok(HandlerName(text.to_owned()))
        } else {
            Err(Fault::new(
                "handler",
                "handler-name",
                "a handler is named by 1 to 64 letters, digits, '-' or '_', its package before it if need be: on-boarding/signup",
            ))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HandlerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

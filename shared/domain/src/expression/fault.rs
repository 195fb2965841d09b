use crate::Fault;

/// Why a text is not an expression that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", match position { Some(at) => format!("at character {at}: {message}"), None => message.clone() })]
pub struct ExpressionFault {
    /// The character where it shows, counted from 1.
    pub position: Option<usize>,
    /// A sentence for the person who wrote it.
    pub message: String,
}

impl ExpressionFault {
    /// A fault at a byte of `text`.
    pub(super) fn at(text: &str, byte: usize, message: impl Into<String>) -> ExpressionFault {
        let byte = text.floor_char_boundary(byte);
        ExpressionFault { position: Some(text[..byte].chars().count() + 1), message: message.into() }
    }

    /// As a fault of what was sent, code `expression`.
    pub fn into_fault(self, path: impl Into<String>) -> Fault {
        Fault::new(path, "expression", self.to_string())
    }
}

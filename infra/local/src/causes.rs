//! What an error says, for a line of the log or of the terminal.

use std::error::Error;

/// An error and its causes on one line, nothing twice. Never what was sent or answered: the SDK's own long form shows it.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

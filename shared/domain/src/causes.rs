use std::error::Error;

/// An error and its causes on one line, nothing twice, for a line of the log or of the terminal. Only sentences: an AWS
/// SDK's own long form would show what was sent and answered too.
pub fn causes(error: &dyn Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Layer {
        said: &'static str,
        #[source]
        beneath: Option<Box<Layer>>,
    }

    #[test]
    fn every_cause_is_said_once_and_on_one_line() {
        let check = |layers: &[&'static str], expect: &str| {
            let error = layers
                .iter()
                .rev()
                .fold(None, |beneath, said| Some(Box::new(Layer { said, beneath })))
                .expect("there is a layer");
            assert_eq!(causes(&*error), expect);
        };
        check(&["the store is away"], "the store is away");
        check(&["the store is away", "connection refused"], "the store is away: connection refused");
        check(&["cannot start: no key", "no key"], "cannot start: no key");
        check(&["a\n  tale", "of two\r\nlines"], "a tale: of two lines");
    }
}

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

/// Everything that is wrong with the environment, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment is not complete: {}", faults.join("; "))]
pub struct ConfigError {
    faults: Vec<String>,
}

/// The variables a process was started with.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process. Variables that are not UTF-8 are left out: none of ours can be.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn from_process() -> Environment {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Environment(std::env::vars_os().filter_map(text).collect())
    }

    /// A reader that notes every fault until [`Reader::finish`].
    pub fn reader(&self) -> Reader<'_> {
        Reader { environment: self, faults: Vec::new() }
    }

    /// One variable; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Environment {
        Environment(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Reads variables and gathers what is wrong with them. Values read after a fault are placeholders that
/// [`Reader::finish`] keeps from ever being used.
pub struct Reader<'e> {
    environment: &'e Environment,
    faults: Vec<String>,
}

/// How credentials of queues are sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealing {
    /// By this AWS KMS key (id, ARN or alias).
    Kms(String),
    /// By the key in this file, on one's own machine.
    KeyFile(PathBuf),
}

impl Reader<'_> {
    /// A variable that must be there.
    pub fn required(&mut self, name: &str) -> String {
        self.environment.get(name).map(str::to_owned).unwrap_or_else(|| {
            self.faults.push(format!("{name} is missing"));
            String::new()
        })
    }

    /// A variable that may be there.
    pub fn optional(&self, name: &str) -> Option<String> {
        self.environment.get(name).map(str::to_owned)
    }

    /// A variable of type `T`, or `default` where it is absent. A value that is no `T` is a fault, never the default.
    pub fn parsed<T>(&mut self, name: &str, default: T) -> T
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.environment.get(name).map(str::parse) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.faults.push(format!("{name} is wrong ({error})"));
                default
            }
        }
    }

    /// `QUEUE_CREATION`-like switches: `yes` or `no` by these two words, `no` where absent.
    pub fn switch(&mut self, name: &str, yes: &str, no: &str) -> bool {
        match self.environment.get(name) {
            None => false,
            Some(word) if word == yes => true,
            Some(word) if word == no => false,
            Some(_) => {
                self.faults.push(format!("{name} must be '{yes}' or '{no}'"));
                false
            }
        }
    }

    /// `KMS_KEY_ID` or `KEY_FILE`: exactly one of them.
    pub fn sealing(&mut self) -> Sealing {
        match (self.optional("KMS_KEY_ID"), self.optional("KEY_FILE")) {
            (Some(key), None) => Sealing::Kms(key),
            (None, Some(file)) => Sealing::KeyFile(file.into()),
            (given, _) => {
                let verb = if given.is_some() { "both are set" } else { "neither is set" };
                self.faults.push(format!(
                    "exactly one of KMS_KEY_ID and KEY_FILE must be set, {verb}: credentials of queues could not be opened"
                ));
                Sealing::KeyFile(PathBuf::new())
            }
        }
    }

    /// Notes a fault found by a check across fields.
    pub fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// `Ok` when all was well; else one error that names every fault.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.faults.is_empty() { Ok(()) } else { Err(ConfigError { faults: self.faults }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_names_all_that_is_missing_or_wrong() {
        let environment =
            Environment::from_iter([("TIMEOUT", "ten"), ("CREATION", "maybe"), ("EMPTY", ""), ("GOOD", "3")]);
        let mut reader = environment.reader();
        assert_eq!(reader.parsed("GOOD", 1), 3);
        assert_eq!(reader.parsed("ABSENT", 1), 1);
        reader.required("EMPTY");
        reader.required("TABLE");
        reader.parsed("TIMEOUT", 10_u32);
        reader.switch("CREATION", "allowed", "refused");
        reader.sealing();
        let error = reader.finish().expect_err("five things are wrong").to_string();
        for part in [
            "EMPTY is missing",
            "TABLE is missing",
            "TIMEOUT is wrong",
            "CREATION must be 'allowed' or 'refused'",
            "neither is set",
        ] {
            assert!(error.contains(part), "{part} in: {error}");
        }
    }
}

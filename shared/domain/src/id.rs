use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rand::Rng;
use ulid::Ulid;

/// A text that is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is not a {kind} id: it must be {prefix} and 26 characters of Crockford base 32")]
pub struct IdError {
    given: String,
    kind: &'static str,
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            /// The three characters every such id begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: 48 bits of `now`, 80 bits of `random`.
            pub fn new(now: Timestamp, random: &mut impl Rng) -> $name {
                let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
                $name(Ulid::from_parts(millis, random.random()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<$name, IdError> {
                text.strip_prefix($prefix)
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map($name)
                    // One id has one spelling: Crockford's look-alikes and lower case are refused.
                    .filter(|id| id.to_string() == text)
                    .ok_or_else(|| IdError { given: text.chars().take(40).collect(), kind: $kind, prefix: $prefix })
            }
        }
    };
}

id!(
    /// A registered queue.
    QueueId, "0AV", "queue"
);
id!(
    /// A message, from the moment it is accepted to its last redrive.
    MessageId, "0BF", "message"
);
id!(
    /// An API key (its public half).
    KeyId, "0AK", "key"
);
id!(
    /// A job: work on many records that goes on in slices.
    JobId, "0AJ", "job"
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = MessageId::new(Timestamp::UNIX_EPOCH, &mut rand::rng());
        assert_eq!(id.to_string().parse::<MessageId>().unwrap(), id);
        let check = |text: &str| assert!(text.parse::<MessageId>().is_err(), "{text}");
        check("");
        check("0BF");
        check(&id.to_string().to_lowercase());
        check(&id.to_string().replace("0BF", "0AV"));
        check(&format!("{id}0"));
        check("0BFéééééééééééééééééééééééééé");
        check("0BF8ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    }
}

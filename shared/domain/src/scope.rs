use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::{ApiName, PackageName, QueueName};

/// One right of an API key. **This list is whole**: a right that is not here does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// `*`: everything, and the right to grant anything.
    Everything,
    /// `queue:publish:NAME` or `queue:publish:*`: put messages on a queue.
    QueuePublish(Names<QueueName>),
    /// `queue:read:NAME` or `queue:read:*`: see a queue's settings and health.
    QueueRead(Names<QueueName>),
    /// `queue:write:NAME` or `queue:write:*`: register, change, pause, resume and delete a queue.
    QueueWrite(Names<QueueName>),
    /// `dead-letter:read`: see dead letters, their payloads and logs.
    DeadLetterRead,
    /// `dead-letter:write`: send again what was given up, or discard it.
    DeadLetterWrite,
    /// `package:read:NAME` or `package:read:*`: see a package, its releases and their files, never its secrets.
    PackageRead(Names<PackageName>),
    /// `package:write:NAME` or `package:write:*`: release a package, choose its active release, set its secrets, delete it.
    /// **Who writes a package runs code**: with the handlers' config, that package's secrets, and the workers' mail and network.
    PackageWrite(Names<PackageName>),
    /// `table:read:NAME` or `table:read:*`: see a table's fields, rules and indexes.
    TableRead(Names<ApiName>),
    /// `table:write:NAME` or `table:write:*`: make a table, change its design, delete it with all that is in it.
    TableWrite(Names<ApiName>),
    /// `record:read:NAME` or `record:read:*`: get and query a table's records, their encrypted texts masked.
    RecordRead(Names<ApiName>),
    /// `record:write:NAME` or `record:write:*`: create, change and delete a table's records.
    RecordWrite(Names<ApiName>),
    /// `record:clear:NAME` or `record:clear:*`: see encrypted texts in clear, wherever records may be read.
    RecordClear(Names<ApiName>),
    /// `page:read`: see the pages of the backoffice.
    PageRead,
    /// `page:write`: make, change and delete pages of the backoffice.
    PageWrite,
    /// `job:read`: see how far a job is.
    JobRead,
    /// `key:read`: list API keys.
    KeyRead,
    /// `key:write`: create, rotate and revoke API keys, within the scopes of one's own.
    KeyWrite,
}

/// Which names a scope is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Names<N> {
    /// `*`
    Any,
    /// Exactly this one.
    One(N),
}

/// A text that is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a scope: say *, queue:publish:NAME, queue:read:NAME, queue:write:NAME (NAME or *), dead-letter:read, dead-letter:write, package:read:NAME, package:write:NAME, table:read:NAME, table:write:NAME, record:read:NAME, record:write:NAME, record:clear:NAME, page:read, page:write, job:read, key:read or key:write"
)]
pub struct ScopeError(String);

impl<N: PartialEq> Names<N> {
    fn covers(&self, asked: &Names<N>) -> bool {
        *self == Names::Any || self == asked
    }
}

impl Scope {
    /// The right to publish to one queue.
    pub fn publish(queue: &QueueName) -> Scope {
        Scope::QueuePublish(Names::One(queue.clone()))
    }

    /// The right to see one queue.
    pub fn read(queue: &QueueName) -> Scope {
        Scope::QueueRead(Names::One(queue.clone()))
    }

    /// The right to change one queue.
    pub fn write(queue: &QueueName) -> Scope {
        Scope::QueueWrite(Names::One(queue.clone()))
    }

    /// The right to see one table's design.
    pub fn table_read(table: &ApiName) -> Scope {
        Scope::TableRead(Names::One(table.clone()))
    }

    /// The right to change one table's design.
    pub fn table_write(table: &ApiName) -> Scope {
        Scope::TableWrite(Names::One(table.clone()))
    }

    /// The right to read one table's records.
    pub fn record_read(table: &ApiName) -> Scope {
        Scope::RecordRead(Names::One(table.clone()))
    }

    /// The right to write one table's records.
    pub fn record_write(table: &ApiName) -> Scope {
        Scope::RecordWrite(Names::One(table.clone()))
    }

    /// The right to see one table's encrypted texts in clear.
    pub fn record_clear(table: &ApiName) -> Scope {
        Scope::RecordClear(Names::One(table.clone()))
    }

    /// Whether a key with this scope may do what `asked` names.
    pub fn covers(&self, asked: &Scope) -> bool {
        match (self, asked) {
            (Scope::Everything, _) => true,
            (Scope::QueuePublish(mine), Scope::QueuePublish(names))
            | (Scope::QueueRead(mine), Scope::QueueRead(names))
            | (Scope::QueueWrite(mine), Scope::QueueWrite(names)) => mine.covers(names),
            (Scope::PackageRead(mine), Scope::PackageRead(names))
            | (Scope::PackageWrite(mine), Scope::PackageWrite(names)) => mine.covers(names),
            (Scope::TableRead(mine), Scope::TableRead(names))
            | (Scope::TableWrite(mine), Scope::TableWrite(names))
            | (Scope::RecordRead(mine), Scope::RecordRead(names))
            | (Scope::RecordWrite(mine), Scope::RecordWrite(names))
            | (Scope::RecordClear(mine), Scope::RecordClear(names)) => mine.covers(names),
            (mine, asked) => mine == asked,
        }
    }
}

impl<N: fmt::Display> fmt::Display for Names<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Names::Any => f.write_str("*"),
            Names::One(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Everything => f.write_str("*"),
            Scope::QueuePublish(names) => write!(f, "queue:publish:{names}"),
            Scope::QueueRead(names) => write!(f, "queue:read:{names}"),
            Scope::QueueWrite(names) => write!(f, "queue:write:{names}"),
            Scope::DeadLetterRead => f.write_str("dead-letter:read"),
            Scope::DeadLetterWrite => f.write_str("dead-letter:write"),
            Scope::PackageRead(names) => write!(f, "package:read:{names}"),
            Scope::PackageWrite(names) => write!(f, "package:write:{names}"),
            Scope::TableRead(names) => write!(f, "table:read:{names}"),
            Scope::TableWrite(names) => write!(f, "table:write:{names}"),
            Scope::RecordRead(names) => write!(f, "record:read:{names}"),
            Scope::RecordWrite(names) => write!(f, "record:write:{names}"),
            Scope::RecordClear(names) => write!(f, "record:clear:{names}"),
            Scope::PageRead => f.write_str("page:read"),
            Scope::PageWrite => f.write_str("page:write"),
            Scope::JobRead => f.write_str("job:read"),
            Scope::KeyRead => f.write_str("key:read"),
            Scope::KeyWrite => f.write_str("key:write"),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Scope, ScopeError> {
        let error = || ScopeError(text.chars().take(120).collect());
        let names = |name: &str| match name {
            "*" => Ok(Names::Any),
            name => QueueName::parse(name).map(Names::One).map_err(|_| error()),
        };
        let packages = |name: &str| match name {
            "*" => Ok(Names::Any),
            name => PackageName::parse(name).map(Names::One).map_err(|_| error()),
        };
        let tables = |name: &str| match name {
            "*" => Ok(Names::Any),
            name => ApiName::parse(name).map(Names::One).map_err(|_| error()),
        };
        let parts: Vec<&str> = text.split(':').collect();
        match parts[..] {
            ["*"] => Ok(Scope::Everything),
            ["queue", "publish", name] => names(name).map(Scope::QueuePublish),
            ["queue", "read", name] => names(name).map(Scope::QueueRead),
            ["queue", "write", name] => names(name).map(Scope::QueueWrite),
            ["dead-letter", "read"] => Ok(Scope::DeadLetterRead),
            ["dead-letter", "write"] => Ok(Scope::DeadLetterWrite),
            ["package", "read", name] => packages(name).map(Scope::PackageRead),
            ["package", "write", name] => packages(name).map(Scope::PackageWrite),
            ["table", "read", name] => tables(name).map(Scope::TableRead),
            ["table", "write", name] => tables(name).map(Scope::TableWrite),
            ["record", "read", name] => tables(name).map(Scope::RecordRead),
            ["record", "write", name] => tables(name).map(Scope::RecordWrite),
            ["record", "clear", name] => tables(name).map(Scope::RecordClear),
            ["page", "read"] => Ok(Scope::PageRead),
            ["page", "write"] => Ok(Scope::PageWrite),
            ["job", "read"] => Ok(Scope::JobRead),
            ["key", "read"] => Ok(Scope::KeyRead),
            ["key", "write"] => Ok(Scope::KeyWrite),
            _ => Err(error()),
        }
    }
}

/// All rights of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Whether any of them covers `asked`.
    pub fn cover(&self, asked: &Scope) -> bool {
        self.0.iter().any(|scope| scope.covers(asked))
    }

    /// Those of `asked` that none of these covers: what a key may not grant.
    pub fn missing<'a>(&self, asked: &'a Scopes) -> Vec<&'a Scope> {
        asked.0.iter().filter(|scope| !self.cover(scope)).collect()
    }

    /// Whether any scope of the kind of `asked` stands here, whatever its name: then 404 may be said, else only 403.
    pub fn could_cover(&self, asked: &Scope) -> bool {
        self.0
            .iter()
            .any(|s| *s == Scope::Everything || std::mem::discriminant(s) == std::mem::discriminant(asked))
    }

    /// One by one, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Scopes {
        Scopes(scopes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_scope_covers_itself_its_star_and_nothing_else() {
        let check = |mine: &str, asked: &str, expect: bool| {
            let (mine, asked): (Scope, Scope) = (mine.parse().unwrap(), asked.parse().unwrap());
            assert_eq!(mine.covers(&asked), expect, "{mine} over {asked}");
        };
        check("*", "key:write", true);
        check("*", "queue:publish:*", true);
        check("queue:publish:*", "queue:publish:a", true);
        check("queue:publish:a", "queue:publish:a", true);
        check("queue:publish:a", "queue:publish:b", false);
        check("queue:publish:a", "queue:publish:*", false);
        check("queue:publish:*", "queue:read:a", false);
        check("queue:write:*", "queue:publish:a", false);
        check("package:read:*", "package:read:shop", true);
        check("package:write:shop", "package:write:shop", true);
        check("package:write:shop", "package:write:other", false);
        check("package:write:*", "package:read:shop", false);
        check("queue:write:*", "package:write:shop", false);
        check("table:write:*", "table:write:Student", true);
        check("table:write:Student", "table:read:Student", false);
        check("record:read:Student", "record:read:Student", true);
        check("record:read:Student", "record:read:Teacher", false);
        check("record:read:*", "record:clear:Student", false);
        check("record:write:*", "record:read:Student", false);
        check("dead-letter:write", "dead-letter:write", true);
        check("dead-letter:write", "dead-letter:read", false);
        check("dead-letter:read", "dead-letter:write", false);
        check("page:write", "page:read", false);
        check("job:read", "job:read", true);
        check("key:write", "key:read", false);
        check("queue:publish:*", "*", false);
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for text in [
            "",
            "queue",
            "queue:publish",
            "queue:publish:",
            "queue:publish:a:b",
            "queue:publish:a b",
            "package:write",
            "package:write:a.b",
            "table:read:a-b",
            "record:clear",
            "page:read:a",
            "dead-letter:write:a",
            "KEY:READ",
            "**",
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text:?}");
        }
    }
}

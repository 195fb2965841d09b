use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{PackageName, Secret, SecretName};
use lua_host::{Bundle, ResolveError, Sandbox};

/// The handlers of one moment. A batch keeps those that it began with; their sandbox ends with its last user.
pub struct LiveHandlers {
    pub(crate) sandbox: Sandbox,
    /// Of the set that was asked for.
    pub(super) version: u64,
    /// What is at work of released packages, and of shipped ones that have secrets.
    pub(super) parts: BTreeMap<PackageName, Part>,
    /// Packages whose active release could not be loaded. An older one may be at work in its place.
    pub(super) failed: BTreeMap<PackageName, Failed>,
}

/// One package as it was loaded.
#[derive(Clone)]
pub(super) struct Part {
    /// `None` = the one that shipped.
    pub(super) release: Option<u32>,
    /// Of its files.
    pub(super) digest: String,
    /// Its files; none of the one that shipped.
    pub(super) bundle: Bundle,
    /// Those that it declares and that are set.
    pub(super) secrets: Arc<BTreeMap<SecretName, Secret>>,
}

/// A package that could not be loaded.
#[derive(Clone)]
pub(super) struct Failed {
    /// Full names of the handlers that its active release has, where that could be read.
    pub(super) handlers: Option<Vec<String>>,
    /// Whether nothing of it is at work.
    pub(super) absent: bool,
}

/// Why a name leads to no handler.
#[derive(Debug)]
pub(crate) enum Unresolved {
    /// It may be one of this package, which could not be loaded: it will be, or will be taken back.
    Waits(PackageName),
    /// There is no such handler.
    No(ResolveError),
}

impl LiveHandlers {
    /// The full name of the handler called `name`.
    pub(crate) fn resolve(&self, name: &str) -> Result<&str, Unresolved> {
        let mut waits = self.failed.iter().filter(|(package, failed)| failed.may_have(package, name));
        let waits = waits.next().map(|(package, _)| package);
        match (self.sandbox.bundle().resolve(name), waits) {
            // Its own older release goes on.
            (Ok(handler), Some(package)) if package_of(handler) == Some(package.as_str()) => Ok(handler),
            (_, Some(package)) => Err(Unresolved::Waits(package.clone())),
            (Ok(handler), None) => Ok(handler),
            (Err(error), None) => Err(Unresolved::No(error)),
        }
    }

    /// Whether a module may be missing only because its package could not be loaded.
    pub(crate) fn lacks_packages(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Which release of its package a handler is from: `on-boarding@3`, or `on-boarding@shipped`.
    pub(crate) fn release_of(&self, handler: &str) -> String {
        let Some(package) = package_of(handler) else { return "shipped".to_owned() };
        match self.part_of(handler).and_then(|part| part.release) {
            Some(release) => format!("{package}@{release}"),
            None => format!("{package}@shipped"),
        }
    }

    /// The secrets of a handler's own package: those that it declares and that are set.
    pub(crate) fn secrets_of(&self, handler: &str) -> Option<&BTreeMap<SecretName, Secret>> {
        self.part_of(handler).map(|part| &*part.secrets)
    }

    fn part_of(&self, handler: &str) -> Option<&Part> {
        self.parts.get(&PackageName::parse(package_of(handler)?).ok()?)
    }
}

impl Failed {
    /// Whether the release that could not be loaded has the handler called `name`, as far as we know.
    fn may_have(&self, package: &PackageName, name: &str) -> bool {
        let ends_so = |full: &str| full.rsplit('/').next() == Some(name);
        match &self.handlers {
            Some(handlers) => handlers.iter().any(|full| full == name || ends_so(full)),
            None => package_of(name).is_none_or(|of| of == package.as_str()),
        }
    }
}

fn package_of(handler: &str) -> Option<&str> {
    handler.split_once('/').map(|(package, _)| package)
}

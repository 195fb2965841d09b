//! From the set of what is active to handlers that run. **What is wrong with one package is no other's trouble.**

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{PACKAGE_SETTINGS, PackageName, PackageSettings, Release, Secret, SecretName};
use futures::stream::{self, StreamExt, TryStreamExt};
use lua_host::{Bundle, Sandbox};
use zstorage::CatalogError;

use super::live::{Failed, LiveHandlers, Part};
use super::{HandlersError, HandlersParts};

/// Packages loaded side by side.
const PACKAGES_AT_ONCE: usize = 4;

/// Files or secrets of one package read side by side.
const READS_AT_ONCE: usize = 8;

/// What all packages may hold when compiled. Worker and sandbox keep it twice each, and two sandboxes live while a release is taken
/// into use, in a function of 1 GB.
const MAX_COMPILED_BYTES: usize = 64 << 20;

/// Why a package is not loaded, and the handlers it would have, if that is known.
type NotLoaded = (Box<HandlersError>, Option<Vec<String>>);

/// A package, and what became of it.
type Outcome = (PackageName, Result<Part, NotLoaded>);

/// Says what is wrong with the `package.json` of what shipped.
pub(super) fn check(shipped: &Bundle) -> Result<(), HandlersError> {
    shipped.settings().try_for_each(|(package, text)| settings(package, text).map(|_| ()))
}

/// What is active now; nothing if it is what is `live` already. A package that cannot be loaded goes on as it is live, or is absent
/// where nothing of it is; the error is the store's or the sandbox's, and is about all of them.
pub(super) async fn load(
    from: &HandlersParts,
    live: Option<&LiveHandlers>,
) -> Result<Option<LiveHandlers>, HandlersError> {
    let set = from.catalog.package_set().await?;
    let same = live.filter(|live| live.version == set.version);
    if same.is_some_and(|live| live.failed.is_empty()) {
        return Ok(None);
    }
    let mut wanted: BTreeMap<PackageName, Wanted> = shipped_with_secrets(&from.shipped)?;
    wanted.extend(set.releases.iter().map(|(package, number)| (package.clone(), Wanted::Release(*number))));
    let loads = wanted.into_iter().map(|(package, wanted)| async move {
        let had = live.and_then(|live| live.parts.get(&package));
        let done = match (same, had) {
            // A secret that changes moves the version, too.
            (Some(live), Some(part)) if !live.failed.contains_key(&package) => Ok(part.clone()),
            _ => wanted.load(from, &package, had).await,
        };
        match done {
            Err((error, _)) if !error.is_of_one_package() => Err(*error),
            done => Ok((package, done)),
        }
    });
    let loaded = stream::iter(loads).buffer_unordered(PACKAGES_AT_ONCE).try_collect().await?;
    let (parts, failed) = settle(&from.shipped, live, loaded, MAX_COMPILED_BYTES);
    // What could not be loaded still cannot be: no reason for another sandbox.
    if same.is_some_and(|live| live.failed.keys().eq(failed.keys())) {
        return Ok(None);
    }
    let released = parts.iter().filter(|(_, part)| part.release.is_some());
    let mut bundle =
        released.fold(from.shipped.clone(), |bundle, (name, part)| bundle.over(name.as_str(), &part.bundle));
    let nothing = Bundle::from_sources([])?;
    for (package, _) in failed.iter().filter(|(_, failed)| failed.absent) {
        // Shipped code does not run in the place of a release.
        bundle = bundle.over(package.as_str(), &nothing);
    }
    let sandbox = Sandbox::start(from.sandbox.clone(), bundle).await?;
    if live.is_some() || set.version > 0 {
        tracing::info!(
            packages.version = set.version,
            packages.active = set.releases.len(),
            packages.failed = failed.len(),
            "handlers are loaded as they are released now"
        );
    }
    Ok(Some(LiveHandlers { sandbox, version: set.version, parts, failed }))
}

/// Tells what is wrong with which package, and puts what is live in its place.
fn settle(
    shipped: &Bundle,
    live: Option<&LiveHandlers>,
    mut loaded: Vec<Outcome>,
    max_bytes: usize,
) -> (BTreeMap<PackageName, Part>, BTreeMap<PackageName, Failed>) {
    let (mut parts, mut failed) = (BTreeMap::new(), BTreeMap::new());
    let mut left = max_bytes.saturating_sub(shipped.compiled_bytes());
    // The large ones last: whoever takes too much has no room, not its neighbours.
    let bytes_of =
        |done: &Result<Part, NotLoaded>| done.as_ref().map_or(0, |part| part.bundle.compiled_bytes());
    loaded.sort_by_key(|(package, done)| (bytes_of(done), package.clone()));
    for (package, done) in loaded {
        let bytes = bytes_of(&done);
        let done = done.and_then(|part| match left.checked_sub(bytes) {
            Some(rest) => {
                left = rest;
                Ok(part)
            }
            None => Err((
                Box::new(HandlersError::NoRoom { package: package.clone(), bytes, left }),
                Some(part.bundle.handlers().map(str::to_owned).collect()),
            )),
        });
        let (error, handlers) = match done {
            Ok(part) => {
                parts.insert(package, part);
                continue;
            }
            Err(not_loaded) => not_loaded,
        };
        let old = live.and_then(|live| live.parts.get(&package));
        let old = old.filter(|old| old.bundle.compiled_bytes() <= left);
        let shipped_goes_on = || {
            let was_absent =
                |live: &LiveHandlers| live.failed.get(&package).is_some_and(|failed| failed.absent);
            let its = format!("{package}/");
            live.is_some_and(|live| !live.parts.contains_key(&package) && !was_absent(live))
                && shipped.handlers().any(|handler| handler.starts_with(&its))
        };
        let absent = old.is_none() && !shipped_goes_on();
        tracing::error!(
            package.name = package.as_str(),
            package.absent = absent,
            error = domain::causes(&*error),
            "a package could not be loaded: what was loaded of it before goes on, or else its messages wait; the next look is in 5 s"
        );
        if let Some(old) = old {
            left -= old.bundle.compiled_bytes();
            parts.insert(package.clone(), old.clone());
        }
        failed.insert(package, Failed { handlers, absent });
    }
    (parts, failed)
}

/// What is to be loaded of a package.
enum Wanted {
    /// The secrets of the one that shipped.
    Shipped(BTreeSet<SecretName>),
    /// A release with all it has.
    Release(u32),
}

impl Wanted {
    /// Loads it; what is compiled already is `had`.
    async fn load(
        self,
        from: &HandlersParts,
        package: &PackageName,
        had: Option<&Part>,
    ) -> Result<Part, NotLoaded> {
        match self {
            Wanted::Shipped(declared) => {
                let its = format!("{package}/");
                let handlers = from.shipped.handlers().filter(|handler| handler.starts_with(&its));
                let secrets = secrets(from, package, &declared).await;
                let secrets = secrets
                    .map_err(|error| (Box::new(error), Some(handlers.map(str::to_owned).collect())))?;
                let bundle = Bundle::from_sources([]).map_err(|error| (Box::new(error.into()), None))?;
                Ok(Part { release: None, digest: String::new(), bundle, secrets })
            }
            Wanted::Release(number) => {
                let found = from.catalog.package_release(package, number).await;
                let found = found.map_err(|error| (Box::new(error.into()), None))?;
                let gone = || HandlersError::Gone { package: package.clone(), release: number };
                let release = found.ok_or_else(|| (Box::new(gone()), None))?;
                let part = released(from, &release, had).await;
                part.map_err(|error| (Box::new(error), Some(release.handlers())))
            }
        }
    }
}

async fn released(
    from: &HandlersParts,
    release: &Release,
    had: Option<&Part>,
) -> Result<Part, HandlersError> {
    let secrets = secrets(from, &release.package, &release.settings.secrets).await?;
    let digest = release.digest();
    let bundle = match had {
        Some(part) if part.digest == digest => part.bundle.clone(),
        _ => compiled(from, release).await?,
    };
    Ok(Part { release: Some(release.number), digest, bundle, secrets })
}

/// Reads the files of a release and compiles them. Its settings are in its manifest, checked.
async fn compiled(from: &HandlersParts, release: &Release) -> Result<Bundle, HandlersError> {
    let sources = release.files.clone().into_iter().filter(|(name, _)| name != PACKAGE_SETTINGS);
    let reads = sources.map(|(name, file)| {
        let catalog = from.catalog.clone();
        async move { Ok::<_, CatalogError>((name, catalog.package_file(&file).await?)) }
    });
    let texts: Vec<(String, String)> =
        stream::iter(reads).buffer_unordered(READS_AT_ONCE).try_collect().await?;
    let package = release.package.to_string();
    let bundle = tokio::task::spawn_blocking(move || Bundle::of_package(&package, texts));
    Ok(bundle.await??)
}

/// Those of the `declared` secrets of a package that are set.
async fn secrets(
    from: &HandlersParts,
    package: &PackageName,
    declared: &BTreeSet<SecretName>,
) -> Result<Arc<BTreeMap<SecretName, Secret>>, HandlersError> {
    let reads = declared.clone().into_iter().map(|name| async move {
        let Some(sealed) = from.catalog.package_secret(package, &name).await? else { return Ok(None) };
        match from.sealer.open_secret(package, &name, &sealed).await {
            Ok(secret) => Ok(Some((name, secret))),
            Err(source) => Err(HandlersError::Secret { package: package.clone(), secret: name, source }),
        }
    });
    let found: Vec<_> = stream::iter(reads).buffer_unordered(READS_AT_ONCE).try_collect().await?;
    Ok(Arc::new(found.into_iter().flatten().collect()))
}

/// The shipped packages that declare secrets.
fn shipped_with_secrets(shipped: &Bundle) -> Result<BTreeMap<PackageName, Wanted>, HandlersError> {
    let mut found = BTreeMap::new();
    for (package, text) in shipped.settings() {
        let declared = settings(package, text)?.secrets;
        // A folder that no package can be called after has no secrets that could be set.
        if let Ok(package) = PackageName::parse(package)
            && !declared.is_empty()
        {
            found.insert(package, Wanted::Shipped(declared));
        }
    }
    Ok(found)
}

/// What a package's own file says of it.
fn settings(package: &str, text: &str) -> Result<PackageSettings, HandlersError> {
    PackageSettings::parse(text)
        .map_err(|faults| HandlersError::Settings { package: package.to_owned(), faults })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn package(name: &str, source: &str) -> Outcome {
        let files = [("pay.luau".to_owned(), source.to_owned())];
        let bundle = Bundle::of_package(name, files).unwrap();
        let (digest, secrets) = (String::new(), Arc::default());
        (PackageName::parse(name).unwrap(), Ok(Part { release: Some(1), digest, bundle, secrets }))
    }

    #[test]
    fn what_takes_too_much_room_waits_and_its_neighbours_do_not() {
        let shipped = Bundle::from_sources([]).unwrap();
        let large = package("a", &"print() ".repeat(1000));
        let large_bytes = large.1.as_ref().map(|part| part.bundle.compiled_bytes()).ok().unwrap();
        let loaded = vec![large, package("b", "return 1"), package("c", "return 2")];
        let (parts, failed) = settle(&shipped, None, loaded, large_bytes);
        assert_eq!(parts.keys().map(PackageName::as_str).collect::<Vec<_>>(), ["b", "c"]);
        let (name, failed) = failed.first_key_value().unwrap();
        assert_eq!((name.as_str(), failed.absent), ("a", true));
        assert_eq!(failed.handlers.as_deref(), Some(&["a/pay".to_owned()][..]));
    }
}

//! Which handlers there are: those that shipped, with each released package in the place of the shipped one of its name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{
    Clock, PACKAGE_SETTINGS, PackageFile, PackageName, PackageSet, PackageSettings, Release, Secret,
    SecretName,
};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use lua_host::{Bundle, BundleError, Sandbox, SandboxConfig, SandboxError};
use tokio::time::timeout;
use zstorage::{Catalog, CatalogError, SealError, Sealer};

/// What is active is asked for at the start of a batch, if the last look is older than this. With what loading takes, a release
/// is at work within 10 s.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// A start waits this long for the first look; the first batch goes on with it.
const START_WITHIN: Duration = Duration::from_secs(6);

/// Files and secrets read side by side.
const READS_AT_ONCE: usize = 16;

/// What [`Handlers`] are made of.
pub struct HandlersParts {
    /// How sandboxes are started.
    pub sandbox: SandboxConfig,
    /// What shipped with the worker.
    pub shipped: Bundle,
    /// What was released since.
    pub catalog: Catalog,
    /// Opens the secrets of packages.
    pub sealer: Sealer,
    /// The wall clock: a Lambda process sleeps between batches.
    pub clock: Clock,
}

/// Why handlers cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HandlersError {
    /// The catalog did not answer.
    #[error("the released packages cannot be read")]
    Catalog(#[from] CatalogError),
    /// The set names a release that is not there; deleted meanwhile, if the next look does not find it again.
    #[error("release {release} of the package {package} is not there")]
    Gone {
        /// Of which package.
        package: PackageName,
        /// Which one.
        release: u32,
    },
    /// A package does not compile: it was saved by another version of us.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A shipped `package.json` is wrong.
    #[error("{package}/package.json: {faults}")]
    Settings {
        /// Which package.
        package: String,
        /// What is wrong.
        faults: domain::Faults,
    },
    /// A secret does not open.
    #[error("the secret {secret} of the package {package} does not open")]
    Secret {
        /// Of which package.
        package: PackageName,
        /// Which one.
        secret: SecretName,
        /// Why.
        #[source]
        source: SealError,
    },
    /// The sandbox does not start.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A task of ours ended early.
    #[error("the packages could not be put together")]
    Task(#[from] tokio::task::JoinError),
}

/// The handlers of one moment. A batch keeps those that it began with; their sandbox ends with its last user.
pub struct LiveHandlers {
    pub(crate) sandbox: Sandbox,
    set: PackageSet,
    secrets: HashMap<String, BTreeMap<SecretName, Secret>>,
}

impl LiveHandlers {
    /// Which release of its package a handler is from: `on-boarding@3`, or `on-boarding@shipped`.
    pub(crate) fn release_of(&self, handler: &str) -> String {
        let Some((package, _)) = handler.split_once('/') else { return "shipped".to_owned() };
        let release = PackageName::parse(package).ok().and_then(|name| self.set.releases.get(&name));
        match release {
            Some(release) => format!("{package}@{release}"),
            None => format!("{package}@shipped"),
        }
    }

    /// The secrets of a handler's own package: those that it declares and that are set.
    pub(crate) fn secrets_of(&self, handler: &str) -> Option<&BTreeMap<SecretName, Secret>> {
        self.secrets.get(handler.split_once('/')?.0)
    }
}

/// The handlers as they are now. Cheap to clone.
#[derive(Clone)]
pub struct Handlers {
    shared: Arc<Shared>,
}

struct Shared {
    parts: HandlersParts,
    now: Mutex<Now>,
    /// One look at a time; files that were read are kept by their hash.
    looking: tokio::sync::Mutex<HashMap<[u8; 32], String>>,
}

#[derive(Default)]
struct Now {
    looked_at: Option<Timestamp>,
    live: Option<Arc<LiveHandlers>>,
}

impl Handlers {
    /// Reads what is active and starts the sandbox. A store that does not answer is no reason not to start: then the first
    /// batch looks again, and its messages come back as long as nothing is known. To run shipped code in the place of a
    /// release would be worse.
    ///
    /// # Errors
    /// What no later look will mend: a shipped `package.json`, the sandbox.
    pub async fn start(parts: HandlersParts) -> Result<Handlers, HandlersError> {
        for (package, text) in parts.shipped.settings() {
            settings(package, text)?;
        }
        let handlers = Handlers {
            shared: Arc::new(Shared { parts, now: Mutex::default(), looking: tokio::sync::Mutex::default() }),
        };
        match timeout(START_WITHIN, handlers.look()).await {
            Ok(Err(error @ (HandlersError::Sandbox(_) | HandlersError::Settings { .. }))) => {
                return Err(error);
            }
            Ok(done) => told(done),
            Err(_) => {
                tracing::error!("the released packages were not read in time; the first batch looks again")
            }
        }
        // Whatever came of it, the first batch need not wait 5 s for another look.
        if handlers.now().live.is_none() {
            handlers.now().looked_at = None;
        }
        Ok(handlers)
    }

    /// The handlers for a batch that begins now. Asks what is active if the last look is old, and waits for that at most
    /// `wait`: what takes longer goes on beside the batch. `None` = nothing could be loaded since the start.
    pub async fn for_batch(&self, wait: Duration) -> Option<Arc<LiveHandlers>> {
        if self.is_due() {
            let this = self.clone();
            let look = tokio::spawn(async move { told(this.look().await) });
            // Too slow or ended: the batch goes on with what there is.
            let _ = timeout(wait, look).await;
        }
        self.now().live.clone()
    }

    /// Whether others than the `live` ones are active by now: asked before a message is given up for want of a handler, so that one
    /// that was published right after its handler's release is not. The next batch looks at once if so.
    ///
    /// # Errors
    /// The catalog's.
    pub(crate) async fn are_other_than(&self, live: &LiveHandlers) -> Result<bool, CatalogError> {
        let other = self.shared.parts.catalog.package_set().await?.version != live.set.version;
        if other {
            self.now().looked_at = None;
        }
        Ok(other)
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.shared.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A clock that was set back makes every look an old one.
    fn is_due(&self) -> bool {
        let now = self.shared.parts.clock.now();
        self.now().looked_at.is_none_or(|at| {
            let age = now.duration_since(at);
            age.is_negative() || age >= LOOK_EVERY
        })
    }

    /// Asks what is active, and takes it into use if it is something else. On any error all stays as it is until the next look.
    async fn look(&self) -> Result<(), HandlersError> {
        let mut files = self.shared.looking.lock().await;
        if !self.is_due() {
            return Ok(());
        }
        // Taken before the question: what is released after it was asked is for the next look.
        let began = self.shared.parts.clock.now();
        let done = self.load(&mut files).await;
        let mut now = self.now();
        now.looked_at = Some(began);
        if let Some(live) = done? {
            now.live = Some(Arc::new(live));
        }
        Ok(())
    }

    /// What is active now; nothing if it is what is live already.
    async fn load(
        &self,
        files: &mut HashMap<[u8; 32], String>,
    ) -> Result<Option<LiveHandlers>, HandlersError> {
        let HandlersParts { sandbox, shipped, catalog, .. } = &self.shared.parts;
        let set = catalog.package_set().await?;
        let known = self.now().live.as_ref().map(|live| live.set.version);
        if known == Some(set.version) {
            return Ok(None);
        }
        let mut releases = Vec::with_capacity(set.releases.len());
        for (package, number) in &set.releases {
            let found = catalog.package_release(package, *number).await?;
            let gone = || HandlersError::Gone { package: package.clone(), release: *number };
            releases.push(found.ok_or_else(gone)?);
        }
        let secrets = self.secrets(&set, &releases).await?;
        self.fetch(&releases, files).await?;
        let texts: Vec<_> = releases.iter().map(|release| texts(release, files)).collect();
        let shipped = shipped.clone();
        let bundle = tokio::task::spawn_blocking(move || {
            texts.into_iter().try_fold(shipped, |bundle, (package, files)| bundle.over(&package, files))
        });
        let sandbox = Sandbox::start(sandbox.clone(), bundle.await??).await?;
        if known.is_some() || set.version > 0 {
            tracing::info!(
                packages.version = set.version,
                packages.active = set.releases.len(),
                "handlers are loaded as they are released now"
            );
        }
        Ok(Some(LiveHandlers { sandbox, set, secrets }))
    }

    /// Reads those files of `releases` that are not in `files`, and takes those out that no release has any more.
    async fn fetch(
        &self,
        releases: &[Release],
        files: &mut HashMap<[u8; 32], String>,
    ) -> Result<(), HandlersError> {
        let wanted: HashMap<[u8; 32], PackageFile> = releases
            .iter()
            .flat_map(|release| release.files.values())
            .map(|file| (file.hash, *file))
            .collect();
        let absent = wanted.values().copied().filter(|file| !files.contains_key(&file.hash));
        let absent: Vec<PackageFile> = absent.collect();
        let reads = absent.into_iter().map(|file| {
            let catalog = self.shared.parts.catalog.clone();
            async move { Ok::<_, CatalogError>((file.hash, catalog.package_file(&file).await?)) }
        });
        let read: Vec<_> = stream::iter(reads).buffer_unordered(READS_AT_ONCE).try_collect().await?;
        files.extend(read);
        files.retain(|hash, _| wanted.contains_key(hash));
        Ok(())
    }

    /// The secrets of every package that is at work, of those alone that it declares.
    async fn secrets(
        &self,
        set: &PackageSet,
        releases: &[Release],
    ) -> Result<HashMap<String, BTreeMap<SecretName, Secret>>, HandlersError> {
        let mut declared = Vec::new();
        for (package, text) in self.shared.parts.shipped.settings() {
            // A folder that no package can be called after has no secrets that could be set.
            let Ok(package) = PackageName::parse(package) else { continue };
            if !set.releases.contains_key(&package) {
                let names = settings(package.as_str(), text)?.secrets;
                declared.extend(names.into_iter().map(|name| (package.clone(), name)));
            }
        }
        for release in releases {
            let names = release.settings.secrets.iter().cloned();
            declared.extend(names.map(|name| (release.package.clone(), name)));
        }
        let HandlersParts { catalog, sealer, .. } = &self.shared.parts;
        let reads = declared.into_iter().map(|(package, name)| async move {
            let Some(sealed) = catalog.package_secret(&package, &name).await? else { return Ok(None) };
            match sealer.open_secret(&package, &name, &sealed).await {
                Ok(secret) => Ok(Some((package, name, secret))),
                Err(source) => Err(HandlersError::Secret { package, secret: name, source }),
            }
        });
        let found: Vec<_> = stream::iter(reads).buffer_unordered(READS_AT_ONCE).try_collect().await?;
        let mut secrets = HashMap::<String, BTreeMap<_, _>>::new();
        for (package, name, secret) in found.into_iter().flatten() {
            secrets.entry(package.to_string()).or_default().insert(name, secret);
        }
        Ok(secrets)
    }
}

/// What a package's own file says of it.
fn settings(package: &str, text: &str) -> Result<PackageSettings, HandlersError> {
    PackageSettings::parse(text)
        .map_err(|faults| HandlersError::Settings { package: package.to_owned(), faults })
}

/// A release as a bundle takes it. Its settings are in its manifest, checked.
fn texts(release: &Release, files: &HashMap<[u8; 32], String>) -> (String, Vec<(String, String)>) {
    let sources = release.files.iter().filter(|(name, _)| *name != PACKAGE_SETTINGS);
    let sources = sources.filter_map(|(name, file)| Some((name.clone(), files.get(&file.hash)?.clone())));
    (release.package.to_string(), sources.collect())
}

/// A look that failed is told here, once, and is no reason for a batch not to run.
fn told(done: Result<(), HandlersError>) {
    if let Err(error) = done {
        tracing::error!(
            error = domain::causes(&error),
            "the released packages could not be loaded; what was loaded before goes on, and the next look is in 5 s"
        );
    }
}

//! Which handlers there are: those that shipped, with each released package in the place of the shipped one of its name.

mod live;
mod load;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{Clock, PackageName, SecretName};
use jiff::{SignedDuration, Timestamp};
use lua_host::{Bundle, BundleError, SandboxConfig, SandboxError};
use tokio::time::timeout;
use zstorage::{Catalog, CatalogError, SealError, Sealer, StoreError};

pub use live::LiveHandlers;
pub(crate) use live::Unresolved;

/// What is active is asked for at the start of a batch, if the last look is older than this. With what loading takes, a release
/// is at work within 10 s.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// A start waits this long for the first look; the first batch goes on with it.
const START_WITHIN: Duration = Duration::from_secs(6);

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
    /// A package does not fit beside the others.
    #[error(
        "the package {package} has {bytes} bytes when compiled, and {left} are left of those that all packages share"
    )]
    NoRoom {
        /// Which one.
        package: PackageName,
        /// Its bytecode.
        bytes: usize,
        /// What the smaller ones left.
        left: usize,
    },
    /// The sandbox does not start.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The task that compiles a package ended early.
    #[error("its files could not be compiled")]
    Task(#[from] tokio::task::JoinError),
}

impl HandlersError {
    /// Whether it is about one package alone, so that the others can be loaded. A store that does not answer is about all.
    fn is_of_one_package(&self) -> bool {
        match self {
            HandlersError::Catalog(error) => matches!(error, CatalogError::Store(StoreError::Item { .. })),
            HandlersError::Gone { .. }
            | HandlersError::Bundle(_)
            | HandlersError::Settings { .. }
            | HandlersError::Secret { .. }
            | HandlersError::NoRoom { .. }
            | HandlersError::Task(_) => true,
            HandlersError::Sandbox(_) => false,
        }
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
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
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
        load::check(&parts.shipped)?;
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
        let other = self.shared.parts.catalog.package_set().await?.version != live.version;
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
        let _alone = self.shared.looking.lock().await;
        if !self.is_due() {
            return Ok(());
        }
        // Taken before the question: what is released after it was asked is for the next look.
        let began = self.shared.parts.clock.now();
        let live = self.now().live.clone();
        let done = load::load(&self.shared.parts, live.as_deref()).await;
        let mut now = self.now();
        now.looked_at = Some(began);
        if let Some(live) = done? {
            now.live = Some(Arc::new(live));
        }
        Ok(())
    }
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

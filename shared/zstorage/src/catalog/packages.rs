use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::{MAX_ACTIVE_PACKAGES, Package, PackageFiles, PackageName, PackageSet, Release};
use futures::stream::{self, StreamExt, TryStreamExt};
use rand::Rng;
use tokio::time::sleep;

use super::package_item::{self as item, FIRST_SECRET, own_pk};
use super::{Catalog, CatalogError, changed};
use crate::StoreError;
use crate::item::{Reader, key};
use crate::table::{Action, Expression, Range, Undone};

/// A change that lost its race is begun anew at most so often: ten at once need ten at most.
pub(super) const TURNS: u32 = 40;

/// The longest wait before the next turn, milliseconds.
const LONGEST_PAUSE_MS: u64 = 60;

/// Files written side by side.
const WRITES_AT_ONCE: usize = 8;

/// Why the catalog did not do as it was asked with a package. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// There is no package of this name.
    #[error("there is no package of this name")]
    Missing,
    /// The package has no such release.
    #[error("this package has no release {0}")]
    NoRelease(u32),
    /// Its deletion was begun: it goes on with another DELETE, and nothing else does.
    #[error("this package is being deleted; delete it again to end that")]
    Deleting,
    /// No more packages may be active.
    #[error("{MAX_ACTIVE_PACKAGES} packages are active already, and no more can be")]
    TooMany,
    /// The catalog could not answer, or others were faster for as long as we could wait.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl From<StoreError> for PackageError {
    fn from(error: StoreError) -> PackageError {
        PackageError::Catalog(error.into())
    }
}

/// A release, as it was asked for or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// The release.
    pub release: Release,
    /// Its package, as it is now.
    pub package: Package,
    /// Whether it was made by this call; false = the active release has these very files.
    pub new: bool,
}

/// What a change starts from.
pub(super) struct Known {
    pub(super) head: Option<Package>,
    pub(super) set: PackageSet,
}

/// How a change ended.
pub(super) enum Commit {
    Done(Package),
    /// Another one was faster: look again.
    Lost,
}

impl Known {
    /// The head to change, a new one where there is none.
    pub(super) fn head_or_new(
        &self,
        name: &PackageName,
        now: jiff::Timestamp,
    ) -> Result<Package, PackageError> {
        match &self.head {
            Some(head) if head.deleting => Err(PackageError::Deleting),
            Some(head) => Ok(head.clone()),
            None => Ok(Package {
                name: name.clone(),
                active: None,
                latest: 0,
                changed_at: now,
                created_at: now,
                deleting: false,
                version: 0,
            }),
        }
    }
}

impl Catalog {
    /// Makes `files` the next release of `package`, and with `activate` the active one: all of it in one transaction, after
    /// the files were kept. Of any number of simultaneous calls each gets a number of its own. Files that the active release
    /// has, all of them and no others, make no new release.
    ///
    /// # Errors
    /// [`PackageError::Deleting`], [`PackageError::TooMany`]; the store's.
    pub async fn release_package(
        &self,
        package: &PackageName,
        files: &PackageFiles,
        note: Option<&str>,
        activate: bool,
    ) -> Result<Released, PackageError> {
        const OPERATION: &str = "release a package";
        let mut kept = false;
        for turn in 0..TURNS {
            pause(turn).await;
            let now = self.0.clock.now();
            let known = self.known(OPERATION, package).await?;
            let mut head = known.head_or_new(package, now)?;
            let active = match head.active {
                Some(number) => self.package_release(package, number).await?,
                None => None,
            };
            if let Some(release) = &active
                && release.digest() == files.digest()
            {
                return Ok(Released { release: release.clone(), package: head, new: false });
            }
            if !kept {
                self.write_files(files, active.as_ref()).await?;
                kept = true;
            }
            head.latest += 1;
            let release = Release {
                package: package.clone(),
                number: head.latest,
                files: files.manifest(),
                settings: files.settings().clone(),
                note: note.map(str::to_owned),
                created_at: now,
            };
            let mut set = None;
            if activate {
                head.active = Some(release.number);
                head.changed_at = now;
                let mut new = known.set.clone();
                new.releases.insert(package.clone(), release.number);
                set = Some(new);
            }
            let manifest = Action::Put(item::write_release(&release), Some(Expression::absent()));
            if let Commit::Done(package) = self.commit(OPERATION, &known, head, set, Some(manifest)).await? {
                return Ok(Released { release, package, new: true });
            }
        }
        Err(CatalogError::Conflict.into())
    }

    /// Makes `release` the active one of `package`, or none: forward or back in one call.
    ///
    /// # Errors
    /// [`PackageError::Missing`], [`PackageError::NoRelease`], [`PackageError::Deleting`], [`PackageError::TooMany`]; the store's.
    pub async fn activate_package(
        &self,
        package: &PackageName,
        release: Option<u32>,
    ) -> Result<Package, PackageError> {
        const OPERATION: &str = "choose the active release of a package";
        for turn in 0..TURNS {
            pause(turn).await;
            let now = self.0.clock.now();
            let known = self.known(OPERATION, package).await?;
            if known.head.is_none() {
                return Err(PackageError::Missing);
            }
            let mut head = known.head_or_new(package, now)?;
            if let Some(number) = release
                && !(1..=head.latest).contains(&number)
            {
                return Err(PackageError::NoRelease(number));
            }
            if head.active == release {
                return Ok(head);
            }
            (head.active, head.changed_at) = (release, now);
            let mut set = known.set.clone();
            match release {
                Some(number) => set.releases.insert(package.clone(), number),
                None => set.releases.remove(package),
            };
            if let Commit::Done(head) = self.commit(OPERATION, &known, head, Some(set), None).await? {
                return Ok(head);
            }
        }
        Err(CatalogError::Conflict.into())
    }

    /// Removes `package` with its releases and secrets; first of all it is no longer active. A call that broke off is
    /// ended by the next one. Files stay: other releases may share them.
    ///
    /// # Errors
    /// [`PackageError::Missing`]; the store's.
    pub async fn delete_package(&self, package: &PackageName) -> Result<(), PackageError> {
        const OPERATION: &str = "delete a package";
        for turn in 0..TURNS {
            pause(turn).await;
            let known = self.known(OPERATION, package).await?;
            let head = known.head.clone().ok_or(PackageError::Missing)?;
            let head = if head.deleting {
                head
            } else {
                let leaving =
                    Package { active: None, deleting: true, changed_at: self.0.clock.now(), ..head };
                let mut set = known.set.clone();
                set.releases.remove(package);
                match self.commit(OPERATION, &known, leaving, Some(set), None).await? {
                    Commit::Done(head) => head,
                    Commit::Lost => continue,
                }
            };
            self.clear(OPERATION, package).await?;
            let (pk, sk) = (item::PK.to_owned(), package.to_string());
            let delete = Action::Delete { pk, sk, condition: at(Some(head.version)) };
            return match self.0.table.transact(OPERATION, vec![delete]).await {
                // Another one has ended it.
                Ok(()) | Err(Undone::Conditions(_)) => Ok(()),
                Err(undone) => Err(changed(undone).into()),
            };
        }
        Err(CatalogError::Conflict.into())
    }

    /// Removes everything under a package but its head: secrets first, for they are the reason to hurry.
    async fn clear(&self, operation: &'static str, package: &PackageName) -> Result<(), StoreError> {
        let pk = own_pk(package);
        for from in [FIRST_SECRET, "0"] {
            loop {
                let range = Range { from, after: None };
                let (items, _) = self.0.table.query(operation, &pk, &range, None, Some(100)).await?;
                if items.is_empty() {
                    break;
                }
                for item in &items {
                    let table = &self.0.table;
                    let key = key(&pk, Reader(item).text("sk")?);
                    let call = table.client.delete_item().table_name(&table.name).set_key(Some(key));
                    call.send().await.map_err(|error| StoreError::from_call(operation, error))?;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn known(
        &self,
        operation: &'static str,
        package: &PackageName,
    ) -> Result<Known, PackageError> {
        let table = &self.0.table;
        let head = table.get(operation, item::PK, package.as_str()).await?;
        let head = head.map(|found| item::read_head(&found)).transpose()?;
        let set = table.get(operation, item::SET.0, item::SET.1).await?;
        let set = set.map(|found| item::read_set(&found)).transpose()?.unwrap_or_default();
        Ok(Known { head, set })
    }

    /// Writes `head`, with `set` under the next version if it is given, and carries out `also`: if head and set are still as
    /// they were known.
    pub(super) async fn commit(
        &self,
        operation: &'static str,
        known: &Known,
        mut head: Package,
        set: Option<PackageSet>,
        also: Option<Action>,
    ) -> Result<Commit, PackageError> {
        let head_was = known.head.as_ref().map(|head| head.version);
        head.version = head_was.unwrap_or(0) + 1;
        let mut actions = vec![Action::Put(item::write_head(&head), Some(at(head_was)))];
        if let Some(mut set) = set {
            let active = set.releases.len();
            if active > MAX_ACTIVE_PACKAGES && active > known.set.releases.len() {
                return Err(PackageError::TooMany);
            }
            let set_was = (known.set.version > 0).then_some(known.set.version);
            set.version = known.set.version + 1;
            actions.push(Action::Put(item::write_set(&set), Some(at(set_was))));
        }
        actions.extend(also);
        match self.0.table.transact(operation, actions).await {
            Ok(()) => Ok(Commit::Done(head)),
            Err(Undone::Conditions(_) | Undone::Store(StoreError::Busy { .. })) => Ok(Commit::Lost),
            Err(Undone::Store(error)) => Err(error.into()),
        }
    }

    /// Keeps those of `files` that `has` does not have already.
    async fn write_files(&self, files: &PackageFiles, has: Option<&Release>) -> Result<(), CatalogError> {
        let old: BTreeSet<_> =
            has.into_iter().flat_map(|release| release.files.values()).map(|f| f.hash).collect();
        let manifest = files.manifest();
        let new = manifest.iter().filter(|(_, file)| !old.contains(&file.hash));
        // By their hashes: a text that several files have is kept once.
        let new: BTreeMap<_, _> = new.map(|(name, file)| (file.hash, files.as_map()[name].clone())).collect();
        let writes = new.into_values().map(|text| {
            let catalog = self.clone();
            async move { catalog.write_file(&text).await }
        });
        stream::iter(writes).buffer_unordered(WRITES_AT_ONCE).try_collect().await
    }
}

fn at(version: Option<u64>) -> Expression {
    version.map_or_else(Expression::absent, super::at_version)
}

/// Gives way before another turn, the longer the more turns there were.
pub(super) async fn pause(turn: u32) {
    if turn > 0 {
        let longest = (u64::from(turn) * 10).min(LONGEST_PAUSE_MS);
        let pause = rand::rng().random_range(1..=longest);
        sleep(Duration::from_millis(pause)).await;
    }
}

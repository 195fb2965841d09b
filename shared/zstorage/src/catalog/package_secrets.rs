use std::collections::BTreeSet;

use domain::{Package, PackageName, Sealed, SecretName};

use super::package_item::{FIRST_SECRET, own_pk, secret_sk};
use super::packages::{Commit, TURNS, pause};
use super::{Catalog, CatalogError, PackageError};
use crate::item::{Reader, Writer, bytes, text};
use crate::table::{Action, Expression, Range};

impl Catalog {
    /// Keeps a secret of `package`, in place of the one of this name. The package need not be released yet.
    ///
    /// # Errors
    /// [`PackageError::Deleting`]; the store's.
    pub async fn set_package_secret(
        &self,
        package: &PackageName,
        secret: &SecretName,
        sealed: &Sealed,
    ) -> Result<(), PackageError> {
        self.change_secret("keep a secret", package, secret, Some(sealed)).await.map(|_| ())
    }

    /// Forgets a secret of `package`; answers whether there was one.
    ///
    /// # Errors
    /// [`PackageError::Deleting`]; the store's.
    pub async fn delete_package_secret(
        &self,
        package: &PackageName,
        secret: &SecretName,
    ) -> Result<bool, PackageError> {
        self.change_secret("forget a secret", package, secret, None).await
    }

    /// The version of the set moves with each secret, so that a change of one is as soon at work as a release.
    async fn change_secret(
        &self,
        operation: &'static str,
        package: &PackageName,
        secret: &SecretName,
        sealed: Option<&Sealed>,
    ) -> Result<bool, PackageError> {
        let (pk, sk) = (own_pk(package), secret_sk(secret));
        for turn in 0..TURNS {
            pause(turn).await;
            let now = self.0.clock.now();
            let change = match sealed {
                Some(sealed) => {
                    let item = Writer::new(&pk, &sk).set("sealed", bytes(&sealed.0));
                    Action::Put(item.set("changed-at", text(now)).done(), None)
                }
                None if self.package_secret(package, secret).await?.is_none() => return Ok(false),
                None => {
                    let (pk, sk) = (pk.clone(), sk.clone());
                    Action::Delete { pk, sk, condition: Expression::present() }
                }
            };
            let known = self.known(operation, package).await?;
            let head = Package { changed_at: now, ..known.head_or_new(package, now)? };
            let set = Some(known.set.clone());
            if let Commit::Done(_) = self.commit(operation, &known, head, set, Some(change)).await? {
                return Ok(true);
            }
        }
        Err(CatalogError::Conflict.into())
    }

    /// The secret of this name, sealed.
    ///
    /// # Errors
    /// The store's alone; that it is not set is `None`.
    pub async fn package_secret(
        &self,
        package: &PackageName,
        secret: &SecretName,
    ) -> Result<Option<Sealed>, CatalogError> {
        let found = self.0.table.get("read a secret", &own_pk(package), &secret_sk(secret)).await?;
        let Some(found) = found else { return Ok(None) };
        Ok(Reader(&found).bytes_or_none("sealed")?.map(|sealed| Sealed(sealed.to_vec())))
    }

    /// Names of the secrets of `package` that are set.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn package_secrets(&self, package: &PackageName) -> Result<BTreeSet<SecretName>, CatalogError> {
        let (mut names, mut after) = (BTreeSet::new(), None::<String>);
        loop {
            let range = Range { from: FIRST_SECRET, after: after.as_deref() };
            let (items, last) =
                self.0.table.query("list secrets", &own_pk(package), &range, None, None).await?;
            for found in &items {
                let reader = Reader(found);
                let name = reader.text("sk")?.strip_prefix(FIRST_SECRET).unwrap_or_default();
                names.insert(SecretName::parse(name).map_err(|_| reader.fault("sk", "is not of its form"))?);
            }
            after = last;
            if after.is_none() {
                return Ok(names);
            }
        }
    }
}

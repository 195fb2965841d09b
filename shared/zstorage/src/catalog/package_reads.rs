use domain::{Package, PackageName, PackageSet, Release};

use super::package_item::{self as item, own_pk, release_sk};
use super::{Catalog, CatalogError, name_contains};
use crate::item::{Item, Reader};
use crate::table::Range;
use crate::{Cursor, Page};

impl Catalog {
    /// The package of this name, as it is now.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn package(&self, name: &PackageName) -> Result<Option<Package>, CatalogError> {
        let found = self.0.table.get("read a package", item::PK, name.as_str()).await?;
        Ok(found.map(|found| item::read_head(&found)).transpose()?)
    }

    /// Up to `limit` packages (at least one is asked for) behind `cursor`, in the order of their names; with `search`,
    /// those alone whose name has it as a part, whatever the case.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn list_packages(
        &self,
        search: Option<&str>,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Package>, CatalogError> {
        let filter = search.filter(|search| !search.is_empty()).map(name_contains);
        let read = |found: &Item| Ok((item::read_head(found)?, Reader(found).text("sk")?.to_owned()));
        self.page("list packages", item::PK, filter, limit, cursor, read).await
    }

    /// One release of a package.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn package_release(
        &self,
        package: &PackageName,
        release: u32,
    ) -> Result<Option<Release>, CatalogError> {
        let found = self.0.table.get("read a release", &own_pk(package), &release_sk(release)).await?;
        Ok(found.map(|found| item::read_release(&found)).transpose()?)
    }

    /// Up to `limit` releases of `package` (at least one is asked for) behind `cursor`, newest first.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn package_releases(
        &self,
        package: &Package,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Release>, CatalogError> {
        let limit = u32::try_from(limit.max(1)).unwrap_or(u32::MAX);
        let end = cursor.and_then(|cursor| cursor.0.parse().ok()).unwrap_or(u32::MAX).min(package.latest + 1);
        let first = end.saturating_sub(limit).max(1);
        let (pk, from) = (own_pk(&package.name), release_sk(first));
        let (mut found, mut after) = (Vec::new(), None::<String>);
        while (found.len() as u32) < end.saturating_sub(first) {
            let range = Range { from: &from, after: after.as_deref() };
            let left = end - first - found.len() as u32;
            let step = i32::try_from(left).unwrap_or(i32::MAX);
            let (items, last) = self.0.table.query("list releases", &pk, &range, None, Some(step)).await?;
            let releases = items.iter().filter(|item| item.contains_key("release"));
            found.extend(releases.map(item::read_release).collect::<Result<Vec<_>, _>>()?);
            after = last;
            if after.is_none() {
                break;
            }
        }
        found.reverse();
        let next = (first > 1).then(|| Cursor(first.to_string()));
        Ok(Page { items: found, next })
    }

    /// What is active now, and the version of that, past every cache: one read.
    ///
    /// # Errors
    /// The store's alone; that nothing was ever released is an empty set.
    pub async fn package_set(&self) -> Result<PackageSet, CatalogError> {
        let found = self.0.table.get("read the set of packages", item::SET.0, item::SET.1).await?;
        Ok(found.map_or_else(|| Ok(PackageSet::default()), |found| item::read_set(&found))?)
    }
}

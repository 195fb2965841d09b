use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Package, PackageFile, PackageName, PackageSet, PackageSettings, Release, SecretName};

use super::queue_item::{FOLDED_NAME, fold};
use crate::StoreError;
use crate::item::{Item, Reader, Writer, number, text};

/// The partition of all packages; the sort key is the name.
pub(super) const PK: &str = "package";

/// Where [`PackageSet`] lies: one read of it tells whether anything changed.
pub(super) const SET: (&str, &str) = ("package-set", "active");

/// Releases of a package stand before its secrets.
pub(super) const FIRST_SECRET: &str = "s#";

/// The partition of what belongs to one package.
pub(super) fn own_pk(package: &PackageName) -> String {
    format!("package#{package}")
}

pub(super) fn release_sk(release: u32) -> String {
    format!("r#{release:012}")
}

pub(super) fn secret_sk(secret: &SecretName) -> String {
    format!("{FIRST_SECRET}{secret}")
}

pub(super) fn write_head(package: &Package) -> Item {
    Writer::new(PK, package.name.as_str())
        .set(FOLDED_NAME, text(fold(package.name.as_str())))
        .set_some("active", package.active.map(number))
        .set("latest", number(package.latest))
        .set("deleting", AttributeValue::Bool(package.deleting))
        .set("created-at", text(package.created_at))
        .set("changed-at", text(package.changed_at))
        .set("version", number(package.version))
        .done()
}

pub(super) fn read_head(item: &Item) -> Result<Package, StoreError> {
    let reader = Reader(item);
    Ok(Package {
        name: reader.parsed("sk")?,
        active: reader.number_or_none("active")?,
        latest: reader.number("latest")?,
        deleting: reader.flag("deleting")?,
        created_at: reader.parsed("created-at")?,
        changed_at: reader.parsed("changed-at")?,
        version: reader.number("version")?,
    })
}

pub(super) fn write_set(set: &PackageSet) -> Item {
    let releases = set.releases.iter().map(|(name, release)| (name.to_string(), number(release)));
    Writer::new(SET.0, SET.1)
        .set("version", number(set.version))
        .set("releases", AttributeValue::M(releases.collect()))
        .done()
}

pub(super) fn read_set(item: &Item) -> Result<PackageSet, StoreError> {
    let reader = Reader(item);
    let wrong = || reader.fault("releases", "is not of its form");
    let releases = map(&reader, "releases")?.iter().map(|(name, release)| {
        let release = release.as_n().ok().and_then(|digits| digits.parse().ok());
        Some((PackageName::parse(name).ok()?, release?))
    });
    Ok(PackageSet {
        version: reader.number("version")?,
        releases: releases.collect::<Option<_>>().ok_or_else(wrong)?,
    })
}

pub(super) fn write_release(release: &Release) -> Item {
    let file = |file: &PackageFile| {
        AttributeValue::M(HashMap::from([
            ("hash".to_owned(), AttributeValue::B(Blob::new(file.hash))),
            ("bytes".to_owned(), number(file.bytes)),
        ]))
    };
    let files = release.files.iter().map(|(name, about)| (name.clone(), file(about)));
    let secrets = release.settings.secrets.iter().map(text).collect();
    Writer::new(&own_pk(&release.package), &release_sk(release.number))
        .set("package", text(&release.package))
        .set("release", number(release.number))
        .set("files", AttributeValue::M(files.collect()))
        .set("secrets", AttributeValue::L(secrets))
        .set_some("description", release.settings.description.as_ref().map(text))
        .set_some("note", release.note.as_ref().map(text))
        .set("created-at", text(release.created_at))
        .done()
}

pub(super) fn read_release(item: &Item) -> Result<Release, StoreError> {
    let reader = Reader(item);
    let wrong = |name: &str| reader.fault(name, "is not of its form");
    let files = map(&reader, "files")?.iter().map(|(name, about)| {
        let about = about.as_m().ok()?;
        let hash = about.get("hash")?.as_b().ok()?.as_ref().try_into().ok()?;
        let bytes = about.get("bytes")?.as_n().ok()?.parse().ok()?;
        Some((name.clone(), PackageFile { hash, bytes }))
    });
    let files: Option<BTreeMap<_, _>> = files.collect();
    let secrets =
        reader.list("secrets")?.iter().map(|name| SecretName::parse(name.as_s().ok()?.as_str()).ok());
    let secrets: Option<BTreeSet<_>> = secrets.collect();
    let plain = |name: &str| Ok::<_, StoreError>(reader.text_or_none(name)?.map(str::to_owned));
    Ok(Release {
        package: reader.parsed("package")?,
        number: reader.number("release")?,
        files: files.ok_or_else(|| wrong("files"))?,
        settings: PackageSettings {
            secrets: secrets.ok_or_else(|| wrong("secrets"))?,
            description: plain("description")?,
        },
        note: plain("note")?,
        created_at: reader.parsed("created-at")?,
    })
}

fn map<'i>(reader: &Reader<'i>, name: &str) -> Result<&'i HashMap<String, AttributeValue>, StoreError> {
    let value = reader.0.get(name).ok_or_else(|| reader.fault(name, "is absent"))?;
    value.as_m().map_err(|_| reader.fault(name, "is not a map"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn names() -> impl Strategy<Value = PackageName> {
        "[A-Za-z0-9_-]{1,64}".prop_map(|name| PackageName::parse(&name).unwrap())
    }

    fn secrets() -> impl Strategy<Value = BTreeSet<SecretName>> {
        proptest::collection::btree_set(
            "[A-Z][A-Z0-9_]{0,8}".prop_map(|name| SecretName::parse(&name).unwrap()),
            0..4,
        )
    }

    proptest! {
        #[test]
        fn a_package_and_the_set_are_read_back_as_they_were_written(
            name in names(), active in proptest::option::of(any::<u32>()), latest in any::<u32>(), deleting in any::<bool>(),
            version in any::<u64>(), second in 0..9_999_999_999_i64,
            releases in proptest::collection::btree_map(names(), any::<u32>(), 0..5),
        ) {
            let at = Timestamp::from_second(second).unwrap();
            let head = Package { name, active, latest, deleting, created_at: at, changed_at: at, version };
            prop_assert_eq!(read_head(&write_head(&head)).unwrap(), head);
            let set = PackageSet { version, releases };
            prop_assert_eq!(read_set(&write_set(&set)).unwrap(), set);
        }

        #[test]
        fn a_release_is_read_back_as_it_was_written(
            package in names(), number in any::<u32>(), secrets in secrets(), note in proptest::option::of("\\PC{0,20}"),
            description in proptest::option::of("\\PC{0,20}"), texts in proptest::collection::btree_map("[a-z/]{1,9}", ".{0,9}", 0..4),
        ) {
            let release = Release {
                package, number, note, created_at: Timestamp::UNIX_EPOCH,
                files: texts.iter().map(|(name, text)| (name.clone(), PackageFile::of(text))).collect(),
                settings: PackageSettings { secrets, description },
            };
            prop_assert_eq!(read_release(&write_release(&release)).unwrap(), release);
        }
    }
}

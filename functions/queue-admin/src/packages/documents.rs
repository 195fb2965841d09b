use std::collections::{BTreeMap, BTreeSet};

use domain::{Package, Release, SecretName};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// Within this time every worker knows what was changed: it looks every 5 s, and loads what it finds.
const KNOWN_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// A package without what is in it.
pub(super) fn of_package(package: &Package) -> Value {
    json!({
        "package": package.name.as_str(),
        "active": package.active,
        "latest": (package.latest > 0).then_some(package.latest),
        "deleting": package.deleting,
        "created-at": package.created_at.to_string(),
        "active-from": (package.changed_at + KNOWN_WITHIN).to_string(),
    })
}

/// A release without its files.
pub(super) fn of_release(release: &Release, package: &Package) -> Value {
    let active = package.active == Some(release.number);
    json!({
        "package": release.package.as_str(),
        "release": release.number,
        "active": active,
        "handlers": release.handlers(),
        "secrets": release.settings.secrets.iter().map(SecretName::as_str).collect::<Vec<_>>(),
        "description": release.settings.description,
        "note": release.note,
        "digest": release.digest(),
        "created-at": release.created_at.to_string(),
        "active-from": active.then(|| (package.changed_at + KNOWN_WITHIN).to_string()),
    })
}

/// Whether each secret is set: those that the active release declares, and those that are set and nobody declares.
pub(super) fn of_secrets(active: Option<&Release>, set: &BTreeSet<SecretName>) -> Value {
    let declared = active.map(|release| release.settings.secrets.clone()).unwrap_or_default();
    let secrets: BTreeMap<&str, Value> = declared
        .union(set)
        .map(|name| {
            let about = json!({ "set": set.contains(name), "declared": declared.contains(name) });
            (name.as_str(), about)
        })
        .collect();
    json!(secrets)
}

//! Packages over HTTP: look, choose the active release, delete. What is written here is code that runs: see [`Scope::PackageWrite`].

mod documents;
mod releases;
mod secrets;

use api::{Caller, Given, JsonObject, Kind, PathText, Problem, QueryText};
use axum::Json;
use axum::extract::State;
use domain::{Fault, Faults, Names, Package, PackageName, Scope};
use http::StatusCode;
use serde_json::{Value, json};
use zstorage::PackageError;

use crate::{AdminState, queues};

pub(crate) use releases::{read as release, release as create_release};
pub(crate) use secrets::{forget as forget_secret, set as set_secret};

/// `GET package`: a page of the packages that the key may read. Those that only shipped with the workers are not among them:
/// they are in the workers, not in the catalog.
pub(crate) async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    mut query: QueryText,
) -> Result<Json<Value>, Problem> {
    let every = Scope::PackageRead(Names::Any);
    if !caller.scopes.could_cover(&every) {
        caller.require(&every)?;
    }
    let search = query.take("search");
    let (limit, cursor) = queues::page::<PackageName>(query, &["search", "limit", "cursor"])?;
    let page = state.catalog.list_packages(search.as_deref(), limit, cursor.as_ref()).await?;
    let seen = page.items.iter().filter(|package| caller.scopes.cover(&reading(&package.name)));
    let packages: Vec<Value> = seen.map(documents::of_package).collect();
    Ok(Json(json!({ "packages": packages, "cursor": page.next.map(|cursor| cursor.to_string()) })))
}

/// `GET package/{name}`: its active release, a page of its releases, the newest first, and which of its secrets are set.
pub(crate) async fn read(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(name): PathText,
    query: QueryText,
) -> Result<Json<Value>, Problem> {
    let name = named(&caller, &name, Scope::PackageRead)?;
    let (limit, cursor) = queues::page::<u32>(query, &["limit", "cursor"])?;
    let package = state.known_package(&name).await?;
    let page = state.catalog.package_releases(&package, limit, cursor.as_ref()).await?;
    let active = match package.active {
        Some(number) => state.catalog.package_release(&name, number).await?,
        None => None,
    };
    let set = state.catalog.package_secrets(&name).await?;
    let mut document = documents::of_package(&package);
    document["handlers"] = json!(active.as_ref().map(|release| release.handlers()));
    document["description"] = json!(active.as_ref().and_then(|release| release.settings.description.clone()));
    document["secrets"] = documents::of_secrets(active.as_ref(), &set);
    document["releases"] =
        page.items.iter().map(|release| documents::of_release(release, &package)).collect();
    document["cursor"] = json!(page.next.map(|cursor| cursor.to_string()));
    Ok(Json(document))
}

/// `PUT package/{name}/active`: `{"release": 2}` goes back or forward, `{"release": null}` to the shipped one or none.
pub(crate) async fn activate(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(name): PathText,
    body: JsonObject,
) -> Result<Json<Value>, Problem> {
    let name = named(&caller, &name, Scope::PackageWrite)?;
    let mut fields = body.fields()?;
    let release = fields.number("release");
    if release == Given::Absent {
        fields.faults.add("release", "required", "'release' must be given: a number, or null for none");
    }
    fields.refuse_unknown(&["release"]);
    fields.faults.into_result()?;
    let package = state.catalog.activate_package(&name, release.value()).await.map_err(problem)?;
    tracing::info!(
        package.name = name.as_str(),
        package.release = package.active,
        "a package was given another active release"
    );
    Ok(Json(documents::of_package(&package)))
}

/// `DELETE package/{name}`: its releases and secrets too. The shipped package of its name, if there is one, is at work again.
pub(crate) async fn remove(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(name): PathText,
) -> Result<StatusCode, Problem> {
    let name = named(&caller, &name, Scope::PackageWrite)?;
    state.catalog.delete_package(&name).await.map_err(problem)?;
    tracing::info!(package.name = name.as_str(), "a package was deleted");
    Ok(StatusCode::NO_CONTENT)
}

impl AdminState {
    async fn known_package(&self, name: &PackageName) -> Result<Package, Problem> {
        let found = self.catalog.package(name).await?;
        found.ok_or_else(|| problem(PackageError::Missing))
    }
}

fn reading(name: &PackageName) -> Scope {
    Scope::PackageRead(Names::One(name.clone()))
}

/// The name of a package in a path, if the key may do with it what `scope` says. A name that no package can have is told only to
/// a key for all of them.
fn named(
    caller: &Caller,
    text: &str,
    scope: fn(Names<PackageName>) -> Scope,
) -> Result<PackageName, Problem> {
    match PackageName::parse(text) {
        Ok(name) => {
            caller.require(&scope(Names::One(name.clone())))?;
            Ok(name)
        }
        Err(fault) => Err(caller.require(&scope(Names::Any)).err().unwrap_or_else(|| fault.into())),
    }
}

/// What a caller is told when the catalog did not do as asked.
fn problem(error: PackageError) -> Problem {
    match error {
        PackageError::Missing => Problem::new(Kind::NotFound, error.to_string()),
        PackageError::NoRelease(_) => Fault::new("release", "unknown", error.to_string()).into(),
        PackageError::Deleting | PackageError::TooMany => Problem::new(Kind::Conflict, error.to_string()),
        PackageError::Catalog(error) => error.into(),
    }
}

/// A text for people, if one is given: of at most `max_chars`, without control characters but line ends.
fn note(fields: &mut api::Fields<'_>, key: &str, max_chars: usize) -> Option<String> {
    let given = fields.parsed(key, |text| {
        let strange = text.chars().any(|c| c.is_control() && c != '\n');
        if text.chars().count() > max_chars || strange {
            let message =
                format!("'{key}' has at most {max_chars} characters, none of them a control character");
            return Err(Fault::new(key, "length", message));
        }
        Ok(text.to_owned())
    });
    given.value()
}

/// Faults of Luau files as those of a request.
fn syntax(faults: Vec<lua_host::Fault>) -> Faults {
    let mut told = Faults::none();
    for lua_host::Fault { file, line, message } in faults {
        let message = line.map_or_else(|| message.clone(), |line| format!("line {line}: {message}"));
        told.add(domain::package_file_path(&file), "syntax", message);
    }
    told
}

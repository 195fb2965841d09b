use std::collections::BTreeMap;

use api::{Caller, Fields, JsonObject, Kind, PathText, PathTexts, Problem};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Faults, PackageFiles, PackageName, Scope, package_file_path};
use futures::stream::{self, StreamExt, TryStreamExt};
use http::StatusCode;
use http::header::LOCATION;
use lua_host::{KnownPackages, check_package, required_packages};
use serde_json::{Value, json};

use super::{documents, named, note, problem, syntax};
use crate::AdminState;

const MAX_NOTE_CHARS: usize = 500;

/// Files read side by side.
const READS_AT_ONCE: usize = 16;

/// `POST package/{name}/release`: 201 with a new release, or 200 with the active one if it has these very files. What does not
/// compile is refused, every faulty file named with its line, and nothing is changed.
pub(crate) async fn release(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(name): PathText,
    body: JsonObject,
) -> Result<Response, Problem> {
    let name = named(&caller, &name, Scope::PackageWrite)?;
    let mut fields = body.fields()?;
    let note = note(&mut fields, "note", MAX_NOTE_CHARS);
    let activate = fields.flag("activate");
    let files = files(&mut fields);
    fields.refuse_unknown(&["files", "note", "activate"]);
    fields.faults.into_result()?;
    let files = PackageFiles::check(files)?;
    state.check(&name, &files).await?;
    let activate = activate.value().unwrap_or(true);
    let done = state.catalog.release_package(&name, &files, note.as_deref(), activate).await;
    let done = done.map_err(problem)?;
    let document = Json(documents::of_release(&done.release, &done.package));
    if !done.new {
        return Ok(document.into_response());
    }
    let number = done.release.number;
    tracing::info!(
        package.name = name.as_str(),
        package.release = number,
        package.activated = activate,
        "a package was released"
    );
    let location = format!("{}/package/{name}/release/{number}", api::BASE);
    Ok((StatusCode::CREATED, [(LOCATION, location)], document).into_response())
}

/// `GET package/{name}/release/{n}`: a release with its files.
pub(crate) async fn read(
    State(state): State<AdminState>,
    caller: Caller,
    PathTexts(name, number): PathTexts,
) -> Result<Json<Value>, Problem> {
    let name = named(&caller, &name, Scope::PackageRead)?;
    let package = state.known_package(&name).await?;
    let found = match number.parse() {
        Ok(number) => state.catalog.package_release(&name, number).await?,
        Err(_no_number) => None,
    };
    let release =
        found.ok_or_else(|| Problem::new(Kind::NotFound, "this package has no release of this number"))?;
    let reads = release.files.clone().into_iter().map(|(name, file)| {
        let catalog = state.catalog.clone();
        async move { Ok::<_, Problem>((name, catalog.package_file(&file).await?)) }
    });
    let files: BTreeMap<_, _> = stream::iter(reads).buffer_unordered(READS_AT_ONCE).try_collect().await?;
    let mut document = documents::of_release(&release, &package);
    document["files"] = json!(files);
    Ok(Json(document))
}

/// The field `files`: names to texts.
fn files(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let given = fields.json("files");
    let Some(Value::Object(entries)) = fields.required("files", given) else {
        if fields.faults.is_empty() {
            fields.faults.add("files", "type", "'files' is an object of names to texts");
        }
        return BTreeMap::new();
    };
    let mut files = BTreeMap::new();
    for (name, text) in entries {
        match text {
            Value::String(text) => {
                files.insert(name, text);
            }
            _ => fields.faults.add(package_file_path(&name), "type", "a file is a text"),
        }
    }
    files
}

impl AdminState {
    /// Refuses what does not compile, and a `require` of what nobody has. Of packages that are not released nothing can be said:
    /// they may have shipped with the workers.
    async fn check(&self, name: &PackageName, files: &PackageFiles) -> Result<(), Problem> {
        let mut others = KnownPackages::new();
        let required = required_packages(files.as_map());
        if !required.is_empty() {
            let set = self.catalog.package_set().await?;
            for (package, number) in &set.releases {
                if package != name
                    && required.contains(package.as_str())
                    && let Some(release) = self.catalog.package_release(package, *number).await?
                {
                    others.insert(package.to_string(), release.files.into_keys().collect());
                }
            }
        }
        let (name, files) = (name.to_string(), files.as_map().clone());
        let found = tokio::task::spawn_blocking(move || check_package(&name, &files, &others)).await;
        let found = found.map_err(|error| {
            tracing::error!(%error, "a package could not be checked");
            Problem::new(Kind::Internal, "the files could not be checked; this is a mistake of ours")
        })?;
        let faults: Faults = syntax(found);
        Ok(faults.into_result()?)
    }
}

use api::{Caller, JsonObject, Kind, PathTexts, Problem};
use axum::extract::State;
use domain::{Fault, MAX_PACKAGE_SECRETS, Scope, Secret, SecretName};
use http::StatusCode;

use super::{named, problem};
use crate::{AdminState, problems};

/// A secret has at most this many bytes: what KMS seals by itself.
const MAX_SECRET_BYTES: usize = 4096;

/// `PUT package/{name}/secret/{NAME}`: goes in and never comes out. It may be set before the release that declares it.
pub(crate) async fn set(
    State(state): State<AdminState>,
    caller: Caller,
    PathTexts(name, secret): PathTexts,
    body: JsonObject,
) -> Result<StatusCode, Problem> {
    let name = named(&caller, &name, Scope::PackageWrite)?;
    let secret = SecretName::parse(&secret)?;
    let mut fields = body.fields()?;
    let value = fields.parsed("value", |text| match text.len() {
        1..=MAX_SECRET_BYTES => Ok(Secret::new(text)),
        bytes => {
            let message = format!("a secret has 1 to {MAX_SECRET_BYTES} bytes, not {bytes}");
            Err(Fault::new("value", "length", message))
        }
    });
    let missing = matches!(value, api::Given::Absent | api::Given::Null);
    if missing {
        fields.faults.add("value", "required", "'value' must be given");
    }
    fields.refuse_unknown(&["value"]);
    fields.faults.into_result()?;
    let value = value.value().unwrap_or_else(|| Secret::new(""));
    let known = state.catalog.package_secrets(&name).await?;
    if known.len() >= MAX_PACKAGE_SECRETS && !known.contains(&secret) {
        let detail = format!("{MAX_PACKAGE_SECRETS} secrets of this package are set, and no more can be");
        return Err(Problem::new(Kind::Conflict, detail));
    }
    let sealed = state.sealer.seal_secret(&name, &secret, &value).await;
    let sealed = sealed.map_err(|error| problems::of_sealer(&error))?;
    state.catalog.set_package_secret(&name, &secret, &sealed).await.map_err(problem)?;
    tracing::info!(package.name = name.as_str(), secret.name = secret.as_str(), "a secret was set");
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE package/{name}/secret/{NAME}`
pub(crate) async fn forget(
    State(state): State<AdminState>,
    caller: Caller,
    PathTexts(name, secret): PathTexts,
) -> Result<StatusCode, Problem> {
    let name = named(&caller, &name, Scope::PackageWrite)?;
    let secret = SecretName::parse(&secret)?;
    if state.catalog.delete_package_secret(&name, &secret).await.map_err(problem)? {
        tracing::info!(package.name = name.as_str(), secret.name = secret.as_str(), "a secret was deleted");
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(Kind::NotFound, "no secret of this name is set"))
}

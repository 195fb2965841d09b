use std::sync::Arc;

use domain::{ApiKey, ApiKeyText, Clock, KeyId, Scopes};
use http::{HeaderMap, header::AUTHORIZATION};
use zstorage::Catalog;

use crate::{Caller, Kind, Problem, header};

/// Where API keys are known: turns what a caller presents into a [`Caller`].
#[derive(Clone)]
pub struct Keys {
    catalog: Catalog,
    clock: Clock,
    /// Opened by no secret: an unknown key costs the same work as a known one.
    nobody: Arc<ApiKey>,
}

impl Keys {
    /// Keys as the catalog knows them (cached there for 60 s at most), their expiry measured by `clock`.
    pub fn new(catalog: Catalog, clock: Clock) -> Keys {
        let nobody = ApiKey {
            id: KeyId::new(clock.now(), &mut rand::rng()),
            label: String::new(),
            scopes: Scopes::default(),
            secret_hashes: vec![[0; 32]; domain::MAX_LIVE_SECRETS],
            created_at: clock.now(),
            expires_at: None,
            revoked_at: None,
        };
        Keys { catalog, clock, nobody: Arc::new(nobody) }
    }

    /// The caller behind a request's headers. Unknown, foreign, revoked and expired keys get one and the same 401.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let text = presented(headers)?;
        // A typo is told from a stranger by the key's own checksum; that says nothing about our keys.
        let text = ApiKeyText::parse(text)
            .map_err(|error| Problem::new(Kind::Unauthenticated, error.to_string()))?;
        let known = self.catalog.key(text.id).await?;
        let key = known.as_ref().unwrap_or(&self.nobody);
        if key.opens(&text.secret, self.clock.now()) && known.is_some() {
            return Ok(Caller { key: key.id, scopes: key.scopes.clone() });
        }
        Err(Problem::new(
            Kind::Unauthenticated,
            "this API key opens nothing here: it is unknown, revoked or expired",
        ))
    }
}

/// The one key that a request presents: as `Authorization: Bearer KEY` or as `x-api-key: KEY`.
fn presented(headers: &HeaderMap) -> Result<&str, Problem> {
    let refused = |detail: &str| Problem::new(Kind::Unauthenticated, detail);
    let header = |name| header(headers, name).map_err(|fault| refused(&fault.message));
    let bearer = match header(AUTHORIZATION.as_str())?.map(|value| value.split_once(' ')) {
        None => None,
        Some(Some((scheme, key))) if scheme.eq_ignore_ascii_case("bearer") => Some(key.trim()),
        Some(_) => return Err(refused("the Authorization header must be: Bearer KEY")),
    };
    match (bearer, header("x-api-key")?) {
        (Some(one), Some(other)) if one != other => {
            Err(refused("Authorization and x-api-key present two different keys; send one"))
        }
        (Some(key), _) | (None, Some(key)) => Ok(key),
        (None, None) => {
            Err(refused("this call needs an API key: Authorization: Bearer KEY, or x-api-key: KEY"))
        }
    }
}

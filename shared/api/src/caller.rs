use axum::extract::FromRequestParts;
use domain::{KeyId, Scope, Scopes};
use http::request::Parts;

use crate::{Kind, Problem};

/// Who is calling: the API key that was presented, and what it may do. Put there by [`crate::serve`].
#[derive(Debug, Clone)]
pub struct Caller {
    /// Which key.
    pub key: KeyId,
    /// What it may do.
    pub scopes: Scopes,
}

impl Caller {
    /// Refuses with 403 unless the key may do `asked`.
    pub fn require(&self, asked: &Scope) -> Result<(), Problem> {
        if self.scopes.cover(asked) {
            return Ok(());
        }
        Err(Problem::new(Kind::Forbidden, format!("this API key has no scope that covers {asked}")))
    }

    /// What to say of something named `what` that does not exist: 404 to a key whose scopes cover `every` thing of its
    /// kind, 403 to all others. They would get 403 for it if it existed, so they learn nothing.
    pub fn unknown(&self, every: &Scope, what: &str) -> Problem {
        match self.require(every) {
            Ok(()) => Problem::new(Kind::NotFound, format!("there is no {what}")),
            Err(forbidden) => forbidden,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// A route that is served without [`crate::serve`] has no caller, and is closed.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Caller, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(|| {
            Problem::new(
                Kind::Unauthenticated,
                "this call needs an API key: Authorization: Bearer KEY, or x-api-key: KEY",
            )
        })
    }
}

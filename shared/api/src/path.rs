use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Path, Query};
use domain::Faults;
use http::request::Parts;

use crate::{Kind, Problem};

/// The one variable part of a path, percent-decoded.
#[derive(Debug, Clone)]
pub struct PathText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<PathText, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(text)| PathText(text))
            .map_err(|_| Problem::new(Kind::Malformed, "the path is not UTF-8 behind its percent signs"))
    }
}

/// The two variable parts of a path, percent-decoded, in order.
#[derive(Debug, Clone)]
pub struct PathTexts(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathTexts {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<PathTexts, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        path.map(|Path((first, second))| PathTexts(first, second))
            .map_err(|_| Problem::new(Kind::Malformed, "the path is not UTF-8 behind its percent signs"))
    }
}

/// The query's parameters, each of which may stand once.
#[derive(Debug, Clone)]
pub struct QueryText(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for QueryText {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<QueryText, Problem> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) =
            query.map_err(|_| Problem::new(Kind::Malformed, "the query behind '?' cannot be read"))?;
        let (mut known, mut faults) = (BTreeMap::new(), Faults::none());
        for (name, value) in pairs {
            if known.insert(name.clone(), value).is_some() {
                faults.add(name, "repeated", "this parameter may stand once");
            }
        }
        faults.into_result()?;
        Ok(QueryText(known))
    }
}

impl QueryText {
    /// The parameter `name`, if it stands there and is not empty.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    /// Notes a fault for every parameter not taken.
    pub fn refuse_unknown(self, known: &[&str], faults: &mut Faults) {
        for name in self.0.into_keys() {
            let shown: String = name.chars().take(80).collect();
            let message = format!("there is no parameter of this name; there are: {}", known.join(", "));
            faults.add(shown, "unknown-parameter", message);
        }
    }
}

use axum::response::{IntoResponse, Response};
use domain::{Fault, Faults};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use zstorage::{CatalogError, MessagesError, StoreError};

/// Of many faults so many are listed: an answer is never as large as what it answers.
const MAX_LISTED: usize = 100;

/// What went wrong, in the words a client program can switch on: `type` is `urn:queuelink:problem:<slug>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 400: the request is not HTTP or JSON as we can read it.
    Malformed,
    /// 401: no key, or one that opens nothing.
    Unauthenticated,
    /// 403: the key has not the right, whether or not the thing exists.
    Forbidden,
    /// 404: there is no such thing, or no such path.
    NotFound,
    /// 405: the path exists, not with this method.
    MethodNotAllowed,
    /// 409: it contradicts what is there.
    Conflict,
    /// 409: the same request is being worked on.
    InFlight,
    /// 412: it was changed since the caller read it.
    Stale,
    /// 413: too large.
    TooLarge,
    /// 422: readable, but wrong; `errors` names every fault.
    Invalid,
    /// 422: the idempotency key was used with another body.
    OtherBody,
    /// 503: an engine or a store does not answer, or refuses.
    Unavailable,
    /// 500: a mistake of ours.
    Internal,
}

impl Kind {
    /// The last part of the problem's `type`, such as `not-found`.
    fn slug(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Kind::Malformed => (StatusCode::BAD_REQUEST, "malformed", "The request cannot be read"),
            Kind::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "A valid API key is needed")
            }
            Kind::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "This API key has not the right"),
            Kind::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Kind::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method")
            }
            Kind::Conflict => (StatusCode::CONFLICT, "conflict", "It contradicts what is there"),
            Kind::InFlight => (StatusCode::CONFLICT, "in-flight", "The same request is being worked on"),
            Kind::Stale => (StatusCode::PRECONDITION_FAILED, "stale", "It was changed meanwhile"),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large"),
            Kind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request has faults"),
            Kind::OtherBody => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "This key was used with another body",
            ),
            Kind::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Something we need is down")
            }
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "A mistake on our side"),
        }
    }
}

/// An error as a client sees it: a problem document (RFC 9457), `application/problem+json`.
///
/// Shape: `type`, `title`, `status`, `detail`, `errors: [{"path","code","message"}]` (empty where nothing is to be
/// listed), and extensions beside them. Boxed inside, because it stands in the `Err` of nearly every function here.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone, PartialEq)]
struct Parts {
    kind: Kind,
    detail: String,
    errors: Vec<Fault>,
    extensions: Map<String, Value>,
    retry_after_secs: Option<u32>,
}

impl Problem {
    /// A problem of `kind`, told in a sentence.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem(Box::new(Parts {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            extensions: Map::new(),
            retry_after_secs: None,
        }))
    }

    /// One more member beside the five, such as `letter`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Problem {
        self.0.extensions.insert(key.to_owned(), value.into());
        self
    }

    /// One more thing to be listed under `errors`, unless a hundred stand there already.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Problem {
        if self.0.errors.len() < MAX_LISTED {
            self.0.errors.push(fault);
        }
        self
    }

    /// Adds the header `Retry-After`, seconds.
    #[must_use]
    pub fn retry_after(mut self, secs: u32) -> Problem {
        self.0.retry_after_secs = Some(secs);
        self
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The same problem with what it lists one level further in, under `prefix`.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Problem {
        let faults = std::mem::take(&mut self.0.errors);
        self.0.errors = faults.into_iter().map(|fault| fault.under(prefix)).collect();
        self
    }

    /// The same problem as that of the part of a request at `prefix`: it lists at least one thing, which lies there.
    #[must_use]
    pub fn under(self, prefix: &str) -> Problem {
        let mut problem = self.within(prefix);
        if problem.0.errors.is_empty() {
            let fault = Fault::new(prefix, problem.0.kind.slug(), problem.0.detail.clone());
            problem.0.errors.push(fault);
        }
        problem
    }

    /// What is listed under `errors`.
    pub fn faults(&self) -> &[Fault] {
        &self.0.errors
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.kind.parts().0
    }

    /// The document itself, for places where it stands inside another answer (a batch).
    pub fn document(&self) -> Value {
        let (status, slug, title) = self.0.kind.parts();
        let fault = |f: &Fault| json!({"path": f.path, "code": f.code, "message": f.message});
        let mut document = json!({
            "type": format!("urn:queuelink:problem:{slug}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.0.detail,
            "errors": self.0.errors.iter().map(fault).collect::<Vec<_>>(),
        });
        if let Value::Object(members) = &mut document {
            members.extend(self.0.extensions.clone());
        }
        document
    }
}

impl From<Faults> for Problem {
    /// 400 for what is not JSON, 413 for what is too large, else 422; every fault is listed.
    fn from(faults: Faults) -> Problem {
        let has = |code: &str| faults.0.iter().any(|fault| fault.code == code);
        let kind = match () {
            () if has("not-json") => Kind::Malformed,
            () if has("too-large") && faults.0.len() == 1 => Kind::TooLarge,
            () => Kind::Invalid,
        };
        let mut problem = Problem::new(kind, faults.to_string());
        problem.0.errors = faults.0;
        problem
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        Faults::from(fault).into()
    }
}

impl From<CatalogError> for Problem {
    /// 409 for a name or queue that is taken and for what another request was faster with, 503 for a store that does
    /// not answer.
    fn from(error: CatalogError) -> Problem {
        match &error {
            CatalogError::Taken { field } => {
                let mut problem = Problem::new(Kind::Conflict, error.to_string());
                problem.0.errors.push(Fault::new(*field, "taken", error.to_string()));
                problem
            }
            CatalogError::Unfit(faults) => faults.clone().into(),
            CatalogError::Conflict => Problem::new(Kind::Conflict, error.to_string()).retry_after(1),
            CatalogError::Store(_) => store_down(&error),
        }
    }
}

impl From<MessagesError> for Problem {
    fn from(error: MessagesError) -> Problem {
        store_down(&error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        store_down(&error)
    }
}

/// What the store said goes to the log, with all that lies beneath it; the caller is told that it is the store.
fn store_down(error: &dyn std::error::Error) -> Problem {
    let beneath: Vec<String> =
        std::iter::successors(error.source(), |&inner| inner.source()).map(ToString::to_string).collect();
    tracing::error!(error.message = %error, error.beneath = beneath.join(": "), "The store did not do what was asked.");
    Problem::new(Kind::Unavailable, "the store behind this API does not answer as it should; try again")
        .retry_after(2)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.document().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(secs) = self.0.retry_after_secs {
            headers.insert(header::RETRY_AFTER, secs.into());
        }
        if self.kind() == Kind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(problem: &Problem) -> Vec<(&str, &str)> {
        problem.faults().iter().map(|fault| (fault.path.as_str(), fault.code)).collect()
    }

    #[test]
    fn a_problem_of_a_part_lists_where_that_part_is() {
        let invalid = Problem::from(Fault::new("email", "required", "it must be given"));
        assert_eq!(places(&invalid.clone().within("fields")), [("fields/email", "required")]);
        assert_eq!(
            places(&invalid.within("fields").under("operations/3")),
            [("operations/3/fields/email", "required")]
        );
        let missing = Problem::new(Kind::NotFound, "there is no record of this id");
        assert_eq!(places(&missing.clone().within("update")), []);
        assert_eq!(places(&missing.under("operations/3")), [("operations/3", "not-found")]);
    }

    #[test]
    fn an_answer_lists_a_hundred_faults_and_no_more() {
        let fault = || Fault::new("x", "type", "y");
        let problem =
            (0..300).fold(Problem::new(Kind::Invalid, ""), |problem, _| problem.with_fault(fault()));
        assert_eq!(problem.faults().len(), MAX_LISTED);
    }
}

//! Versions in headers: what an answer shows as `ETag`, a change may say as `If-Match`.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use domain::{Fault, Faults};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use crate::{Kind, Problem, header};

/// A version as an entity tag: `"3"`.
pub fn etag(version: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("digits and quotation marks are visible ASCII")
}

/// What a request says in `If-Match`: it changes that version and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(Result<Option<u64>, Fault>);

impl IfMatch {
    /// From the headers of a request.
    pub fn of(headers: &HeaderMap) -> IfMatch {
        IfMatch(header(headers, "if-match").and_then(|tag| tag.map_or(Ok(None), version)))
    }

    /// Refuses the header where it would mean nothing; `instead` tells what to do.
    ///
    /// # Errors
    /// A fault at `if-match` where it stands.
    pub fn refuse(headers: &HeaderMap, instead: &str) -> Result<(), Fault> {
        if headers.contains_key("if-match") {
            return Err(Fault::new("if-match", "not-here", instead));
        }
        Ok(())
    }

    /// The version that is to be changed; `None` = any.
    ///
    /// # Errors
    /// A fault at `if-match` where it is no version.
    pub fn version(&self) -> Result<Option<u64>, Fault> {
        self.0.clone()
    }

    /// `read`, what else the request says, if the header is sound, too; otherwise the faults of both at once.
    ///
    /// # Errors
    /// 422 for the header, and whatever `read` has.
    pub fn beside<T>(&self, read: Result<T, impl Into<Problem>>) -> Result<T, Problem> {
        let Err(of_header) = &self.0 else { return read.map_err(Into::into) };
        let mut faults = Faults::from(of_header.clone());
        match read.map_err(Into::into) {
            Err(problem) if problem.kind() != Kind::Invalid => return Err(problem),
            Err(problem) => faults.0.extend(problem.faults().iter().cloned()),
            Ok(_) => {}
        }
        Err(faults.into())
    }

    /// Refuses what has another version than the caller knows.
    ///
    /// # Errors
    /// 412 with `version`, the one it has now. A header that is no version is let pass: [`IfMatch::beside`] tells of it.
    pub fn require(&self, current: u64) -> Result<(), Problem> {
        match self.0 {
            Ok(Some(known)) if known != current => {
                let detail = format!("it has version {current} now; read it again and repeat the change");
                Err(Problem::new(Kind::Stale, detail).with("version", current))
            }
            _ => Ok(()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    /// A header that is wrong refuses nothing yet: rights come first, and its fault is told with all others.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<IfMatch, Infallible> {
        Ok(IfMatch::of(&parts.headers))
    }
}

/// The version in an `If-Match`: `"3"`, as an ETag has it, or `3`. `*` is any version, so it asks for none.
fn version(tag: &str) -> Result<Option<u64>, Fault> {
    if tag == "*" {
        return Ok(None);
    }
    let digits = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(tag);
    // `parse` alone would take "+3", too.
    let read = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    read.map(Some).ok_or_else(|| {
        let message = "If-Match is one version, as the ETag of an answer has it: \"3\"";
        Fault::new("if-match", "type", message)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn of(tags: &[&str]) -> IfMatch {
        let mut headers = HeaderMap::new();
        for tag in tags {
            headers.append("if-match", HeaderValue::from_str(tag).unwrap());
        }
        IfMatch::of(&headers)
    }

    #[test]
    fn a_version_is_read_exactly_or_refused() {
        let check = |tags: &[&str], expect: Result<Option<u64>, &str>| {
            assert_eq!(of(tags).version().map_err(|fault| fault.code), expect, "{tags:?}");
        };
        check(&[], Ok(None));
        check(&["\"3\""], Ok(Some(3)));
        check(&["3"], Ok(Some(3)));
        check(&[" 18446744073709551615 "], Ok(Some(u64::MAX)));
        check(&["*"], Ok(None));
        check(&["1", "1"], Err("repeated"));
        for wrong in [
            "",
            "\"\"",
            "\"3",
            "3\"",
            "W/\"3\"",
            "\"1\", \"2\"",
            "+3",
            "-3",
            "3.0",
            "x",
            "18446744073709551616",
        ] {
            check(&[wrong], Err("type"));
        }
    }

    #[test]
    fn the_headers_fault_is_told_with_those_of_the_rest_and_behind_what_weighs_more() {
        let codes = |told: Result<(), Problem>| {
            let problem = told.unwrap_err();
            let codes: Vec<_> = problem.faults().iter().map(|fault| fault.code).collect();
            (problem.status().as_u16(), codes)
        };
        let body = || Fault::new("on", "required", "it must be given");
        assert_eq!(codes(of(&["x"]).beside(Err::<(), Fault>(body()))), (422, vec!["type", "required"]));
        assert_eq!(codes(of(&["x"]).beside(Ok::<(), Fault>(()))), (422, vec!["type"]));
        assert_eq!(codes(of(&["1"]).beside(Err::<(), Fault>(body()))), (422, vec!["required"]));
        let missing = Problem::new(Kind::NotFound, "no");
        assert_eq!(codes(of(&["x"]).beside(Err::<(), Problem>(missing))), (404, vec![]));
        assert_eq!(codes(of(&["2"]).require(3)), (412, vec![]));
        assert!([of(&["3"]), of(&["*"]), of(&[]), of(&["x"])].iter().all(|tag| tag.require(3).is_ok()));
    }
}

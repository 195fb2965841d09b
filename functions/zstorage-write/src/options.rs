use api::{Caller, header};
use domain::{Fault, Faults};
use http::HeaderMap;
use sha2::{Digest, Sha256};
use zstorage::By;

/// What a caller says of a write beside its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The same key with the same request is one write.
    pub(crate) idempotency_key: Option<String>,
    /// The version that the caller knows; nothing is written over another one.
    pub(crate) if_match: Option<u64>,
}

impl Options {
    /// From the headers of a request about one record that is there.
    pub(crate) fn of_change(headers: &HeaderMap) -> (Options, Faults) {
        let mut faults = Faults::none();
        let idempotency_key = idempotency_key(headers, &mut faults);
        let if_match = faults.take(header(headers, "if-match")).flatten();
        let if_match = if_match.and_then(|tag| faults.take(version(tag))).flatten();
        (Options { idempotency_key, if_match }, faults)
    }

    /// From the headers of a request that no version can be said of; `instead` tells what to do.
    pub(crate) fn without_version(headers: &HeaderMap, instead: &str) -> (Options, Faults) {
        let mut faults = Faults::none();
        let idempotency_key = idempotency_key(headers, &mut faults);
        if headers.contains_key("if-match") {
            faults.add("if-match", "not-here", instead);
        }
        (Options { idempotency_key, if_match: None }, faults)
    }

    /// Who writes: under an idempotency key, with what tells this request from another under the same key.
    pub(crate) fn by(&self, caller: &Caller, method: &str, path: &str, body: &[u8]) -> By {
        let fingerprint = || {
            let mut hash = Sha256::new();
            let if_match = self.if_match.map(u64::to_be_bytes);
            let if_match: &[u8] = if_match.as_ref().map_or(&[], |bytes| bytes);
            // Lengths first, so that nothing moves from one part to the next unseen.
            for part in [method.as_bytes(), path.as_bytes(), if_match, body] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
            hash.finalize().into()
        };
        let idempotency = self.idempotency_key.as_ref().map(|key| (key.clone(), fingerprint()));
        By { caller: caller.key, idempotency }
    }
}

fn idempotency_key(headers: &HeaderMap, faults: &mut Faults) -> Option<String> {
    let key = faults.take(header(headers, "idempotency-key")).flatten()?;
    if key.is_empty() || key.len() > 255 {
        faults.add("idempotency-key", "length", "an idempotency key has 1 to 255 bytes");
        return None;
    }
    Some(key.to_owned())
}

/// The version in an `If-Match`: `"3"`, as an ETag has it, or `3`. `*` is any version, so it asks for none.
fn version(tag: &str) -> Result<Option<u64>, Fault> {
    if tag == "*" {
        return Ok(None);
    }
    let digits = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(tag);
    read_version(digits).map(Some).ok_or_else(|| {
        let message = "If-Match is one version, as the ETag of an answer has it: \"3\"";
        Fault::new("if-match", "type", message)
    })
}

fn read_version(digits: &str) -> Option<u64> {
    // `parse` alone would take "+3", too.
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(given: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn told(faults: &Faults) -> Vec<(&str, &str)> {
        faults.0.iter().map(|f| (f.path.as_str(), f.code)).collect()
    }

    #[test]
    fn a_version_is_read_exactly_or_refused() {
        let check = |tag: &str, expect: Result<Option<u64>, &[(&str, &str)]>| {
            let (options, faults) = Options::of_change(&headers(&[("if-match", tag.as_bytes())]));
            match expect {
                Ok(version) => assert_eq!((options.if_match, told(&faults)), (version, vec![]), "{tag}"),
                Err(expect) => assert_eq!((options.if_match, &told(&faults)[..]), (None, expect), "{tag}"),
            }
        };
        check("\"3\"", Ok(Some(3)));
        check("3", Ok(Some(3)));
        check(" 18446744073709551615 ", Ok(Some(u64::MAX)));
        check("*", Ok(None));
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
            check(wrong, Err(&[("if-match", "type")]));
        }
    }

    #[test]
    fn headers_that_are_wrong_are_named_together() {
        let (_, faults) = Options::of_change(&headers(&[
            ("idempotency-key", b"a"),
            ("idempotency-key", b"b"),
            ("if-match", b"soon"),
        ]));
        assert_eq!(told(&faults), [("idempotency-key", "repeated"), ("if-match", "type")]);
        let (_, faults) = Options::of_change(&headers(&[("idempotency-key", b"")]));
        assert_eq!(told(&faults), [("idempotency-key", "length")]);
        let (_, faults) = Options::without_version(
            &headers(&[("if-match", b"3"), ("idempotency-key", &[b'a'; 256])]),
            "no",
        );
        assert_eq!(told(&faults), [("idempotency-key", "length"), ("if-match", "not-here")]);
    }
}

use api::{Caller, IfMatch, QueryText, header};
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
    /// Whether the answer waits until the messages of this write are on their queues.
    pub(crate) waits: bool,
    /// How many links this write follows from: a handler passes on what its message says.
    pub(crate) depth: u32,
}

impl Options {
    /// Of a request about one record that is there.
    pub(crate) fn of_change(headers: &HeaderMap, query: QueryText) -> (Options, Faults) {
        let (options, mut faults) = Options::read(headers, query);
        let if_match = faults.take(IfMatch::of(headers).version()).flatten();
        (Options { if_match, ..options }, faults)
    }

    /// Of a request that no version can be said of; `instead` tells what to do.
    pub(crate) fn without_version(headers: &HeaderMap, query: QueryText, instead: &str) -> (Options, Faults) {
        let (options, mut faults) = Options::read(headers, query);
        faults.take(IfMatch::refuse(headers, instead));
        (options, faults)
    }

    /// What every write may be asked for.
    fn read(headers: &HeaderMap, mut query: QueryText) -> (Options, Faults) {
        let mut faults = Faults::none();
        let idempotency_key = idempotency_key(headers, &mut faults);
        let depth = faults.take(header(headers, "link-depth")).flatten();
        let depth = depth.and_then(|text| faults.take(depth_of(text))).unwrap_or(0);
        let waits = match query.take("wait").as_deref() {
            None => false,
            Some("published") => true,
            Some(_) => {
                let message = "a write can wait for one thing: wait=published";
                faults.add("wait", "value", message);
                false
            }
        };
        query.refuse_unknown(&["wait"], &mut faults);
        (Options { idempotency_key, if_match: None, waits, depth }, faults)
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
        By { caller: caller.key, idempotency, depth: self.depth }
    }
}

fn depth_of(text: &str) -> Result<u32, Fault> {
    // `parse` alone would take "+1", too.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or_else(|| {
        let message = "Link-Depth is a whole number: how many links this write follows from";
        Fault::new("link-depth", "type", message)
    })
}

fn idempotency_key(headers: &HeaderMap, faults: &mut Faults) -> Option<String> {
    let key = faults.take(header(headers, "idempotency-key")).flatten()?;
    if key.is_empty() || key.len() > 255 {
        faults.add("idempotency-key", "length", "an idempotency key has 1 to 255 bytes");
        return None;
    }
    Some(key.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use axum::extract::FromRequestParts;
    use http::{HeaderName, HeaderValue};

    fn headers(given: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn query(text: &str) -> QueryText {
        let request = http::Request::builder().uri(format!("/?{text}")).body(()).unwrap();
        let mut parts = request.into_parts().0;
        futures::executor::block_on(QueryText::from_request_parts(&mut parts, &())).unwrap()
    }

    fn told(faults: &Faults) -> Vec<(&str, &str)> {
        faults.0.iter().map(|f| (f.path.as_str(), f.code)).collect()
    }

    #[test]
    fn headers_and_parameters_that_are_wrong_are_named_together() {
        let check = |given: &[(&'static str, &[u8])], asked: &str, expect: &[(&str, &str)]| {
            let (_, faults) = Options::of_change(&headers(given), query(asked));
            assert_eq!(told(&faults), expect, "{asked}");
        };
        check(
            &[("idempotency-key", b"a"), ("idempotency-key", b"b"), ("if-match", b"soon")],
            "wait=processed&more=1",
            &[
                ("idempotency-key", "repeated"),
                ("wait", "value"),
                ("more", "unknown-parameter"),
                ("if-match", "type"),
            ],
        );
        check(&[("idempotency-key", b"")], "", &[("idempotency-key", "length")]);
        for wrong in [&b"-1"[..], b"+1", b"", b"1.0", b"99999999999"] {
            check(&[("link-depth", wrong)], "", &[("link-depth", "type")]);
        }
        let (_, faults) = Options::without_version(
            &headers(&[("if-match", b"3"), ("idempotency-key", &[b'a'; 256])]),
            query("wait"),
            "no",
        );
        assert_eq!(told(&faults), [("idempotency-key", "length"), ("if-match", "not-here")]);
    }

    #[test]
    fn a_write_is_told_to_wait_and_how_deep_it_is() {
        let (options, faults) = Options::of_change(
            &headers(&[("link-depth", b"3"), ("if-match", b"7")]),
            query("wait=published"),
        );
        assert_eq!(told(&faults), []);
        assert_eq!((options.waits, options.depth, options.if_match), (true, 3, Some(7)));
        let (options, _) = Options::of_change(&headers(&[]), query(""));
        assert_eq!(options, Options::default());
    }
}

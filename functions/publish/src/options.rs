use api::{Fields, Given, QueryText, header};
use delivery::Options;
use domain::{Fault, Faults, moment};
use http::HeaderMap;

/// The options of a single message, from its headers, and what is wrong with their form.
pub(crate) fn of_request(headers: &HeaderMap, query: QueryText) -> (Options, Faults) {
    let (options, mut faults) = of_headers(headers);
    query.refuse_unknown(&[], &mut faults);
    (options, faults)
}

fn of_headers(headers: &HeaderMap) -> (Options, Faults) {
    let mut faults = Faults::none();
    let mut text = |name| faults.take(header(headers, name)).flatten().map(str::to_owned);
    let (idempotency_key, ordering_key) = (text("idempotency-key"), text("ordering-key"));
    let (delay, date) = (text("deliver-after"), text("deliver-at"));
    let deliver_after_secs = delay.and_then(|delay| faults.take(seconds(&delay)));
    let deliver_at =
        date.and_then(|date| faults.take(moment(&date).map_err(|fault| fault.under("deliver-at"))));
    (Options { idempotency_key, ordering_key, deliver_after_secs, deliver_at }, faults)
}

/// Refuses the headers of a single message beside a batch: to pass them over would be to publish without them.
pub(crate) fn none_of_headers(headers: &HeaderMap, query: QueryText) -> Result<(), Faults> {
    let mut faults = Faults::none();
    query.refuse_unknown(&[], &mut faults);
    for name in ["idempotency-key", "ordering-key", "deliver-after", "deliver-at"] {
        if headers.contains_key(name) {
            let message =
                format!("of a batch each message says this for itself: put '{name}' into its entry");
            faults.add(name, "not-on-batch", message);
        }
    }
    faults.into_result()
}

/// The options of one message of a batch; what is wrong with their form goes to the fields' faults.
pub(crate) fn of_fields(fields: &mut Fields<'_>) -> Options {
    let value = Given::<String>::value;
    Options {
        idempotency_key: value(fields.text("idempotency-key")),
        ordering_key: value(fields.text("ordering-key")),
        deliver_after_secs: fields.number("deliver-after").value(),
        deliver_at: fields.parsed("deliver-at", moment).value(),
    }
}

fn seconds(text: &str) -> Result<u32, Fault> {
    let fault =
        || Fault::new("deliver-after", "type", "Deliver-After is a whole number of seconds, 0 to 900");
    // `parse` alone would take "+5", too.
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(fault());
    }
    text.parse().map_err(|_too_large| fault())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn headers_are_read_once_and_exactly() {
        let check = |given: &[(&'static str, &[u8])], expect: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
            }
            let (_, faults) = of_headers(&headers);
            let found: Vec<_> = faults.0.iter().map(|f| (f.path.as_str(), f.code)).collect();
            assert_eq!(found, expect, "{given:?}");
        };
        check(&[], &[]);
        check(&[("idempotency-key", b"a"), ("ordering-key", b"b"), ("deliver-after", b"900")], &[]);
        check(&[("deliver-after", b"-1")], &[("deliver-after", "type")]);
        check(&[("deliver-after", b"+1")], &[("deliver-after", "type")]);
        check(&[("deliver-after", b"")], &[("deliver-after", "type")]);
        check(&[("deliver-after", b"99999999999")], &[("deliver-after", "type")]);
        check(
            &[("deliver-after", b"soon"), ("ordering-key", b"\xff")],
            &[("ordering-key", "not-ascii"), ("deliver-after", "type")],
        );
        for date in
            [&b"2030-02-28T18:30:00Z"[..], b"2030-02-28T18:30:00.5-03:00", b"1999-12-31T23:59:59+14:00"]
        {
            check(&[("deliver-at", date)], &[]);
        }
        for wrong in [&b""[..], b"2030-02-28", b"2030-02-30T00:00:00Z", b"2030-02-28T18:30:00", b"tomorrow"] {
            check(&[("deliver-at", wrong)], &[("deliver-at", "date-time")]);
        }
        check(&[("idempotency-key", b"a"), ("idempotency-key", b"a")], &[("idempotency-key", "repeated")]);
    }
}

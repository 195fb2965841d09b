use api::{Fields, Given};
use domain::RawFields;

/// The values of a record in a request: the object at `fields`, each value as the caller wrote it, so that no digit is lost
/// before its field's kind is known. An empty map where it is not an object; the fault is noted.
pub(crate) fn fields(request: &mut Fields<'_>) -> RawFields {
    let given = match request.raw("fields") {
        None => Given::Absent,
        Some(raw) if raw.get() == "null" => Given::Null,
        Some(raw) => match serde_json::from_str::<RawFields>(raw.get()) {
            Ok(values) => Given::Is(values),
            Err(_) => request.wrong(
                "fields",
                "type",
                "'fields' must be an object: each field's name with its value",
            ),
        },
    };
    request.required("fields", given).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// `expect`: names with their values as they were written, or the codes of the faults.
    fn check(request: &str, expect: Result<&[(&str, &str)], &[&str]>) {
        let mut request = Fields::read(request).unwrap();
        let values = fields(&mut request);
        let faults: Vec<_> = request.faults.0.iter().map(|fault| fault.code).collect();
        let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
        match expect {
            Ok(expect) => assert_eq!((&values[..], &faults[..]), (expect, &[][..])),
            Err(expect) => assert_eq!((&values[..], &faults[..]), (&[][..], expect)),
        }
    }

    #[test]
    fn values_are_kept_as_they_were_written() {
        check(r#"{"fields":{}}"#, Ok(&[]));
        check(
            r#"{"fields":{"price": 12345678901234567890.10 ,"é":"\u00e9","b":null,"j":{"a": [1]}}}"#,
            Ok(&[
                ("b", "null"),
                ("j", r#"{"a": [1]}"#),
                ("price", "12345678901234567890.10"),
                ("é", r#""\u00e9""#),
            ]),
        );
        check("{}", Err(&["required"]));
        check(r#"{"fields":null}"#, Err(&["required"]));
        check(r#"{"fields":[]}"#, Err(&["type"]));
        check(r#"{"fields":7}"#, Err(&["type"]));
    }
}

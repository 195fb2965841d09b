use api::Fields;
use domain::{Faults, RawFields};
use serde_json::value::RawValue;

use crate::given;

/// A batch has at most this many operations.
const MAX_OPERATIONS: usize = 1000;

/// One operation of a batch, as it was asked for.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// A new record.
    Create {
        /// In the table of this name.
        api_name: String,
        /// Its values.
        fields: RawFields,
    },
    /// Another state of a record.
    Update {
        /// Which.
        id: String,
        /// The values that change.
        fields: RawFields,
        /// Only over this version.
        if_match: Option<u64>,
    },
    /// A record's end.
    Delete {
        /// Which.
        id: String,
        /// Only of this version.
        if_match: Option<u64>,
    },
}

/// The operations of a batch, each as it was written. What is wrong with the list goes to the request's faults.
pub(crate) fn operations<'b>(request: &mut Fields<'b>) -> Vec<&'b RawValue> {
    let raw = request.raw("operations");
    let list: Vec<&RawValue> = match raw.map(|list| serde_json::from_str(list.get())) {
        None => {
            let message = format!("'operations' must be given: a list of 1 to {MAX_OPERATIONS}");
            request.faults.add("operations", "required", message);
            return Vec::new();
        }
        Some(Err(_)) => {
            request.faults.add("operations", "type", "'operations' must be a list");
            return Vec::new();
        }
        Some(Ok(list)) => list,
    };
    if !(1..=MAX_OPERATIONS).contains(&list.len()) {
        let message = format!("a batch has 1 to {MAX_OPERATIONS} operations; this one has {}", list.len());
        request.faults.add("operations", "count", message);
        return Vec::new();
    }
    list
}

impl Wanted {
    /// Reads one operation: an object with one key, `create`, `update` or `delete`; every fault it has.
    pub(crate) fn read(operation: &RawValue) -> Result<Wanted, Faults> {
        let mut outer = Fields::read(operation.get())?;
        let given: Vec<(&str, &RawValue)> = ["create", "update", "delete"]
            .into_iter()
            .filter_map(|word| outer.raw(word).map(|inner| (word, inner)))
            .collect();
        outer.refuse_unknown(&["create", "update", "delete"]);
        let [(word, inner)] = given[..] else {
            outer.faults.add("", "operation", "an operation is one of 'create', 'update' and 'delete'");
            return Err(outer.faults);
        };
        let of_inner = Fields::read(inner.get()).map_err(Faults::from).and_then(|inner| read(word, inner));
        match of_inner {
            Ok(wanted) => outer.faults.into_result().map(|()| wanted),
            Err(faults) => {
                outer.faults.0.extend(faults.0.into_iter().map(|fault| fault.under(word)));
                Err(outer.faults)
            }
        }
    }

    /// The key it stands under.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Wanted::Create { .. } => "create",
            Wanted::Update { .. } => "update",
            Wanted::Delete { .. } => "delete",
        }
    }
}

fn read(word: &str, mut inner: Fields<'_>) -> Result<Wanted, Faults> {
    let wanted = match word {
        "create" => {
            let name = inner.text("apiName");
            let api_name = inner.required("apiName", name).unwrap_or_default();
            let fields = given::fields(&mut inner);
            inner.refuse_unknown(&["apiName", "fields"]);
            Wanted::Create { api_name, fields }
        }
        "update" => {
            let (id, if_match) = place(&mut inner);
            let fields = given::fields(&mut inner);
            inner.refuse_unknown(&["id", "fields", "if-match"]);
            Wanted::Update { id, fields, if_match }
        }
        _delete => {
            let (id, if_match) = place(&mut inner);
            inner.refuse_unknown(&["id", "if-match"]);
            Wanted::Delete { id, if_match }
        }
    };
    inner.faults.into_result().map(|()| wanted)
}

/// Which record, and over which version.
fn place(inner: &mut Fields<'_>) -> (String, Option<u64>) {
    let id = inner.text("id");
    let id = inner.required("id", id).unwrap_or_default();
    (id, inner.number("if-match").value().map(u64::from))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// `expect`: how it reads, or paths and codes of its faults.
    fn check(operation: &str, expect: Result<&str, &[(&str, &str)]>) {
        let raw: Box<RawValue> = serde_json::from_str(operation).unwrap();
        match (Wanted::read(&raw), expect) {
            (Ok(wanted), Ok(expect)) => assert_eq!(format!("{wanted:?}").replace("RawValue", ""), expect),
            (Err(faults), Err(expect)) => {
                let found: Vec<_> = faults.0.iter().map(|f| (f.path.as_str(), f.code)).collect();
                assert_eq!(found, expect, "{operation}");
            }
            (found, _) => panic!("{operation}: {found:?}"),
        }
    }

    #[test]
    fn an_operation_is_one_of_three_and_its_faults_are_named_together() {
        check(r#"{"delete":{"id":"A00","if-match":3}}"#, Ok(r#"Delete { id: "A00", if_match: Some(3) }"#));
        check(
            r#"{"update":{"id":"A00","fields":{}}}"#,
            Ok(r#"Update { id: "A00", fields: {}, if_match: None }"#),
        );
        check(r#"{"create":{"apiName":"T","fields":{}}}"#, Ok(r#"Create { api_name: "T", fields: {} }"#));
        check("7", Err(&[("", "type")]));
        check("{}", Err(&[("", "operation")]));
        check(r#"{"create":{},"delete":{}}"#, Err(&[("", "operation")]));
        check(r#"{"destroy":{}}"#, Err(&[("destroy", "unknown-field"), ("", "operation")]));
        check(r#"{"create":7}"#, Err(&[("create", "type")]));
        check(
            r#"{"create":{"fields":[],"id":"A"},"more":1}"#,
            Err(&[
                ("more", "unknown-field"),
                ("create/apiName", "required"),
                ("create/fields", "type"),
                ("create/id", "unknown-field"),
            ]),
        );
        check(
            r#"{"update":{"if-match":"3"}}"#,
            Err(&[("update/id", "required"), ("update/if-match", "type"), ("update/fields", "required")]),
        );
    }

    #[test]
    fn a_list_that_is_no_batch_is_refused_as_a_whole() {
        let check = |list: &str, expect: Result<usize, &str>| {
            let text = format!("{{\"operations\":{list}}}");
            let mut request = Fields::read(&text).unwrap();
            let found = operations(&mut request);
            let codes: Vec<_> = request.faults.0.iter().map(|fault| fault.code).collect();
            match expect {
                Ok(count) => assert_eq!((found.len(), &codes[..]), (count, &[][..]), "{list}"),
                Err(code) => assert_eq!((found.len(), &codes[..]), (0, &[code][..]), "{list}"),
            }
        };
        check("[{},7]", Ok(2));
        check("{}", Err("type"));
        check("[]", Err("count"));
        check(&format!("[{}1]", "1,".repeat(MAX_OPERATIONS - 1)), Ok(MAX_OPERATIONS));
        check(&format!("[{}1]", "1,".repeat(MAX_OPERATIONS)), Err("count"));
    }
}

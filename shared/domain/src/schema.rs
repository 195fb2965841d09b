use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::fault::MAX_FAULTS;
use crate::{Fault, Faults};

/// A queue's JSON Schema may be this large, bytes of JSON text.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// No `pattern` of a schema may be longer than this, bytes: compiling a regular expression is not bounded by its match time.
pub const MAX_PATTERN_BYTES: usize = 256;

/// A compiled JSON Schema: what a queue takes at its door. Fetches nothing from anywhere.
#[derive(Debug)]
pub struct PayloadSchema(Validator);

impl PayloadSchema {
    /// Compiles `schema`; faults have paths under `schema`.
    pub fn compile(schema: &Value) -> Result<PayloadSchema, Faults> {
        let mut faults = Faults::none();
        if schema.to_string().len() > MAX_SCHEMA_BYTES {
            faults.add("schema", "too-large", format!("a schema has at most {MAX_SCHEMA_BYTES} bytes"));
            return Err(faults);
        }
        long_patterns(schema, "schema", &mut faults);
        faults.into_result()?;
        jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
            .build(schema)
            .map(PayloadSchema)
            .map_err(|error| {
                let path = format!("schema{}", error.instance_path());
                Fault::new(
                    path,
                    "schema",
                    format!("this is not a JSON Schema we can use: {}", error.masked()),
                )
                .into()
            })
    }

    /// Checks a payload; faults have the payload's own paths.
    pub fn check(&self, payload: &Value) -> Result<(), Faults> {
        let faults: Vec<Fault> = self
            .0
            .iter_errors(payload)
            .take(MAX_FAULTS)
            .map(|error| {
                let path = error.instance_path().as_str().trim_start_matches('/').to_owned();
                // Masked: the fault says where the value stands, and the value may be the whole payload.
                Fault::new(path, "schema", error.masked().to_string())
            })
            .collect();
        Faults(faults).into_result()
    }
}

fn long_patterns(schema: &Value, path: &str, faults: &mut Faults) {
    let long = |text: &str| text.len() > MAX_PATTERN_BYTES;
    let message = || format!("a pattern has at most {MAX_PATTERN_BYTES} bytes");
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = format!("{path}/{key}");
                match value {
                    Value::String(text) if key == "pattern" && long(text) => {
                        faults.add(path, "too-long", message())
                    }
                    Value::Object(patterns) if key == "patternProperties" => {
                        for pattern in patterns.keys().filter(|p| long(p)) {
                            let start: String = pattern.chars().take(20).collect();
                            faults.add(format!("{path}/{start}..."), "too-long", message());
                        }
                        long_patterns(value, &path, faults);
                    }
                    _ => long_patterns(value, &path, faults),
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                long_patterns(item, &format!("{path}/{at}"), faults);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_that_reaches_out_or_weighs_too_much_is_refused() {
        let check = |schema: Value, path: &str| {
            let faults = PayloadSchema::compile(&schema).err().unwrap_or_default();
            assert_eq!(faults.0.first().map(|f| f.path.as_str()), Some(path), "{faults}");
        };
        check(json!({"$ref": "http://127.0.0.1:1/schema.json"}), "schema");
        check(json!({"$ref": "file:///etc/hostname"}), "schema");
        check(json!({"properties": {"a": {"pattern": "a".repeat(257)}}}), "schema/properties/a/pattern");
        check(
            json!({"patternProperties": {"b".repeat(300): {}}}),
            "schema/patternProperties/bbbbbbbbbbbbbbbbbbbb...",
        );
        check(json!({"description": "x".repeat(70_000)}), "schema");
        check(json!({"type": "nonsense"}), "schema/type");
    }

    #[test]
    fn every_fault_of_a_payload_is_named() {
        let schema = json!({"type": "object", "required": ["to"], "properties": {"age": {"type": "integer"}, "to": {"type": "string"}}});
        let schema = PayloadSchema::compile(&schema).unwrap();
        assert_eq!(schema.check(&json!({"to": "a", "age": 3})), Ok(()));
        let faults = schema.check(&json!({"age": "old"})).unwrap_err();
        let mut paths: Vec<_> = faults.0.iter().map(|f| f.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["", "age"]);
    }

    #[test]
    fn a_fault_does_not_carry_the_payload_back() {
        let schema =
            PayloadSchema::compile(&json!({"type": "object", "additionalProperties": false})).unwrap();
        for payload in [json!("x".repeat(100_000)), json!({"x".repeat(100_000): 1})] {
            let faults = schema.check(&payload).unwrap_err();
            assert!(faults.to_string().len() < 1000, "{} bytes", faults.to_string().len());
        }
    }
}

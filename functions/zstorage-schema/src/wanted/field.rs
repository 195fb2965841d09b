use api::{Fields, Given};
use domain::{
    ApiName, Decimal, Faults, Field, FieldId, FieldKind, FormulaResult, NumberRules, TablePrefix, TextRules,
};

use super::{digits, name};

/// A field as a caller wants it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WantedField {
    pub(crate) api_name: ApiName,
    pub(crate) label: Option<String>,
    pub(crate) kind: WantedKind,
    pub(crate) required: bool,
    pub(crate) default: Option<String>,
    pub(crate) unique: bool,
}

/// A kind, but for the table that a lookup names: that one has to be found first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum WantedKind {
    Known(FieldKind),
    Lookup(ApiName),
}

/// The words for kinds, as the API says them.
const TYPES: [&str; 14] = [
    "text",
    "textarea",
    "email",
    "url",
    "integer",
    "decimal",
    "currency",
    "boolean",
    "date-time",
    "picklist",
    "lookup",
    "json",
    "encrypted-text",
    "formula",
];

const COMMON: [&str; 6] = ["apiName", "label", "type", "required", "default", "unique"];

impl WantedField {
    /// Reads one field; all its faults at once.
    pub(crate) fn read(mut fields: Fields<'_>) -> Result<WantedField, Faults> {
        let api_name = name(&mut fields, "apiName");
        let api_name = fields.required("apiName", api_name);
        let label = fields.text("label").value();
        let word = fields.text("type");
        let word = fields.required("type", word);
        let mut known = COMMON.to_vec();
        let kind = word.and_then(|word| kind(&word, &mut fields, &mut known));
        let required = fields.flag("required").value().unwrap_or(false);
        let default = fields.raw("default").map(|raw| raw.get().to_owned()).filter(|raw| raw != "null");
        let unique = fields.flag("unique").value().unwrap_or(false);
        if let Some(WantedKind::Known(kind @ (FieldKind::Json | FieldKind::EncryptedText(_)))) = &kind
            && unique
        {
            let message = format!("nothing can be found by '{}', so it cannot be unique", type_of(kind));
            fields.faults.add("unique", "not-indexable", message);
        }
        if kind.is_some() {
            fields.refuse_unknown(&known);
        }
        fields.faults.into_result()?;
        let (Some(api_name), Some(kind)) = (api_name, kind) else { return Err(Faults::none()) };
        Ok(WantedField { api_name, label, kind, required, default, unique })
    }

    /// The field under this number; `table` is whose records a lookup looks up.
    pub(crate) fn numbered(&self, id: FieldId, table: Option<TablePrefix>) -> Option<Field> {
        let kind = match (&self.kind, table) {
            (WantedKind::Known(kind), _) => kind.clone(),
            (WantedKind::Lookup(_), Some(table)) => FieldKind::Lookup { table },
            (WantedKind::Lookup(_), None) => return None,
        };
        Some(Field {
            id,
            api_name: self.api_name.clone(),
            label: self.label.clone(),
            kind,
            required: self.required,
            default: self.default.clone(),
        })
    }

    /// The table that it looks up, by name.
    pub(crate) fn looks_up(&self) -> Option<&ApiName> {
        match &self.kind {
            WantedKind::Lookup(table) => Some(table),
            WantedKind::Known(_) => None,
        }
    }
}

/// The word for a kind.
pub(crate) fn type_of(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Text(_) => "text",
        FieldKind::TextArea(_) => "textarea",
        FieldKind::Email(_) => "email",
        FieldKind::Url(_) => "url",
        FieldKind::Integer { .. } => "integer",
        FieldKind::Decimal(_) => "decimal",
        FieldKind::Currency(_) => "currency",
        FieldKind::Boolean => "boolean",
        FieldKind::DateTime => "date-time",
        FieldKind::Picklist { .. } => "picklist",
        FieldKind::Lookup { .. } => "lookup",
        FieldKind::Json => "json",
        FieldKind::EncryptedText(_) => "encrypted-text",
        FieldKind::Formula { .. } => "formula",
    }
}

/// The word for what a formula gives.
pub(crate) fn result_of(result: FormulaResult) -> &'static str {
    match result {
        FormulaResult::Text => "text",
        FormulaResult::Integer => "integer",
        FormulaResult::Decimal => "decimal",
        FormulaResult::Boolean => "boolean",
    }
}

fn kind(word: &str, fields: &mut Fields<'_>, known: &mut Vec<&str>) -> Option<WantedKind> {
    let kind = match word {
        "text" => FieldKind::Text(text_rules(fields, known)),
        "textarea" => FieldKind::TextArea(text_rules(fields, known)),
        "email" => FieldKind::Email(text_rules(fields, known)),
        "url" => FieldKind::Url(text_rules(fields, known)),
        "encrypted-text" => FieldKind::EncryptedText(text_rules(fields, known)),
        "integer" => {
            known.extend(["min", "max"]);
            let wanted = "a whole number of 64 bits";
            FieldKind::Integer { min: digits(fields, "min", wanted), max: digits(fields, "max", wanted) }
        }
        "decimal" => FieldKind::Decimal(number_rules(fields, known)),
        "currency" => FieldKind::Currency(number_rules(fields, known)),
        "boolean" => FieldKind::Boolean,
        "date-time" => FieldKind::DateTime,
        "json" => FieldKind::Json,
        "picklist" => {
            known.push("values");
            let values = fields.texts("values");
            FieldKind::Picklist { values: fields.required("values", values)? }
        }
        "lookup" => {
            known.push("table");
            let table = name(fields, "table");
            return fields.required("table", table).map(WantedKind::Lookup);
        }
        "formula" => {
            known.extend(["expression", "result"]);
            let expression = fields.text("expression");
            let expression = fields.required("expression", expression);
            let result = fields.parsed("result", result);
            let result = fields.required("result", result);
            FieldKind::Formula { expression: expression?, result: result? }
        }
        _ => {
            let message = format!("'type' is one of {}", TYPES.join(", "));
            fields.faults.add("type", "value", message);
            return None;
        }
    };
    Some(WantedKind::Known(kind))
}

fn result(word: &str) -> Result<FormulaResult, domain::Fault> {
    let all = [FormulaResult::Text, FormulaResult::Integer, FormulaResult::Decimal, FormulaResult::Boolean];
    all.into_iter().find(|result| result_of(*result) == word).ok_or_else(|| {
        domain::Fault::new("result", "value", "'result' is one of text, integer, decimal, boolean")
    })
}

fn text_rules(fields: &mut Fields<'_>, known: &mut Vec<&str>) -> TextRules {
    known.extend(["min-length", "max-length", "pattern"]);
    TextRules {
        min_length: fields.number("min-length").value(),
        max_length: fields.number("max-length").value(),
        pattern: fields.text("pattern").value(),
    }
}

fn number_rules(fields: &mut Fields<'_>, known: &mut Vec<&str>) -> NumberRules {
    known.extend(["min", "max", "scale"]);
    let wanted = "a decimal number of at most 38 digits";
    let scale = match fields.number("scale") {
        Given::Is(scale) => match u8::try_from(scale) {
            Ok(scale) => Some(scale),
            Err(_) => fields.wrong("scale", "range", "'scale' is 0 to 38").value(),
        },
        _ => None,
    };
    NumberRules {
        min: digits::<Decimal>(fields, "min", wanted),
        max: digits::<Decimal>(fields, "max", wanted),
        scale,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// `expect`: paths with codes, in order; empty = a field.
    fn check(body: &str, expect: &[(&str, &str)]) {
        let faults = WantedField::read(Fields::read(body).unwrap()).err().unwrap_or_default();
        let found: Vec<_> = faults.0.iter().map(|f| (f.path.as_str(), f.code)).collect();
        assert_eq!(found, expect, "{body}: {faults}");
    }

    #[test]
    fn a_field_of_each_kind_is_read_and_every_fault_named() {
        for word in TYPES {
            let more = match word {
                "picklist" => r#","values":["a"]"#,
                "lookup" => r#","table":"Other""#,
                "formula" => r#","expression":"1","result":"integer""#,
                _ => "",
            };
            check(&format!(r#"{{"apiName":"a","type":"{word}"{more}}}"#), &[]);
        }
        check(
            r#"{"apiName":"a","type":"text","min-length":1,"max-length":9,"pattern":"x","unique":true}"#,
            &[],
        );
        check(
            r#"{"apiName":"a","type":"decimal","min":"0.10","max":12345678901234567890123.5,"scale":2}"#,
            &[],
        );
        check("{}", &[("apiName", "required"), ("type", "required")]);
        check(r#"{"apiName":"1a","type":"number"}"#, &[("apiName", "api-name"), ("type", "value")]);
        check(r#"{"apiName":"a","type":"integer","min":1.5,"max":"x"}"#, &[("min", "type"), ("max", "type")]);
        check(r#"{"apiName":"a","type":"text","values":["a"]}"#, &[("values", "unknown-field")]);
        check(r#"{"apiName":"a","type":"picklist"}"#, &[("values", "required")]);
        check(r#"{"apiName":"a","type":"json","unique":true}"#, &[("unique", "not-indexable")]);
        check(
            r#"{"apiName":"a","type":"formula","result":"date"}"#,
            &[("expression", "required"), ("result", "value")],
        );
        check(r#"{"apiName":"a","type":"currency","scale":999}"#, &[("scale", "range")]);
    }
}

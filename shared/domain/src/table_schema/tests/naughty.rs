//! Strings that have brought programs down: each is kept exactly or refused, in every kind of field.

use super::*;
use proptest::prelude::*;

fn naughty() -> Vec<String> {
    let short = [
        "",
        " ",
        "\u{0}",
        "a\u{0}b",
        "\u{1}\u{2}\u{7f}",
        "\u{1b}[2J",
        "\u{85}\u{2028}\u{2029}",
        "\u{feff}text",
        "\u{fffe}\u{ffff}",
        "\u{202e}txt.exe",
        "\u{2066}\u{2069}",
        "\u{200b}\u{200d}",
        "אבג مرحبا",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "Z̴̢͙̖a̶͘l̵̰͝g̴͚̍o̷̙͝",
        "ﷺ",
        "ǅ ß ﬀ İ ı",
        "'; DROP TABLE Student; --",
        "\" OR \"\"=\"",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "{{7*7}} ${7*7} #{7*7}",
        "../../etc/passwd",
        "%00 %n %s",
        "\\u0000 \\ud800",
        "null",
        "undefined",
        "NaN",
        "true",
        "-1",
        "1e1000",
        "0x7f",
        "１２３",
        "2024-02-30T25:61:61Z",
        "=cmd|' /C calc'!A0",
        "\r\nSet-Cookie: a=b",
        "http://a@b:c@d/",
        "a@b@c",
        "new.age >= 18",
    ];
    let mut all: Vec<String> = short.into_iter().map(str::to_owned).collect();
    all.extend(["a".repeat(100_000), "é".repeat(60_000), "\u{301}".repeat(50_000), "[".repeat(5_000)]);
    all
}

#[test]
fn every_naughty_string_is_kept_exactly_or_refused_in_every_kind_of_field() {
    let schema = schema(every_kind());
    let mut kept = 0;
    for string in naughty() {
        let json = serde_json::to_string(&string).unwrap();
        for field in &schema.table().fields {
            match schema.create(&given_one(field.api_name.as_str(), &json), now()) {
                Ok(values) => {
                    let fields = schema.fields_json(&values, Clear::Yes, None);
                    // A number in quotes is a decimal, too, and currency has its digits behind the point.
                    let expect = if field.is_number() { "-1".to_owned() } else { string.clone() };
                    let shown = fields[field.api_name.as_str()].as_str().unwrap();
                    assert_eq!(shown.trim_end_matches(".00"), expect, "{} {string:?}", field.api_name);
                    kept += 1;
                    let folded = schema.folded(&values);
                    assert!(folded.len() <= 8 * 1024);
                }
                Err(faults) => {
                    assert!(faults.to_string().len() < 1000, "{} bytes", faults.to_string().len());
                    assert!(
                        faults.0.iter().all(|f| f.path == format!("fields/{}", field.api_name)),
                        "{faults}"
                    );
                }
            }
        }
        // As a field's name.
        let faults = schema.create(&given_one(&string, "1"), now()).unwrap_err();
        assert!(faults.to_string().len() < 1000);
        assert_eq!(faults.0[0].code, "unknown-field");
    }
    // Every string in encrypted text and JSON, nearly every one in text areas, many in text.
    assert!(kept > naughty().len() * 3, "only {kept} were kept");
}

/// JSON as a caller may write it, a little of everything.
pub(super) fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|is| is.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,45})(\\.[0-9]{1,45})?([eE][-+]?[0-9]{1,4})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        prop::sample::select(naughty()).prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](Z|[+-][0-2][0-9]:00)\"",
        "\"-?[0-9]{1,40}(\\.[0-9]{1,10})?\"",
        Just("\"a@example.com\"".to_owned()),
        Just("\"https://example.com/é\"".to_owned()),
        Just("\"paid\"".to_owned()),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec(("[a-c]{0,2}", inner), 0..4).prop_map(|fields| {
                let fields: Vec<_> =
                    fields.iter().map(|(key, value)| format!("\"{key}\" : {value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

/// A table whose formulas and rules read all kinds of fields, without a care for what they find.
fn opinionated() -> TableSchema {
    let mut design = every_kind();
    let formulas = [
        ("called", formula("text + ' ' + string(integer)", FormulaResult::Text)),
        ("ratio", formula("integer / size(text)", FormulaResult::Integer)),
        ("priced", formula("decimal * currency + integer", FormulaResult::Decimal)),
        ("inside", formula("json.a.b", FormulaResult::Boolean)),
        ("of_all", formula("inside || size(called) > ratio || priced > 4.5", FormulaResult::Boolean)),
    ];
    for (name, kind) in formulas {
        let id = FieldId(design.next_field);
        design.next_field += 1;
        design.fields.push(Field {
            id,
            api_name: name_of(name),
            label: None,
            kind,
            required: false,
            default: None,
        });
    }
    let on = Operations { create: true, update: true, delete: true };
    let rules = [
        ("a", "new == null || new.area.matches('^a+$') || new.email.endsWith('.com') || int(new.text) > 3"),
        ("b", "old == null || new == null || new.at >= old.at || old.integer - new.integer < 5"),
        ("c", "new == null || new.secret != null || new.lookup == null || new.json[0] > 1"),
        ("d", "new == null || new.of_all || timestamp(new.text) < new.at"),
    ];
    design.rules = rules.iter().map(|(name, expression)| rule(name, on, expression, "no")).collect();
    schema(design)
}

/// Fields of any kind with anything in them.
pub(super) fn any_fields() -> impl Strategy<Value = RawFields> {
    let names: Vec<String> = every_kind().fields.iter().map(|field| field.api_name.to_string()).collect();
    let one = (prop::sample::select(names), any_json());
    prop::collection::vec(one, 0..8).prop_map(|fields| {
        fields.into_iter().map(|(name, json)| (name, RawValue::from_string(json).unwrap())).collect()
    })
}

/// `given` without the fields that `faults` are about.
pub(super) fn without(given: RawFields, faults: &Faults) -> RawFields {
    let is_sound = |name: &str| !faults.0.iter().any(|fault| fault.path == format!("fields/{name}"));
    given.into_iter().filter(|(name, _)| is_sound(name)).collect()
}

proptest! {
    #[test]
    fn no_write_brings_validation_down(first in any_fields(), second in any_fields()) {
        let plain = schema(every_kind());
        let faults = plain.create(&first, now()).err().unwrap_or_default();
        let old = plain.create(&without(first, &faults), now()).unwrap();
        let schema = opinionated();
        let faults = schema.update(&old, &second).err().unwrap_or_default();
        let second = without(second, &faults);
        // What is left has faults of rules and formulas at most.
        if let Err(faults) = schema.update(&old, &second) {
            prop_assert!(faults.0.iter().all(|f| matches!(f.code, "rule" | "rule-error" | "formula")), "{faults}");
        }
        if let Err(faults) = schema.create(&second, now()) {
            prop_assert!(faults.0.iter().all(|f| matches!(f.code, "rule" | "rule-error" | "formula")), "{faults}");
        }
        let _ = schema.delete(&old);
    }

    #[test]
    fn what_is_shown_is_read_back_as_the_same_record(fields in any_fields()) {
        let schema = schema(every_kind());
        let faults = schema.create(&fields, now()).err().unwrap_or_default();
        let values = schema.create(&without(fields, &faults), now()).unwrap();
        let json = serde_json::to_string(&schema.fields_json(&values, Clear::Yes, None)).unwrap();
        let again = schema.create(&super::given(&json), now()).unwrap();
        prop_assert_eq!(shown(&schema, &again), shown(&schema, &values));
        for (id, value) in values.iter().filter(|(_, value)| !matches!(value, Value::Json(_))) {
            prop_assert_eq!(again.get(id), Some(value));
        }
        prop_assert_eq!(schema.update(&values, &RawFields::new()).unwrap(), values);
    }

    #[test]
    fn no_default_or_pattern_brings_the_designer_down(default in any_json(), pattern in any::<String>(), at in 0..13_usize) {
        let mut table = every_kind();
        table.fields[at].default = Some(default);
        if let FieldKind::Text(rules) = &mut table.fields[0].kind {
            rules.pattern = Some(pattern);
        }
        if let Ok(schema) = TableSchema::compile(table) {
            // A default that was taken at save is one that its field takes.
            let made = schema.create(&RawFields::new(), now());
            prop_assert!(made.is_ok(), "{:?}", made);
        }
    }
}

//! What each kind of field takes, and how it shows it.

use super::*;

/// `Ok` = how the value is shown, as JSON; `Err` = the codes of its faults.
fn check(kind: &FieldKind, json: &str, expect: Result<&str, &[&str]>) {
    let schema = schema(table(&[("f", kind.clone())]));
    let outcome = schema.create(&given_one("f", json), now());
    match (&outcome, expect) {
        (Ok(values), Ok(expect)) => {
            let fields = schema.fields_json(values, Clear::Yes, None);
            let expect: serde_json::Value = serde_json::from_str(expect).unwrap();
            assert_eq!(fields.get("f"), Some(&expect), "{json}");
        }
        (Err(faults), Err(expect)) => {
            let codes: Vec<_> = faults.0.iter().map(|fault| fault.code).collect();
            assert_eq!(codes, expect, "{json}: {faults}");
            assert!(faults.0.iter().all(|fault| fault.path == "fields/f"), "{faults}");
        }
        _ => panic!("{json}: {outcome:?}"),
    }
}

#[test]
fn texts_keep_what_they_are_given_and_their_rules() {
    let plain = text();
    check(&plain, r#""João 😀 \u0041""#, Ok(r#""João 😀 A""#));
    check(&plain, r#""""#, Ok(r#""""#));
    check(&plain, "null", Ok("null"));
    check(&plain, r#""a\tb""#, Ok(r#""a\tb""#));
    check(&plain, r#""a\nb""#, Err(&["control-character"]));
    check(&plain, r#""\u0000""#, Err(&["control-character"]));
    check(&plain, r#""\ud800""#, Err(&["type"]));
    for wrong in ["1", "true", "[]", "{}", "[\"a\"]"] {
        check(&plain, wrong, Err(&["type"]));
    }
    let area = FieldKind::TextArea(TextRules::default());
    check(&area, r#""a\r\n\tb""#, Ok(r#""a\r\n\tb""#));
    check(&area, r#""a\u001b[2J""#, Err(&["control-character"]));
    let ruled = FieldKind::Text(TextRules {
        min_length: Some(2),
        max_length: Some(3),
        pattern: Some("^[a-zé]+$".into()),
    });
    check(&ruled, r#""éé""#, Ok(r#""éé""#));
    check(&ruled, r#""é""#, Err(&["min-length"]));
    check(&ruled, r#""abcd""#, Err(&["max-length"]));
    check(&ruled, r#""A""#, Err(&["min-length", "pattern"]));
    // The dearest of patterns meets no long text.
    let dear = FieldKind::TextArea(TextRules {
        pattern: Some("(([ab]?){100}){100}c".into()),
        ..TextRules::default()
    });
    check(&dear, &format!("\"{}\"", "ab".repeat(190_000)), Err(&["max-length"]));
    check(&dear, r#""abc""#, Ok(r#""abc""#));
}

#[test]
fn addresses_urls_and_picklists_take_only_their_own() {
    let email = FieldKind::Email(TextRules { max_length: Some(20), ..TextRules::default() });
    check(&email, r#""Ana@Example.com""#, Ok(r#""Ana@Example.com""#));
    check(&email, r#""ana""#, Err(&["email"]));
    check(&email, r#""ana at the house of example""#, Err(&["email", "max-length"]));
    let url = FieldKind::Url(TextRules::default());
    check(&url, r#""https://example.com/é?q=1""#, Ok(r#""https://example.com/é?q=1""#));
    check(&url, r#""javascript:alert(1)""#, Err(&["url"]));
    let pick = FieldKind::Picklist { values: vec!["new".into(), "paid".into()] };
    check(&pick, r#""paid""#, Ok(r#""paid""#));
    check(&pick, r#""Paid""#, Err(&["picklist"]));
    check(&pick, r#""""#, Err(&["picklist"]));
    check(&pick, "0", Err(&["type"]));
}

#[test]
fn integers_have_64_bits_and_are_whole_however_they_are_written() {
    let plain = integer();
    check(&plain, "0", Ok("0"));
    check(&plain, "-0", Ok("0"));
    check(&plain, "5.0", Ok("5"));
    check(&plain, "12e2", Ok("1200"));
    check(&plain, "9223372036854775807", Ok("9223372036854775807"));
    check(&plain, "-9223372036854775808", Ok("-9223372036854775808"));
    check(&plain, "9223372036854775808", Err(&["number-not-kept"]));
    check(&plain, "12345678901234567890123456789012345678901", Err(&["number-not-kept"]));
    check(&plain, "1e400", Err(&["number-not-kept"]));
    check(&plain, "1.5", Err(&["type"]));
    check(&plain, "\"5\"", Err(&["type"]));
    check(&plain, "true", Err(&["type"]));
    let ruled = FieldKind::Integer { min: Some(-1), max: Some(1) };
    check(&ruled, "-1", Ok("-1"));
    check(&ruled, "-2", Err(&["min"]));
    check(&ruled, "2", Err(&["max"]));
}

#[test]
fn decimals_are_exact_to_38_digits_as_numbers_and_as_strings() {
    let plain = decimal();
    let most = "1234567890123456789012345678901234567.8";
    let quoted = format!("\"{most}\"");
    check(&plain, most, Ok(&quoted));
    check(&plain, &quoted, Ok(&quoted));
    check(&plain, &format!("{most}1"), Err(&["number-not-kept"]));
    check(&plain, &format!("\"{most}1\""), Err(&["number-not-kept"]));
    check(&plain, "0.1", Ok("\"0.1\""));
    check(&plain, "\"1.50\"", Ok("\"1.5\""));
    check(&plain, "1e-3", Ok("\"0.001\""));
    check(&plain, "\"1e126\"", Err(&["number-not-kept"]));
    for wrong in ["\"\"", "\"1,5\"", "\" 1\"", "\"NaN\"", "\"+1\"", "\"0x1\"", "true", "[1]", "{}"] {
        check(&plain, wrong, Err(&["type"]));
    }
    let rules = |min: &str, max: &str, scale| NumberRules {
        min: Some(min.parse().unwrap()),
        max: Some(max.parse().unwrap()),
        scale,
    };
    let ruled = FieldKind::Decimal(rules("0.1", "0.3", Some(3)));
    check(&ruled, "0.100", Ok("\"0.1\""));
    check(&ruled, "0.0999", Err(&["min", "scale"]));
    check(&ruled, "0.301", Err(&["max"]));
    let money = FieldKind::Currency(NumberRules::default());
    check(&money, "12.5", Ok("\"12.50\""));
    check(&money, "1e3", Ok("\"1000.00\""));
    check(&money, "-0.001", Err(&["scale"]));
    let yen = FieldKind::Currency(rules("0", "1000", Some(0)));
    check(&yen, "\"7\"", Ok("\"7\""));
    check(&yen, "7.5", Err(&["scale"]));
}

#[test]
fn moments_are_rfc_3339_and_shown_in_utc() {
    let kind = FieldKind::DateTime;
    check(&kind, r#""2024-02-29T18:30:00Z""#, Ok(r#""2024-02-29T18:30:00Z""#));
    check(&kind, r#""2024-02-29t18:30:00.250-03:00""#, Ok(r#""2024-02-29T21:30:00.25Z""#));
    check(&kind, r#""0001-01-01T00:00:00Z""#, Ok(r#""0001-01-01T00:00:00Z""#));
    check(&kind, r#""9999-12-30T22:00:00.999999999Z""#, Ok(r#""9999-12-30T22:00:00.999999999Z""#));
    for wrong in [
        "",
        "now",
        "2024-02-29",
        "2024-02-29T18:30Z",
        "2024-02-29T18:30:00",
        "2024-02-29 18:30:00Z",
        "2023-02-29T00:00:00Z",
        "2024-02-29T18:30:00.1234567891Z",
        "2024-02-29T18:30:00+25:00",
        "0001-01-01T00:00:00+01:00",
        "-2024-02-29T18:30:00Z",
        "2024-02-29T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "2024-02-29T18:30:00+24:00",
        "2024-02-29T18:30:00+10:60",
        "2024-02-29T18:30:00Z[Europe/Lisbon]",
        "２０２４-02-29T18:30:00Z",
        "9999-12-31T23:59:59Z",
    ] {
        check(&kind, &serde_json::to_string(wrong).unwrap(), Err(&["date-time"]));
    }
    check(&kind, "1709231400", Err(&["type"]));
    // A date that many write for "never" is well said: what is wrong with it is told, not how dates are written.
    for never in ["9999-12-31T23:59:59Z", "9999-12-31T00:00:00-05:00"] {
        let fault = crate::moment(never).unwrap_err();
        assert_eq!(fault.message, "a date-time is not after 9999-12-30T22:00:00Z", "{never}");
    }
}

#[test]
fn booleans_lookups_and_json_keep_their_form() {
    check(&FieldKind::Boolean, "true", Ok("true"));
    check(&FieldKind::Boolean, "false", Ok("false"));
    for wrong in ["\"true\"", "1", "0", "[]"] {
        check(&FieldKind::Boolean, wrong, Err(&["type"]));
    }
    let lookup = FieldKind::Lookup { table: prefix(7) };
    let id = format!("\"{}001HV0000000000000000000000\"", prefix(7));
    check(&lookup, &id, Ok(&id));
    check(&lookup, &id.replace(prefix(7).as_str(), prefix(8).as_str()), Err(&["lookup"]));
    check(&lookup, "\"\"", Err(&["lookup"]));
    check(&lookup, "7", Err(&["type"]));
    let json = FieldKind::Json;
    check(&json, r#" { "a" : [ 1 , "x y" , null ] } "#, Ok(r#"{"a":[1,"x y",null]}"#));
    check(&json, "\"text\"", Ok("\"text\""));
    check(&json, "false", Ok("false"));
    check(&json, r#"{"a":{"b":1,"b":2}}"#, Err(&["duplicate-key"]));
    check(&json, "12345678901234567890123", Err(&["number-not-kept"]));
    check(&json, r#"["\udc00"]"#, Err(&["json"]));
    check(&json, &"[".repeat(33).chars().chain("]".repeat(33).chars()).collect::<String>(), Err(&["json"]));
}

#[test]
fn encrypted_text_is_masked_unless_it_is_asked_for_in_clear() {
    let schema = schema(table(&[(
        "f",
        FieldKind::EncryptedText(TextRules { max_length: Some(6), ..TextRules::default() }),
    )]));
    let values = schema.create(&given(r#"{"f":"canary"}"#), now()).unwrap();
    let masked = serde_json::Value::Object(schema.fields_json(&values, Clear::No, None));
    assert_eq!(masked, serde_json::json!({"f": {"encrypted": true}}));
    assert_eq!(schema.fields_json(&values, Clear::Yes, None)["f"], "canary");
    assert_eq!(schema.folded(&values), "");
    assert!(!format!("{values:?}").contains("canary"));
    let faults = schema.create(&given(r#"{"f":"a canary"}"#), now()).unwrap_err();
    assert_eq!(told(&faults), ["fields/f max-length"]);
    assert!(!faults.to_string().contains("canary"));
}

#[test]
fn a_chosen_part_of_the_fields_is_shown_and_what_is_absent_is_null() {
    let schema = schema(table(&[("a", text()), ("b", integer()), ("c", text())]));
    let values = schema.create(&given(r#"{"b":1}"#), now()).unwrap();
    let show =
        |only: Option<&[FieldId]>| serde_json::Value::Object(schema.fields_json(&values, Clear::No, only));
    assert_eq!(show(None), serde_json::json!({"a": null, "b": 1, "c": null}));
    assert_eq!(show(Some(&[FieldId(1), FieldId(2)])), serde_json::json!({"b": 1, "c": null}));
    assert_eq!(show(Some(&[])), serde_json::json!({}));
}

#[test]
fn the_search_text_holds_every_text_folded_and_no_secret() {
    let schema = schema(every_kind());
    let values = schema
        .create(
            &given(r#"{"text":"João","area":"Two\nLINES","pick":"new","integer":42,"json":{"a":"hidden"},"secret":"hidden"}"#),
            now(),
        )
        .unwrap();
    assert_eq!(schema.folded(&values), "joao\ntwo\nlines\nnew");
    let long = given_one("area", &serde_json::to_string(&"é€".repeat(20_000)).unwrap());
    let folded = schema.folded(&schema.create(&long, now()).unwrap());
    assert!((8 * 1024 - 3..=8 * 1024).contains(&folded.len()), "{}", folded.len());
}

#[test]
fn json_is_shown_as_it_was_written_whatever_its_keys_mean_to_a_reader() {
    let schema = schema(table(&[("f", FieldKind::Json)]));
    for json in [
        r#"{"$serde_json::private::RawValue":"{\"a\":[1]}"}"#,
        r#"[{"$serde_json::private::RawValue":"no JSON"}]"#,
        r#"{"\u0024serde_json::private::RawValue":"7"}"#,
        r#"{"$serde_json::private::Number":"12"}"#,
        r#"{"a":[1,-1,18446744073709551615,1.5,true,null,"\u00e9\ud83d\ude00"],"b":{"":{}}}"#,
    ] {
        let values = schema.create(&given_one("f", json), now()).unwrap();
        let shown = schema.fields_json(&values, Clear::No, None)["f"].to_string();
        assert_eq!(shown, json.replace(r"\u0024", "$").replace(r"\u00e9\ud83d\ude00", "é😀"));
    }
}

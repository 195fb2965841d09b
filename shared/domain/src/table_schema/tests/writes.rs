//! Create, update and delete: what is kept, what is told.

use super::*;

fn students() -> Table {
    let mut table = table(&[
        ("name", text()),
        ("age", FieldKind::Integer { min: Some(0), max: Some(150) }),
        ("status", FieldKind::Picklist { values: vec!["new".into(), "paid".into()] }),
        ("since", FieldKind::DateTime),
        ("fee", FieldKind::Currency(NumberRules::default())),
    ]);
    table.fields[0].required = true;
    table.fields[2].default = Some("\"new\"".into());
    table.fields[3].default = Some("\"now\"".into());
    table
}

#[test]
fn a_create_fills_in_defaults_for_what_is_left_out_and_not_for_null() {
    let schema = schema(students());
    let check = |fields: &str, expect: &str| {
        assert_eq!(shown(&schema, &schema.create(&given(fields), now()).unwrap()), json(expect));
    };
    check(r#"{"name":"Ana"}"#, r#"{"name":"Ana","status":"new","since":"2024-05-01T10:00:00Z"}"#);
    check(r#"{"name":"Ana","status":"paid","since":null}"#, r#"{"name":"Ana","status":"paid"}"#);
    check(r#"{"name":"Ana","status":null,"since":null}"#, r#"{"name":"Ana"}"#);
}

#[test]
fn every_fault_of_a_record_is_told_at_once() {
    let mut table = students();
    table.rules = vec![
        rule("adult", Operations::WRITES, "new.age >= 18", "must be 18"),
        rule("paying", Operations::WRITES, "new.status == 'paid'", "must have paid"),
    ];
    let schema = schema(table);
    let json = r#"{"age":"old","fee":"0.001","other":1,"fields/x":2,"since":"soon"}"#;
    let faults = schema.create(&given(json), now()).unwrap_err();
    assert_eq!(
        told(&faults),
        [
            "fields/fields/x unknown-field",
            "fields/other unknown-field",
            "fields/name required",
            "fields/age type",
            "fields/since date-time",
            "fields/fee scale",
            // `adult` reads age, which is not known; `paying` can be asked.
            "rules/paying rule",
        ]
    );
    assert_eq!(faults.0[6].message, "must have paid");
}

#[test]
fn an_update_keeps_other_fields_and_null_takes_a_value_away() {
    let schema = schema(students());
    let old = schema.create(&given(r#"{"name":"Ana","age":20,"fee":"1.5"}"#), now()).unwrap();
    let check = |fields: &str, expect: Result<&str, &[&str]>| {
        let outcome = schema.update(&old, &given(fields));
        let outcome = outcome.map(|values| shown(&schema, &values)).map_err(|faults| told(&faults));
        assert_eq!(outcome, expect.map(json).map_err(|e| e.iter().map(|s| (*s).to_owned()).collect()));
    };
    let since = r#""since":"2024-05-01T10:00:00Z""#;
    check("{}", Ok(&format!(r#"{{"name":"Ana","age":20,"status":"new",{since},"fee":"1.50"}}"#)));
    check(r#"{"age":21}"#, Ok(&format!(r#"{{"name":"Ana","age":21,"status":"new",{since},"fee":"1.50"}}"#)));
    // A default is for creates: what is taken away stays away.
    check(r#"{"status":null,"fee":null}"#, Ok(&format!(r#"{{"name":"Ana","age":20,{since}}}"#)));
    check(r#"{"name":null}"#, Err(&["fields/name required"]));
    check(r#"{"name":""}"#, Err(&["fields/name required"]));
    check(r#"{"age":151}"#, Err(&["fields/age max"]));
}

#[test]
fn a_field_that_became_required_or_narrower_bites_only_when_a_record_is_written() {
    let old = schema(students()).create(&given(r#"{"name":"Ana","age":20}"#), now()).unwrap();
    let mut table = students();
    table.fields[4].required = true;
    table.fields[1].kind = FieldKind::Integer { min: Some(21), max: None };
    let schema = schema(table);
    assert_eq!(schema.fields_json(&old, Clear::No, None)["age"], 20);
    assert_eq!(schema.delete(&old), Ok(()));
    let faults = schema.update(&old, &given(r#"{"name":"Eva"}"#)).unwrap_err();
    assert_eq!(told(&faults), ["fields/age min", "fields/fee required"]);
    assert!(schema.update(&old, &given(r#"{"age":21,"fee":1}"#)).is_ok());
}

#[test]
fn values_of_a_field_that_is_gone_or_of_another_kind_now_do_no_harm() {
    let old = schema(students()).create(&given(r#"{"name":"Ana","age":20}"#), now()).unwrap();
    let mut table = students();
    table.fields.remove(1);
    table.fields[0].kind = integer();
    let schema = schema(table);
    assert_eq!(schema.fields_json(&old, Clear::No, None)["name"], "Ana");
    assert_eq!(told(&schema.update(&old, &RawFields::new()).unwrap_err()), ["fields/name type"]);
    let new = schema.update(&old, &given(r#"{"name":7}"#)).unwrap();
    assert!(!new.contains_key(&FieldId(1)));
}

#[test]
fn of_very_many_faults_some_are_told() {
    let schema = schema(students());
    let many: RawFields =
        (0..10_000).map(|n| (format!("x{n}"), RawValue::from_string("1".to_owned()).unwrap())).collect();
    assert_eq!(schema.create(&many, now()).unwrap_err().0.len(), 32);
}

//! Designs that are refused, each with the place of its fault.

use super::*;
use crate::{Index, IndexId, IndexState};

/// A sound table, changed by `change`, has exactly these faults.
fn check(change: impl FnOnce(&mut Table), expect: &[&str]) {
    let mut table = every_kind();
    change(&mut table);
    let faults = TableSchema::compile(table).err().unwrap_or_default();
    assert_eq!(told(&faults), expect, "{faults}");
}

fn index(id: u32, fields: &[u32], unique: bool, slot: Option<u8>) -> Index {
    let fields = fields.iter().map(|id| FieldId(*id)).collect();
    Index { id: IndexId(id), fields, unique, slot, state: IndexState::Ready }
}

#[test]
fn a_sound_design_is_taken() {
    check(|_| {}, &[]);
    check(
        |table| {
            table.next_index = 3;
            table.indexes = vec![
                index(0, &[0], true, None),
                index(1, &[4, 8], false, Some(1)),
                index(2, &[10], true, Some(5)),
            ];
            table.rules = vec![rule("r", Operations::WRITES, "new.integer >= 18", "too young")];
            table.fields[0].required = true;
        },
        &[],
    );
}

#[test]
fn fields_are_unique_numbered_and_nameable_in_expressions() {
    check(|table| table.fields[1].api_name = name_of("text"), &["fields/1/apiName taken"]);
    check(|table| table.fields[1].id = FieldId(0), &["fields/1 taken"]);
    check(|table| table.next_field = 12, &["fields/12 number"]);
    for word in ["null", "in", "true", "package"] {
        check(|table| table.fields[3].api_name = name_of(word), &["fields/3/apiName reserved"]);
    }
    check(|table| table.fields[0].label = Some("a\nb".into()), &["fields/0/label label"]);
    check(|table| table.label = Some("x".repeat(256)), &["label label"]);
    check(|table| table.buckets = 0, &["buckets buckets"]);
    check(|table| table.buckets = 33, &["buckets buckets"]);
}

#[test]
fn bounds_let_something_pass() {
    check(
        |table| table.fields[4].kind = FieldKind::Integer { min: Some(2), max: Some(1) },
        &["fields/4/min min"],
    );
    check(
        |table| {
            let rules = NumberRules { min: "0.2".parse().ok(), max: "0.1".parse().ok(), scale: Some(39) };
            table.fields[5].kind = FieldKind::Decimal(rules);
        },
        &["fields/5/min min", "fields/5/scale max"],
    );
    let texts = |min, max, pattern: Option<&str>| {
        FieldKind::Text(TextRules {
            min_length: Some(min),
            max_length: Some(max),
            pattern: pattern.map(str::to_owned),
        })
    };
    check(|table| table.fields[0].kind = texts(2, 1, None), &["fields/0/min-length min"]);
    check(|table| table.fields[0].kind = texts(0, 1, Some("(")), &["fields/0/pattern pattern"]);
    check(|table| table.fields[0].kind = texts(0, 1, Some(&"a".repeat(257))), &["fields/0/pattern pattern"]);
    check(|table| table.fields[0].kind = texts(0, 1025, Some("a")), &["fields/0/max-length max"]);
    check(|table| table.fields[0].kind = texts(0, 1025, None), &[]);
    let pick =
        |values: &[&str]| FieldKind::Picklist { values: values.iter().map(|v| (*v).to_owned()).collect() };
    check(|table| table.fields[9].kind = pick(&[]), &["fields/9/values required"]);
    check(
        |table| table.fields[9].kind = pick(&["a", "", "a"]),
        &["fields/9/values/1 picklist", "fields/9/values/2 taken"],
    );
    let many: Vec<String> = (0..201).map(|n| n.to_string()).collect();
    check(|table| table.fields[9].kind = FieldKind::Picklist { values: many }, &["fields/9/values too-many"]);
}

#[test]
fn defaults_fit_their_fields() {
    let with = |at: usize, default: &'static str| {
        move |table: &mut Table| table.fields[at].default = Some(default.into())
    };
    check(with(0, "\"a\""), &[]);
    check(with(0, "null"), &[]);
    check(with(0, "1"), &["fields/0/default type"]);
    check(with(0, "a"), &["fields/0/default default"]);
    check(with(0, ""), &["fields/0/default default"]);
    check(with(4, "1.5"), &["fields/4/default type"]);
    check(with(5, "\"0.1\""), &[]);
    check(with(6, "0.001"), &["fields/6/default scale"]);
    check(with(8, "\"now\""), &[]);
    check(with(8, "\"then\""), &["fields/8/default date-time"]);
    check(with(9, "\"other\""), &["fields/9/default picklist"]);
    check(with(12, "\"a\""), &["fields/12/default default"]);
}

#[test]
fn indexes_are_over_fields_that_can_be_found_by() {
    let with = |index: Index| {
        move |table: &mut Table| {
            table.next_index = 1;
            table.indexes = vec![index];
        }
    };
    check(with(index(0, &[], false, Some(1))), &["indexes/0/fields required"]);
    check(with(index(0, &[0, 1, 2, 3, 4], false, Some(1))), &["indexes/0/fields too-many"]);
    check(with(index(0, &[0, 0], false, Some(1))), &["indexes/0/fields/1 taken"]);
    check(with(index(0, &[99], false, Some(1))), &["indexes/0/fields/0 unknown-field"]);
    check(with(index(0, &[11], false, Some(1))), &["indexes/0/fields/0 not-indexable"]);
    check(with(index(0, &[0, 12], true, None)), &["indexes/0/fields/1 not-indexable"]);
    check(with(index(1, &[0], true, None)), &["indexes/0 number"]);
    check(with(index(0, &[0], false, None)), &["indexes/0 slot"]);
    check(with(index(0, &[0], false, Some(0))), &["indexes/0 slot"]);
    check(with(index(0, &[0], false, Some(6))), &["indexes/0 slot"]);
    check(
        |table| {
            table.next_index = 9;
            table.indexes = vec![
                index(1, &[0], true, None),
                index(1, &[1], false, Some(2)),
                index(3, &[2], false, Some(2)),
            ];
        },
        &["indexes/1 taken", "indexes/2 taken"],
    );
    check(
        |table| {
            table.next_index = 9;
            table.indexes = (0..6).map(|n| index(n, &[0], false, Some(u8::try_from(n).unwrap()))).collect();
        },
        &["indexes too-many", "indexes/0 slot"],
    );
}

#[test]
fn rules_have_names_messages_and_writes_they_are_for() {
    let never = Operations { create: false, update: false, delete: false };
    check(
        |table| {
            table.rules = vec![
                rule("a", Operations::WRITES, "new.boolean", "m"),
                rule("a", Operations::WRITES, "new.boolean", " "),
                rule("c", never, "new.boolean", &"m".repeat(481)),
            ];
        },
        &[
            "rules/1/name taken",
            "rules/1/message required",
            "rules/2/on required",
            "rules/2/message too-long",
        ],
    );
}

#[test]
fn a_table_too_large_is_refused_before_anything_is_compiled() {
    let fields: Vec<_> =
        (0..=MAX_FIELDS).map(|n| (format!("f{n}"), formula("(", FormulaResult::Text))).collect();
    let fields: Vec<_> = fields.iter().map(|(name, kind)| (name.as_str(), kind.clone())).collect();
    let faults = TableSchema::compile(table(&fields)).unwrap_err();
    assert_eq!(told(&faults), ["fields too-many"]);
    let mut many = every_kind();
    many.rules = (0..=MAX_RULES).map(|n| rule(&format!("r{n}"), Operations::WRITES, "(", "m")).collect();
    assert_eq!(told(&TableSchema::compile(many).unwrap_err()), ["rules too-many"]);
}

#[test]
fn the_patterns_of_a_table_are_bounded_together() {
    let with = |count: usize, pattern: &str| {
        let kind = FieldKind::Text(TextRules { pattern: Some(pattern.to_owned()), ..TextRules::default() });
        let fields: Vec<_> = (0..count).map(|n| (format!("f{n}"), kind.clone())).collect();
        let fields: Vec<_> = fields.iter().map(|(name, kind)| (name.as_str(), kind.clone())).collect();
        told(&TableSchema::compile(table(&fields)).err().unwrap_or_default())
    };
    assert_eq!(with(MAX_FIELDS, "^[A-Z]{2}[0-9]{1,4}$"), [""; 0]);
    assert_eq!(with(8, r"^[\p{L} '-]{1,60}$"), [""; 0]);
    assert_eq!(with(9, r"^[\p{L} '-]{1,60}$"), ["fields/8/pattern pattern"]);
}

#[test]
fn a_table_whose_records_no_transaction_could_write_is_refused() {
    let check = |uniques: u32, lookups: u32, fits: bool| {
        let kind = |n: u32| if n < uniques { text() } else { FieldKind::Lookup { table: prefix(7) } };
        let names: Vec<String> = (0..uniques + lookups).map(|n| format!("f{n}")).collect();
        let fields: Vec<_> = (0..).zip(&names).map(|(n, name)| (name.as_str(), kind(n))).collect();
        let mut table = table(&fields);
        let guard = |n| Index {
            id: IndexId(n),
            fields: vec![FieldId(n)],
            unique: true,
            slot: None,
            state: IndexState::Ready,
        };
        table.indexes = (0..uniques).map(guard).collect();
        table.next_index = uniques;
        let found = TableSchema::compile(table).map(|_| ()).map_err(|faults| told(&faults));
        assert_eq!(
            found,
            if fits { Ok(()) } else { Err(vec!["fields too-many".to_owned()]) },
            "{uniques}, {lookups}"
        );
    };
    check(49, 0, true);
    check(50, 0, false);
    check(0, 98, true);
    check(0, 99, false);
    check(20, 58, true);
    check(20, 59, false);
}

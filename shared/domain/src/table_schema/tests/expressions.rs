//! Formulas and rules: in which order, on which records, and what is refused at save.

use super::*;

fn with_rules(mut table: Table, rules: Vec<Rule>) -> Result<TableSchema, Faults> {
    table.rules = rules;
    TableSchema::compile(table)
}

const DELETE: Operations = Operations { create: false, update: false, delete: true };

#[test]
fn formulas_are_computed_after_those_they_read_wherever_they_stand() {
    let schema = schema(table(&[
        ("greeting", formula("'Dear ' + full", FormulaResult::Text)),
        ("full", formula("first + ' ' + last", FormulaResult::Text)),
        ("first", text()),
        ("last", text()),
        ("price", decimal()),
        ("count", integer()),
        ("total", formula("price * count", FormulaResult::Decimal)),
        ("double", formula("count + count", FormulaResult::Decimal)),
        ("large", formula("total > 100.0", FormulaResult::Boolean)),
    ]));
    let check = |fields: &str, expect: &str| {
        let values = schema.create(&given(fields), now()).unwrap();
        assert_eq!(shown(&schema, &values), json(expect));
        assert_eq!(schema.update(&values, &RawFields::new()).unwrap(), values);
    };
    check(
        r#"{"first":"Ana","last":"Silva","price":"33.35","count":3}"#,
        r#"{"greeting":"Dear Ana Silva","full":"Ana Silva","first":"Ana","last":"Silva","price":"33.35","count":3,"total":"100.05","double":"6","large":true}"#,
    );
    // What cannot be computed for want of a value is null.
    check(r#"{"first":"Ana","count":2}"#, r#"{"first":"Ana","count":2,"double":"4"}"#);
    let values = schema.create(&given(r#"{"first":"Ana","last":"Silva"}"#), now()).unwrap();
    assert_eq!(schema.folded(&values), "dear ana silva\nana silva\nana\nsilva");
    let values = schema.update(&values, &given(r#"{"last":null}"#)).unwrap();
    assert_eq!(shown(&schema, &values), json(r#"{"first":"Ana"}"#));
}

#[test]
fn a_formula_that_handles_null_itself_is_asked() {
    let schema = schema(table(&[
        ("nick", text()),
        ("name", text()),
        ("called", formula("nick == null ? name : nick", FormulaResult::Text)),
    ]));
    let called = |json: &str| {
        let values = schema.create(&given(json), now()).unwrap();
        schema.fields_json(&values, Clear::No, None)["called"].clone()
    };
    assert_eq!(called(r#"{"name":"Ana"}"#), "Ana");
    assert_eq!(called(r#"{"name":"Ana","nick":"A"}"#), "A");
    assert_eq!(called("{}"), serde_json::Value::Null);
}

#[test]
fn a_formula_is_not_given_and_fails_with_its_reason() {
    let mut design = table(&[
        ("a", integer()),
        ("b", integer()),
        ("ratio", formula("a / b", FormulaResult::Integer)),
        ("twice", formula("ratio + ratio", FormulaResult::Integer)),
    ]);
    design.rules = vec![
        rule("small", Operations::WRITES, "new.twice < 10", "too large"),
        rule("positive", Operations::WRITES, "new.a > 0", "must be positive"),
    ];
    design.fields[2].required = true;
    let schema = schema(design);
    let told = |json: &str| told(&schema.create(&given(json), now()).unwrap_err());
    assert_eq!(told(r#"{"a":1,"b":1,"ratio":3}"#), ["fields/ratio read-only"]);
    // Neither `twice` nor the rule that reads it is computed from what is wrong.
    assert_eq!(told(r#"{"a":-1,"b":0}"#), ["fields/ratio formula", "rules/positive rule"]);
    assert_eq!(told(r#"{"a":20,"b":1}"#), ["rules/small rule"]);
    assert_eq!(told(r#"{"a":1}"#), ["fields/ratio required", "rules/small rule-error"]);
    let faults = schema.create(&given(r#"{"a":1}"#), now()).unwrap_err();
    assert_eq!(faults.0[0].message, "this must have a value, and its formula gives none");
}

#[test]
fn formulas_that_read_each_other_in_a_ring_are_refused() {
    let check = |expressions: &[&str], expect: &[&str]| {
        let names = ["a", "b", "c", "d"];
        let fields: Vec<_> = names
            .iter()
            .zip(expressions)
            .map(|(name, e)| (*name, formula(e, FormulaResult::Integer)))
            .collect();
        let faults = TableSchema::compile(table(&fields)).err().unwrap_or_default();
        assert_eq!(told(&faults), expect, "{faults}");
    };
    check(&["a + 1"], &["fields/0/expression ring"]);
    check(&["b + 1", "a + 1"], &["fields/0/expression ring", "fields/1/expression ring"]);
    check(&["b + 1", "c + 1", "d + 1", "1"], &[]);
    check(
        &["1", "a + c", "d + 1", "b"],
        &["fields/1/expression ring", "fields/2/expression ring", "fields/3/expression ring"],
    );
}

#[test]
fn two_hundred_formulas_in_a_row_are_ordered() {
    let names: Vec<String> = (0..200).map(|n| format!("f{n}")).collect();
    let expressions: Vec<String> =
        (0..200).map(|n| if n == 199 { "1".to_owned() } else { format!("f{} + 1", n + 1) }).collect();
    let fields: Vec<_> = names
        .iter()
        .zip(&expressions)
        .map(|(name, expression)| (name.as_str(), formula(expression, FormulaResult::Integer)))
        .collect();
    let schema = schema(table(&fields));
    let values = schema.create(&RawFields::new(), now()).unwrap();
    assert_eq!(schema.fields_json(&values, Clear::No, None)["f0"], 200);
}

#[test]
fn rules_are_asked_at_the_writes_they_are_for() {
    let schema = with_rules(
        table(&[("age", integer()), ("status", text())]),
        vec![
            rule("adult", Operations::WRITES, "new.age >= 18", "must be 18"),
            rule(
                "forward",
                ALWAYS,
                "old == null || new == null || old.status != 'paid' || new.status == 'paid'",
                "paid stays",
            ),
            rule("unpaid", DELETE, "old.status != 'paid'", "a paid one stays"),
        ],
    )
    .unwrap();
    let of = |result: Result<Values, Faults>| result.map(drop).map_err(|faults| faults.to_string());
    assert_eq!(of(schema.create(&given(r#"{"age":17}"#), now())), Err("rules/adult: must be 18".into()));
    let paid = schema.create(&given(r#"{"age":18,"status":"paid"}"#), now()).unwrap();
    assert_eq!(of(schema.update(&paid, &given(r#"{"age":30}"#))), Ok(()));
    assert_eq!(
        of(schema.update(&paid, &given(r#"{"age":3,"status":"new"}"#))),
        Err("rules/adult: must be 18; rules/forward: paid stays".into())
    );
    assert_eq!(told(&schema.delete(&paid).unwrap_err()), ["rules/unpaid rule"]);
    let new = schema.update(&schema.create(&given(r#"{"age":18}"#), now()).unwrap(), &RawFields::new());
    assert_eq!(schema.delete(&new.unwrap()), Ok(()));
    // What has no answer refuses the write and says why.
    let faults = schema.create(&given("{}"), now()).unwrap_err();
    assert_eq!(told(&faults), ["rules/adult rule-error"]);
    assert!(faults.0[0].message.starts_with("must be 18 (this rule could not be asked: "), "{faults}");
}

#[test]
fn what_can_never_work_is_refused_at_save_with_its_place() {
    let check = |on: Operations, expression: &str, expect: &str| {
        let fields = [
            ("age", integer()),
            ("other", integer()),
            ("name", text()),
            ("data", FieldKind::Json),
            ("price", decimal()),
            ("cost", decimal()),
            ("looked", formula("data.a", FormulaResult::Integer)),
        ];
        let faults =
            with_rules(table(&fields), vec![rule("r", on, expression, "m")]).err().unwrap_or_default();
        assert!(faults.to_string().contains(expect), "{expression}: {faults}");
        assert_eq!(faults.is_empty(), expect.is_empty(), "{expression}: {faults}");
    };
    check(ALWAYS, "new.age >=", "rules/0/expression: at character");
    check(ALWAYS, "new.nothing == 1", "at character");
    check(ALWAYS, "new.age", "rules/0/expression: ");
    check(ALWAYS, "new.name < 5", "rules/0/expression: ");
    check(ALWAYS, "new.age >= 18", "on delete, new is null");
    check(Operations::WRITES, "old.age >= 18", "on create, old is null");
    check(Operations::WRITES, "old == null || old.age >= 18", "");
    check(Operations::WRITES, "new.age / 0 > 1", "fails on every sample");
    // Texts may be what they must be, JSON may be anything.
    check(Operations::WRITES, "int(new.name) > 5", "");
    check(Operations::WRITES, "timestamp(new.name) > timestamp('2020-01-01T00:00:00Z')", "");
    check(Operations::WRITES, "new.data.deep.deeper == 'x'", "");
    check(Operations::WRITES, "new.price / 3 > 1", "");
    check(Operations::WRITES, "100 / (new.age - 1) > 1", "");
    check(Operations::WRITES, "timestamp(new.name + 'T00:00:00Z') != null", "");
    check(Operations::WRITES, "old == null || 100 / (new.age - old.age) > 1", "");
    check(Operations::WRITES, "100 / (new.age - new.other) > 1", "");
    check(Operations::WRITES, "100.0 / (new.price - new.cost) > 1", "");
    check(Operations::WRITES, "new.looked > 3", "");
}

#[test]
fn a_formula_gives_what_it_promises() {
    let check = |expression: &str, result: FormulaResult, expect: &str| {
        let fields =
            [("age", integer()), ("name", text()), ("price", decimal()), ("f", formula(expression, result))];
        let faults = TableSchema::compile(table(&fields)).err().unwrap_or_default();
        assert!(faults.to_string().contains(expect), "{expression}: {faults}");
        assert_eq!(faults.is_empty(), expect.is_empty(), "{expression}: {faults}");
    };
    check("age", FormulaResult::Decimal, "");
    check("age", FormulaResult::Text, "fields/3/expression: ");
    check("name == 'x'", FormulaResult::Integer, "fields/3/expression: ");
    check("price +", FormulaResult::Decimal, "fields/3/expression: at character");
    check("1 / 0", FormulaResult::Integer, "fields/3/expression: ");
}

#[test]
fn the_patterns_of_all_expressions_of_a_table_are_bounded_together() {
    let mut table = table(&[("name", text())]);
    let dear = [r"new.name.matches('\\pL{15}')"; 2].join("||");
    table.rules = (0..MAX_RULES).map(|n| rule(&format!("r{n}"), Operations::WRITES, &dear, "no")).collect();
    let faults = TableSchema::compile(table.clone()).unwrap_err();
    assert!(
        faults.0.iter().all(|fault| fault.message.contains("of this table are too large together")),
        "{faults}"
    );
    table.rules.truncate(8);
    assert!(TableSchema::compile(table).is_ok());
}

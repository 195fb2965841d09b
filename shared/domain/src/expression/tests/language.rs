use super::{SCHOOL, answer, record, table};
use crate::expression::{Expression, Names, Scene};
use crate::{FormulaResult, Values};

#[test]
fn what_cel_users_expect_works() {
    let values = record(&[
        ("name", "João Silva"),
        ("age", "20"),
        ("paid", "true"),
        ("due", "2026-01-31T12:30:00.250Z"),
        ("closed", "2026-02-01T12:30:00.250Z"),
        ("status", "new"),
        ("school", SCHOOL),
        ("data", r#"{"tags":["a","b"],"n":3,"price":4.5,"deep":{"x":null},"on":true}"#),
        ("secret", "clear text"),
        ("has", "yes"),
    ]);
    for (text, expect) in [
        ("age >= 18 && name.startsWith('Jo')", "true"),
        ("name.endsWith('Silva') && name.contains('ão')", "true"),
        ("size(name)", "10"),
        ("name.size()", "10"),
        ("name.matches('^J.*a$')", "true"),
        ("matches(name, '^X')", "false"),
        ("status in ['new', 'paid']", "true"),
        ("!(status in ['paid'])", "true"),
        ("age in [1, 20]", "true"),
        ("name in []", "false"),
        ("age > 18 ? 'adult' : 'child'", "adult"),
        ("paid ? 1 : 2.5", "1d"),
        ("paid ? null : 1", "null"),
        ("name + '!'", "João Silva!"),
        ("string(age) + '/' + string(paid)", "20/true"),
        ("int('7') + age", "27"),
        ("has(age)", "true"),
        ("has(cost)", "false"),
        ("has", "yes"),
        ("cost == null", "true"),
        ("age != null", "true"),
        ("null == cost", "true"),
        ("cost == 4", "false"),
        ("cost != 4", "true"),
        ("age == 20 || cost > 5", "true"),
        ("cost > 5 || age == 20", "true"),
        ("cost > 5 && age == 21", "false"),
        ("secret != null && has(secret)", "true"),
        ("due < '2026-02-01T00:00:00Z'", "true"),
        ("timestamp('2026-01-31T13:30:00.25+01:00') == due", "true"),
        ("due + duration('24h') == closed", "true"),
        ("closed - due == duration('86400s')", "true"),
        ("closed - due > duration('1h30m')", "true"),
        ("due.getFullYear()", "2026"),
        ("due.getMonth()", "0"),
        ("due.getDate()", "31"),
        ("due.getDayOfMonth()", "30"),
        ("due.getDayOfWeek()", "6"),
        ("due.getDayOfYear()", "30"),
        ("due.getHours() * 100 + due.getMinutes()", "1230"),
        ("due.getMilliseconds()", "250"),
        ("string(due)", "2026-01-31T12:30:00.25Z"),
        (&format!("school == '{SCHOOL}'"), "true"),
        ("data.n == 3 && data.price == 4.5 && data.price > 4", "true"),
        ("data.n + 1 == 4", "true"),
        ("'a' in data.tags", "true"),
        ("data.tags[1]", "b"),
        ("data['n'] == 3", "true"),
        ("data.deep.x == null", "true"),
        ("has(data.n) && !has(data.m)", "true"),
        ("data.on", "true"),
        ("size(data.tags)", "2"),
        ("3 in [data.n]", "true"),
        ("data.n in [1, 2, 3]", "true"),
        ("data.tags == ['a', 'b']", "true"),
        ("data.tags.all(t, t < 'c')", "true"),
        ("data.tags.exists(t, t == 'b')", "true"),
        ("[1, 2, 3].exists_one(x, x == age - 18)", "true"),
        ("size([1, 2, 3].filter(x, x > 1))", "2"),
        ("[1, 2].map(x, x * 2) == [2, 4]", "true"),
        ("[1, 2, 3].map(x, x > 1, x * 2) == [4, 6]", "true"),
        ("{'a': 1}['a'] == 1", "true"),
        ("name.lowerAscii().startsWith('jo') && name.trim().upperAscii().startsWith('JO')", "true"),
        (r#""a\"b" + r'\d' + '\u0041'"#, "a\"b\\dA"),
        ("-5 < age && -(age) == -20", "true"),
    ] {
        assert_eq!(answer(text, &values).as_deref(), Ok(expect), "{text}");
    }
}

#[test]
fn what_has_no_answer_says_why_and_shows_no_value() {
    let values = record(&[("name", "Maria"), ("age", "9223372036854775807"), ("data", r#"{"n":"Maria"}"#)]);
    for (text, expect) in [
        ("cost < 5", "'<' has no answer for null and a decimal"),
        ("count < 5", "'<' has no answer for null and a whole number"),
        ("age + 1 > 0", "a whole number beyond 64 bits"),
        ("1 / count > 0", "missing or of another kind"),
        ("age / 0 > 0", "a division by zero"),
        ("paid", "null"),
        ("!paid", "'!' has no answer for null"),
        ("paid && true", "null"),
        ("data.m == 1", "no such key"),
        ("data.n < 1", "'<' has no answer for a text and a decimal"),
        ("data.n[0] == 1", "has no answer"),
        ("name + status == 'x'", "'+' has no answer"),
        ("status.startsWith('x')", "'startsWith' has no answer for null and a text"),
        ("[1][3] == 1", "beyond the end"),
        ("int(name) == 1", "no whole number"),
    ] {
        let table = table();
        let expression = Expression::compile(text, Names::RecordFields, &table).unwrap();
        let error = expression
            .holds(&Scene { table: &table, old: None, new: Some(&values) })
            .unwrap_err()
            .to_string();
        assert!(error.contains(expect), "{text}: {error}");
        assert!(!error.contains("Maria") && !error.contains("@"), "{text}: {error}");
    }
}

#[test]
fn rules_see_old_and_new_and_one_of_them_may_be_null() {
    let rule = "(old == null || old.status != 'paid') && new.status == 'paid'";
    let (new, paid) = (record(&[("status", "new")]), record(&[("status", "paid")]));
    let empty = Values::new();
    let check = |text: &str, old: Option<&Values>, new: Option<&Values>, expect: Result<bool, &str>| {
        let table = table();
        let expression = Expression::condition(text, Names::OldAndNew, &table).unwrap();
        let held = expression.holds(&Scene { table: &table, old, new }).map_err(|error| error.to_string());
        assert_eq!(held.as_ref().map_err(String::as_str).copied(), expect, "{text}");
    };
    check(rule, None, Some(&paid), Ok(true));
    check(rule, Some(&new), Some(&paid), Ok(true));
    check(rule, Some(&paid), Some(&paid), Ok(false));
    check(rule, Some(&empty), Some(&paid), Ok(true));
    check("new == null", Some(&paid), None, Ok(true));
    check("new != null", Some(&paid), None, Ok(false));
    check("has(old)", None, Some(&paid), Ok(false));
    check("new.age >= 18", Some(&paid), None, Err("'new' is null here"));
    check("old.age != 1", None, Some(&paid), Err("'old' is null here"));
    check("has(new.age)", Some(&paid), None, Err("'new' is null here"));
    check("has(new.age)", None, Some(&paid), Ok(false));
    check("new.`status` == 'paid'", None, Some(&paid), Ok(true));
}

#[test]
fn an_expression_tells_its_fields_and_what_it_gives() {
    let table = table();
    let expression =
        Expression::compile("new.age > old.age && new.name == 'x'", Names::OldAndNew, &table).unwrap();
    let fields: Vec<u32> = expression.fields().iter().map(|field| field.0).collect();
    assert_eq!(fields, [1, 2]);
    let check = |text: &str, result, fits: bool| {
        assert_eq!(Expression::formula(text, result, &table).is_ok(), fits, "{text}");
    };
    check("age + 1", FormulaResult::Integer, true);
    check("age + 1", FormulaResult::Decimal, true);
    check("age + 1", FormulaResult::Text, false);
    check("price * 2", FormulaResult::Decimal, true);
    check("price * 2", FormulaResult::Integer, false);
    check("data.x", FormulaResult::Text, true);
    check("name", FormulaResult::Boolean, false);
    assert!(Expression::condition("age + 1", Names::RecordFields, &table).is_err());
}

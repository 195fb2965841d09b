use super::{compiled, table};
use crate::expression::{Expression, Names};

#[test]
fn what_can_never_work_is_refused_with_its_place() {
    for (text, position, message) in [
        ("nam == 'x'", 1, "no field 'nam'"),
        ("age > 1 && nam == 'x'", 12, "no field 'nam'"),
        ("name == 'é' && nam == 'x'", 16, "no field 'nam'"),
        ("age == 'x'", 5, "'==' never fits between a whole number and a text"),
        ("name < 5", 6, "'<' never fits between a text and a whole number"),
        ("5 < name", 3, "never fits"),
        ("price == name", 7, "never fits"),
        ("paid == 1", 6, "never fits"),
        ("due < 5", 5, "never fits"),
        ("due < 'tomorrow'", 7, "no date-time"),
        ("due < name", 5, "say timestamp(..)"),
        ("age < null", 5, "null has no order"),
        ("name && paid", 1, "true or false is needed here, and this is a text"),
        ("!age", 2, "true or false is needed"),
        ("age ? 1 : 2", 1, "true or false is needed"),
        ("paid ? 1 : 'x'", 6, "never fits"),
        ("-name", 1, "has no negative"),
        ("name - name", 6, "'-' is not for a text"),
        ("paid + paid", 6, "'+' is not for true or false"),
        ("name + age", 6, "never fits"),
        ("price + double(age)", 7, "do not mix"),
        ("double(age) < price", 13, "do not mix"),
        ("age == double(age)", 5, "do not mix"),
        ("price in [1.5, 2.5]", 7, "'in' is not for decimals"),
        ("age in [1.5]", 5, "can never be in"),
        ("age in ['x']", 5, "can never be in"),
        ("age in age", 5, "can never be in"),
        ("secret == 'x'", 8, "encrypted text"),
        ("secret == secret", 8, "encrypted text"),
        ("secret < 'x'", 8, "encrypted text"),
        ("size(secret) > 1", 5, "not for encrypted text"),
        ("secret.startsWith('x')", 18, "not for encrypted text"),
        ("[secret] == ['x']", 2, "encrypted text"),
        ("(paid ? secret : null) == null", 7, "encrypted text"),
        ("string(secret)", 7, "not for encrypted text"),
        ("now() > due", 4, "there is no 'now'"),
        ("foo(age)", 4, "no function 'foo'"),
        ("name.foo()", 9, "no function 'foo'"),
        ("startsWith(name, 'x')", 11, "called on a text"),
        ("name.startsWith(1)", 16, "not for a whole number"),
        ("name.startsWith()", 16, "takes 1 argument"),
        ("name.matches(status)", 14, "must be a text in quotes"),
        ("name.matches('(')", 14, "not a pattern: unclosed group"),
        ("name.matches('x' + 'y')", 18, "must be a text in quotes"),
        ("name.matches('(a{99}){99}{99}')", 14, "too large"),
        (
            r"name.matches('\\pL{15}') || name.matches('\\pN{40}') || name.matches('\\pL{14}')",
            70,
            "too large together",
        ),
        ("name.length", 5, "a text has no 'length'"),
        ("type(age) == int", 5, "no function 'type'"),
        ("dyn(age)", 4, "no function 'dyn'"),
        ("b'x' == name", 2, "bytes"),
        ("5u == age", 1, "without 'u'"),
        ("timestamp('x') > due", 11, "no date-time"),
        ("duration('x') > duration('1h')", 10, "no duration"),
        ("decimal('x') > 1", 9, "not a decimal"),
        ("0.123456789012345678901234567890123456789 < price", 1, "more than 38 digits"),
        ("99999999999999999999 < price", 1, "a longer one with .0"),
        ("Foo{a: 1} == 1", 4, "no types to construct"),
        ("{1: 2} == 1", 2, "keys are texts"),
        ("age ==", 7, "not an expression"),
        ("age = 5", 5, "not an expression"),
        ("age >\n 5 5", 10, "not an expression"),
        ("", 1, "an expression is needed"),
        ("   ", 1, "an expression is needed"),
        ("age > 1 // why", 9, "no comments"),
        ("age > 1;", 8, "has no meaning"),
        ("[1].all(x)", 8, "all is called on a list"),
        ("age.all(x, x > 1)", 8, "go over a list"),
        ("[1].all(x, [2].all(y, y > x))", 19, "within each other"),
        ("[1].map(x, x).all(y, y > 1)", 8, "within each other"),
        ("name.`in` == 1", 5, "has no 'in'"),
        ("package == 1", 1, "reserved identifier"),
        ("old == null", 1, "no field 'old'"),
        ("__result__", 1, "no field"),
        ("_h_(age, name)", 4, "has() takes one field"),
    ] {
        let fault = match compiled(text) {
            Err(fault) => fault,
            Ok(expression) => panic!("{text} was taken as {:?}", expression.result()),
        };
        assert!(fault.message.contains(message), "{text}: {fault}");
        assert_eq!(fault.position, Some(position), "{text}: {fault}");
    }
}

#[test]
fn rules_name_the_record_they_mean() {
    for (text, position, message) in [
        ("age > 1", 1, "say new.age or old.age"),
        ("foo > 1", 1, "'foo' is unknown"),
        ("new.foo > 1", 4, "no field 'foo'"),
        ("new == old", 5, "compared only with null"),
        ("new == 1", 5, "compared only with null"),
        ("new", 1, "name a field"),
        ("[new] == []", 2, "whole record"),
        ("size(new)", 5, "not for a whole record"),
        ("new['age'] > 1", 4, "a whole record has no place"),
        ("new.secret == 'x'", 12, "encrypted text"),
    ] {
        let fault = Expression::compile(text, Names::OldAndNew, &table()).unwrap_err();
        assert!(fault.message.contains(message), "{text}: {fault}");
        assert_eq!(fault.position, Some(position), "{text}: {fault}");
    }
}

use proptest::prelude::*;

use super::{answer, compiled, record};
use crate::Decimal;

#[test]
fn a_decimal_on_either_side_compares_as_an_exact_decimal_library_has_it() {
    let big = "12345678901234567890123456789012345678";
    let one_more = "12345678901234567890123456789012345679";
    let pairs = [
        ("4", "4"),
        ("4", "5"),
        ("5", "4"),
        ("4.5", "4.5"),
        ("4.5", "4.50"),
        ("4.5", "4.6"),
        ("0.1", "0.10000000000000001"),
        ("0.3", "0.1"),
        ("-1", "0"),
        ("-0.0", "0"),
        ("9007199254740993.0", "9007199254740992.0"),
        ("9007199254740993", "9007199254740992"),
        (big, one_more),
        ("0.12345678901234567890123456789012345678", "0.12345678901234567890123456789012345679"),
        ("1e10", "10000000000"),
        ("1e-10", "0"),
    ];
    for (left, right) in pairs {
        let (a, b): (Decimal, Decimal) = (left.parse().unwrap(), right.parse().unwrap());
        // Beyond 64 bits a literal needs its point.
        let literal = |text: &str| {
            if text.contains(['.', 'e']) || text.len() < 19 { text.to_owned() } else { format!("{text}.0") }
        };
        for (operator, expect) in
            [("<", a < b), ("<=", a <= b), (">", a > b), (">=", a >= b), ("==", a == b), ("!=", a != b)]
        {
            let values = record(&[("price", left), ("cost", right)]);
            for text in [
                format!("price {operator} {}", literal(right)),
                format!("{} {operator} cost", literal(left)),
                format!("price {operator} cost"),
                format!("{} {operator} decimal('{right}')", literal(left)),
                format!("decimal('{left}') {operator} {}", literal(right)),
            ] {
                assert_eq!(
                    answer(&text, &values).unwrap(),
                    expect.to_string(),
                    "{text} with {left}, {right}"
                );
            }
        }
    }
}

#[test]
fn whole_number_fields_beside_decimals_are_decimals() {
    let values = record(&[("age", "4"), ("price", "4.5"), ("total", "4")]);
    for (text, expect) in [
        ("age < price", "true"),
        ("price > age", "true"),
        ("age == total", "true"),
        ("total == age", "true"),
        ("age != price", "true"),
        ("age < 4.5", "true"),
        ("4.5 <= age", "false"),
        ("age == 4.0", "true"),
        ("4.0 == age", "true"),
        ("age + price", "8.5d"),
        ("price - age", "0.5d"),
        ("age * 1.5", "6d"),
        ("age / 3", "1"),
        ("age % 3", "1"),
        ("age + 1", "5"),
        ("-age", "-4"),
        ("-price", "-4.5d"),
    ] {
        assert_eq!(answer(text, &values).unwrap(), expect, "{text}");
    }
}

#[test]
fn arithmetic_is_exact_or_says_that_it_is_not() {
    let values = record(&[("price", "0.1"), ("cost", "0.2"), ("total", "10")]);
    let nines = "99999999999999999999999999999999999999";
    for (text, expect) in [
        ("price + cost", Ok("0.3d")),
        ("price + 0.2 == 0.3", Ok("true")),
        ("0.2 + price == 0.3", Ok("true")),
        ("0.1 + 0.2", Ok("0.3d")),
        ("price - 0.1", Ok("0d")),
        ("1 - price", Ok("0.9d")),
        ("price * cost", Ok("0.02d")),
        ("3 * price", Ok("0.3d")),
        ("total / 8", Ok("1.25d")),
        ("1 / total", Ok("0.1d")),
        ("total / 3", Err("no end")),
        ("total / 0", Err("division by zero")),
        ("total % 3", Ok("1d")),
        ("total % 0.0", Err("division by zero")),
        (&format!("{nines}.0 + price"), Err("more than 38 digits")),
        ("1e125 * total", Err("beyond 10^125")),
        ("1e400", Err("")),
        ("int(4.7)", Ok("4")),
        ("int(-4.7)", Ok("-4")),
        ("int(price * 25)", Ok("2")),
        ("int(1e30)", Err("64 bits")),
        ("decimal('1.50') + 1", Ok("2.5d")),
        ("decimal(double('2.5'))", Ok("2.5d")),
        ("double(price) < 0.5", Ok("true")),
        ("0.5 > double(price)", Ok("true")),
        ("double(1) + 0.5 == 1.5", Ok("true")),
        ("double(1) + 2 == 3.0", Ok("true")),
        ("double(1) > -9223372036854775808", Err("do not mix")),
        ("string(price)", Ok("0.1")),
        ("decimal(string(price)) == price", Ok("true")),
        ("decimal('x' + string(price))", Err("not a decimal")),
    ] {
        let given = match compiled(text) {
            Ok(_) => answer(text, &values).map_err(|error| error.to_string()),
            Err(fault) => Err(fault.to_string()),
        };
        match (&given, expect) {
            (Ok(given), Ok(expect)) => assert_eq!(given, expect, "{text}"),
            (Err(given), Err(expect)) => assert!(given.contains(expect), "{text}: {given}"),
            _ => panic!("{text}: {given:?}"),
        }
    }
}

proptest! {
    #[test]
    fn any_two_decimals_compare_as_they_are(a in "-?[0-9]{1,20}(\\.[0-9]{1,17})?", b in "-?[0-9]{1,20}(\\.[0-9]{1,17})?") {
        let (left, right): (Decimal, Decimal) = (a.parse().unwrap(), b.parse().unwrap());
        let values = record(&[("price", &a), ("cost", &b)]);
        let literal = |text: &str| if text.contains('.') { text.to_owned() } else { format!("{text}.0") };
        prop_assert_eq!(answer(&format!("price < {}", literal(&b)), &values).unwrap(), (left < right).to_string());
        prop_assert_eq!(answer(&format!("{} < cost", literal(&a)), &values).unwrap(), (left < right).to_string());
        prop_assert_eq!(answer(&format!("{} == cost", literal(&a)), &values).unwrap(), (left == right).to_string());
        if let Ok(sum) = left.add(&right) {
            prop_assert_eq!(answer(&format!("{} + cost", literal(&a)), &values).unwrap(), format!("{sum}d"));
        }
    }
}

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{compiled, record, table};
use crate::expression::{Expression, ExpressionFault, Names, Scene};

/// Runs `work` on a stack of 1 MiB, half of what a thread has by default, and gives its answer back.
fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap()
}

fn refused(text: &str, position: usize, message: &str) {
    let owned = text.to_owned();
    let (fault, took): (Option<ExpressionFault>, Duration) = on_a_small_stack(move || {
        let start = Instant::now();
        (compiled(&owned).err(), start.elapsed())
    });
    let shown: String = text.chars().take(60).collect();
    let fault = fault.unwrap_or_else(|| panic!("{shown} was taken"));
    assert!(fault.message.contains(message), "{shown}: {fault}");
    assert_eq!(fault.position, Some(position), "{shown}: {fault}");
    assert!(took < Duration::from_secs(30), "{shown} took {took:?}");
}

#[test]
fn every_bound_is_refused_at_its_place_and_fast() {
    let long = format!("name == '{}'", "x".repeat(1024));
    refused(&long, 1025, "at most 1024 bytes");
    refused(&"é".repeat(600), 513, "at most 1024 bytes");
    refused(&"(".repeat(1000), 17, "16 deep");
    refused(&format!("{}1{}", "(".repeat(17), ")".repeat(17)), 17, "16 deep");
    refused(&format!("{}1{}", "[".repeat(17), "]".repeat(17)), 17, "16 deep");
    refused(&"size(".repeat(100), 85, "16 deep");
    refused(&"paid ? 1 : ".repeat(60), 182, "16 deep");
    refused(&"{'a':".repeat(100), 81, "16 deep");
    refused(&"!".repeat(1000), 64, "operators may stand in a row");
    refused(&"-".repeat(1000), 64, "operators may stand in a row");
    refused(&format!("1{}", "+1".repeat(500)), 128, "operators may stand in a row");
    refused(&format!("data{}", ".a".repeat(500)), 131, "operators may stand in a row");
    refused(&format!("name{}", " in name".repeat(100)), 510, "operators may stand in a row");
    refused(&format!("name.matches('{}')", "x".repeat(257)), 14, "at most 256 bytes");
    refused("[1].all(a, [1].all(b, [1].all(c, [1].all(d, [1].all(e, e > 0)))))", 19, "within each other");
    refused(&["[1].all(a, a > 0)"; 5].join(" && "), 92, "at most 4");
    refused(&format!("1{} == 63", "+1".repeat(62)), 86, "20 deep");
    refused(&format!("data{} == 1", ".a".repeat(60)), 85, "20 deep");
    refused("name == 'x", 9, "no closing quote");
    refused(r"name == '\q((((((((((((((((((((((((((((((((((('", 10, "not an escape");
    refused(r#"name == '''x'''"#, 9, "not in three");
    refused(&format!("name == b'{}'", "(".repeat(100)), 10, "bytes");
    refused("(1]", 3, "nothing is open");
    refused("1)", 2, "nothing is open");
    refused("name == \"a\nb\"", 9, "no closing quote");
    refused("näme == 1", 2, "has no meaning");
    refused("\u{0}", 1, "has no meaning");
}

#[test]
fn what_is_just_within_the_bounds_is_parsed_and_evaluated_on_a_small_stack() {
    let deep = |open: &str, inner: &str, close: &str, count: usize| {
        format!("{}{inner}{}", open.repeat(count), close.repeat(count))
    };
    let within = [
        deep("(", "1", ")", 16) + " == 1",
        deep("(1+", "1", ")", 16) + " == 17",
        deep("(", "1", "+1)", 16) + " == 17",
        deep("!(", "false", ")", 16),
        deep("[", "1", "]", 16) + " == []",
        "paid ? true : ".repeat(15) + "true",
        format!("1{} == 19", "+1".repeat(18)),
        format!("{}true", "!".repeat(62)),
        vec!["age == 20"; 75].join(" && "),
        vec!["age==20"; 110].join("||"),
        format!("age in [{}]", vec!["20"; 300].join(",")),
        format!("data{} == 1 || true", ".a".repeat(16)),
        deep("[1].all(x, (", "x > 0", "))", 1),
        deep("string(", "1", ")", 16) + " == '1'",
    ];
    for text in within {
        let shown = text.clone();
        let result = on_a_small_stack(move || {
            let table = table();
            let expression = Expression::compile(&text, Names::RecordFields, &table)?;
            let values = record(&[("age", "20"), ("paid", "false")]);
            Ok::<_, ExpressionFault>(expression.holds(&Scene {
                table: &table,
                old: None,
                new: Some(&values),
            }))
        });
        match result {
            Ok(held) => assert!(held.is_ok(), "{shown}: {held:?}"),
            Err(fault) => assert!(shown.starts_with("[[[["), "{shown}: {fault}"),
        }
    }
}

#[test]
fn a_comprehension_goes_over_a_thousand_elements_and_a_made_text_is_bounded() {
    let table = table();
    let check = |text: &str, count: usize, holds: bool| {
        let list = format!("[{}]", vec!["\"x\""; count].join(","));
        let values = record(&[("data", &list), ("name", &"y".repeat(40_000))]);
        let expression = Expression::condition(text, Names::RecordFields, &table).unwrap();
        let held = expression.holds(&Scene { table: &table, old: None, new: Some(&values) });
        assert_eq!(held.is_ok(), holds, "{text} over {count}: {held:?}");
    };
    check("data.all(x, x == 'x')", 1000, true);
    check("data.all(x, x == 'x')", 1001, false);
    // Each element looks at 40,000 bytes.
    check("data.all(x, !name.contains(x))", 419, true);
    check("data.all(x, !name.contains(x))", 420, false);
    check("data.all(x, x != '') && !name.contains('x')", 1000, true);
    check("name + 'x' != ''", 1, true);
    check("name + name != ''", 1, false);
}

#[test]
fn a_pattern_looks_at_no_more_text_than_it_is_fast_for() {
    let check = |text: &str, name: &str, data: &str, holds: bool| {
        let table = table();
        let values = record(&[("name", name), ("data", data)]);
        let expression = Expression::condition(text, Names::RecordFields, &table).unwrap();
        let start = Instant::now();
        let held = expression.holds(&Scene { table: &table, old: None, new: Some(&values) });
        assert_eq!(held.is_ok(), holds, "{text}: {held:?}");
        assert!(start.elapsed() < Duration::from_secs(30), "{text} took {:?}", start.elapsed());
    };
    let dear = "(([ab]?){100}){40}[0-9]";
    check(&format!("name.matches('{dear}')"), &"ab".repeat(400), "1", true);
    check(&format!("name.matches('{dear}')"), &"ab".repeat(190_000), "1", false);
    let list = format!("[{}]", vec!["\"abababab\""; 1000].join(","));
    check(&format!("!data.exists(x, x.matches('{dear}'))"), "", &list, false);
    check("data.all(x, x.matches('^(ab)+$'))", "", &list, true);
    // What people write looks at a whole record.
    check("!name.matches('urgent')", &"ab".repeat(100_000), "1", true);
}

#[test]
fn what_is_copied_of_a_record_is_bounded() {
    let table = table();
    let check = |text: &str, zeros: usize, holds: bool| {
        let data = format!("[{}0]", "0,".repeat(zeros));
        let values = record(&[("data", &data), ("name", "x")]);
        let expression = Expression::condition(text, Names::RecordFields, &table).unwrap();
        let held = expression.holds(&Scene { table: &table, old: None, new: Some(&values) });
        assert_eq!(held.is_ok(), holds, "{text} over {zeros}: {held:?}");
    };
    let many = |one: &str, count: usize| vec![one; count].join(",");
    check("data == data && size(data) > 0 && data[0] == 0", 190_000, true);
    check("size([data, data]) == 2", 190_000, true);
    check(&format!("size([{}]) > 0", many("data", 150)), 190_000, false);
    check(&format!("size([{}]) > 0", many("data", 150)), 500, true);
    check(&format!("size([{}].map(x, data)) > 0", many("1", 300)), 190_000, false);
    check(&format!("size([{}].map(x, data)) > 0", many("1", 300)), 100, true);
    check(&format!("size(data.map(x, [{}])) > 0", many("x", 300)), 900, true);
    check("size(data.map(x, x)) > 0 && size(data.filter(x, x == 0)) > 0", 900, true);
    check("size(data + data + data + data + data + data) > 0", 190_000, false);
    check("size(data + data) > 0", 190_000, true);
    check("size({'a': data, 'b': data, 'c': data, 'd': data, 'e': data, 'f': data}) > 0", 190_000, false);
    check("data.all(x, name != 'y' && x == 0)", 900, true);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_brings_the_compiler_down(text in "\\PC{0,60}") {
        let _ = compiled(&text);
    }

    #[test]
    fn no_row_of_tokens_brings_it_down(tokens in prop::collection::vec(prop::sample::select(TOKENS), 1..25)) {
        let text = tokens.join(" ");
        let tight = tokens.concat();
        let values = record(&[("age", "20"), ("name", "x"), ("data", "[1,{\"a\":2}]")]);
        for text in [text, tight] {
            if let Ok(expression) = compiled(&text) {
                let table = table();
                let _ = expression.value(&Scene { table: &table, old: None, new: Some(&values) });
            }
        }
    }
}

const TOKENS: &[&str] = &[
    "age",
    "name",
    "price",
    "paid",
    "due",
    "data",
    "secret",
    "old",
    "new",
    "x",
    "1",
    "2.5",
    "-",
    "'a'",
    "\"b\"",
    "r'\\'",
    "true",
    "null",
    "+",
    "*",
    "/",
    "%",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "!",
    "?",
    ":",
    ".",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "in",
    "has",
    "size",
    "matches",
    "startsWith",
    ".all(x, ",
    ".map(x, ",
    "timestamp",
    "duration",
    "`in`",
    "1e9",
    "0x1f",
    "5u",
    "b'x'",
    "'\\n'",
    "'''",
    "é",
    "\n",
    "//",
    "_h_",
    "@v0",
];

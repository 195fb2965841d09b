#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mlua::{Lua, Table, Value};
use proptest::prelude::*;

use super::*;

const ROOM: usize = 1 << 20;

fn machine() -> (Lua, Table) {
    let lua = Lua::new();
    let arrays = lua.create_table().unwrap();
    (lua, arrays)
}

fn round(text: &str) -> Result<String, String> {
    let (lua, arrays) = machine();
    let value = to_lua(&lua, &arrays, text).map_err(|error| error.to_string())?;
    to_json(&arrays, &value, ROOM, Numbers::Exact).map_err(|error| error.to_string())
}

fn write(script: &str) -> Result<String, String> {
    let (lua, arrays) = machine();
    let value: Value = lua.load(script).eval().unwrap();
    to_json(&arrays, &value, 1000, Numbers::Exact).map_err(|error| error.to_string())
}

#[test]
fn what_comes_in_goes_out_as_it_was() {
    let check = |text: &str, expect: &str| assert_eq!(round(text), Ok(expect.to_owned()), "{text}");
    let same = |text: &str| check(text, text);
    for text in [
        "null",
        "true",
        "\"\"",
        "[]",
        "{}",
        "[[],{}]",
        "{\"a\":null}",
        "12345678901234567890123",
        "0.1000000000000000055",
        "9007199254740993",
        "1e400",
        "\"\u{10ffff}\u{0}\"".replace('\u{0}', "\\u0000").as_str(),
        "{\"1\":\"text\",\"2\":[1,2,3]}",
    ] {
        same(text);
    }
    check(" [ 1 , 2.50 , -3e2 ] ", "[1,2.5,-300]");
    check(r#""\u0041\n\/\ud83d\ude00""#, "\"A\\n/\u{1f600}\"");
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    let check = |text: &str, expect: &str| {
        let error = round(text).unwrap_err();
        assert!(error.contains(expect), "{text}: {error}");
    };
    check("", "ends too early");
    check("[1,", "ends too early");
    check("[1 2]", "comma");
    check("{\"a\" 1}", "colon");
    check("{a:1}", "key");
    check("01", "zero too many");
    check("1.", "point");
    check("1e", "exponent");
    check("tru", "value was expected");
    check("1 1", "after its end");
    check("\"\u{1}\"", "control character");
    check("\"\\ud800\"", "surrogate");
    check("\"\\ud800\\u0041\"", "surrogate");
    check("\"\\x\"", "unknown escape");
    check("\"\\u00g0\"", "hexadecimal");
    check("\"abc", "no end");
    check("{\"a\":{\"b\":[1,{\"c\":1,\"c\":2}]}}", "$.a.b[2].c: has this key twice");
    check(&format!("{}1{}", "[".repeat(65), "]".repeat(65)), "nested more than 64");
    check(&"9".repeat(1025), "more than 1024 characters");
    assert!(round(&format!("{}1{}", "[".repeat(64), "]".repeat(64))).is_ok());
    assert!(round(&"[".repeat(500_000)).is_err());
}

#[test]
fn lua_values_without_a_json_form_are_refused_with_their_path() {
    let check = |script: &str, expect: &str| {
        let error = write(script).unwrap_err();
        assert!(error.contains(expect), "{script}: {error}");
    };
    check("return {a={b={1,2,print}}}", "$.a.b[3]: is a function");
    check("return {1,2,x=3}", "has the key \"x\"");
    check("return {x=1,[5]=2}", "number as key");
    check("return {[true]=2}", "boolean as key");
    check("return {1,nil,3}", "gaps");
    check("return 0/0", "NaN");
    check("return {v=-1/0}", "$.v: is -inf");
    check("return '\\xff'", "not UTF-8");
    check("local t = {} t.t = t return t", "contains itself");
    check("return string.rep('x', 2000)", "more than 1000 bytes");
    check("local t = {} for i = 1, 2000 do t[i] = true end return t", "more than 1000 bytes");
    check("local t = {} for i = 1, 40 do t = {t, t} end return t", "more than 1000 bytes");
}

#[test]
fn lua_values_are_written_in_one_form() {
    let check = |script: &str, expect: &str| assert_eq!(write(script), Ok(expect.to_owned()), "{script}");
    check("return nil", "null");
    check("return {}", "{}");
    check("return {b=1,a='x'}", r#"{"a":"x","b":1}"#);
    check("return {1,'2',3.5}", r#"[1,"2",3.5]"#);
    check("return 2^53", "9007199254740992");
    check("return 1e300", "1e+300");
    check("return -0.5", "-0.5");
    check(
        "return setmetatable({1}, {__len = function() return 5 end, __index = function() return 1 end})",
        "[1]",
    );
}

#[test]
fn a_number_too_long_for_its_reader_is_refused() {
    let (lua, arrays) = machine();
    let check = |text: &str, ok: bool| {
        let value = to_lua(&lua, &arrays, text).unwrap();
        assert_eq!(to_json(&arrays, &value, ROOM, Numbers::SixtyFourBits).is_ok(), ok, "{text}");
    };
    check("[18446744073709551615]", true);
    check("[-9223372036854775808]", true);
    check("[18446744073709551616]", false);
    check("[0.1000000000000000055]", false);
}

#[test]
fn decimals_work_as_values_in_lua() {
    let (lua, arrays) = machine();
    lua.globals().set("a", to_lua(&lua, &arrays, "9007199254740993").unwrap()).unwrap();
    lua.globals().set("b", to_lua(&lua, &arrays, "90071992547409930e-1").unwrap()).unwrap();
    lua.globals().set("c", to_lua(&lua, &arrays, "9007199254740995").unwrap()).unwrap();
    let script = "return a == b, a < c, c <= a, tostring(a), a:to_number() == 2^53";
    let got: (bool, bool, bool, String, bool) = lua.load(script).eval().unwrap();
    assert_eq!(got, (true, true, false, "9007199254740993".to_owned(), true));
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(serde_json::Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Integral floats come back without their point, which is the same number.
fn same(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (a, b) {
        (Number(a), Number(b)) => a == b || (a.is_f64() && a.as_f64() == b.as_f64()),
        (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Object(a), Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

proptest! {
    #[test]
    fn every_json_value_survives_its_way_through_lua(value in any_json()) {
        let before = value.to_string();
        let after = round(&before).unwrap();
        // Both texts are read the same way: what reads them rounds long floats a little itself.
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        prop_assert!(same(&read(&before), &read(&after)), "{before} became {after}");
    }

    #[test]
    fn every_integer_keeps_all_its_digits(digits in "-?[1-9][0-9]{0,60}") {
        for text in [digits.clone(), format!("[{digits}]")] {
            prop_assert_eq!(round(&text), Ok(text));
        }
    }

    #[test]
    fn every_round_integer_keeps_all_its_digits(digits in "-?[1-9][0-9]{0,15}", zeros in 0_usize..45) {
        let digits = digits + &"0".repeat(zeros);
        // Alone and out of a table: the machine hands them over differently.
        for text in [digits.clone(), format!("[{digits}]")] {
            prop_assert_eq!(round(&text), Ok(text));
        }
    }

    #[test]
    fn no_text_breaks_the_parser(text in ".{0,200}") {
        let _ = round(&text);
    }

    #[test]
    fn no_almost_json_breaks_the_parser(text in r#"[\[\]{}",:\\ubn0-9eE.+\- tfa]{0,60}"#) {
        let ours = round(&text);
        if ours.is_ok() {
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
        }
    }
}

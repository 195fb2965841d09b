//! Naughty strings in every field of a table: each comes back as it was sent, or is refused by its field's name.

use serde_json::{Value, json};

use crate::support::house::TestHouse;

/// Kinds of fields that take text.
const KINDS: [&str; 10] = [
    "text",
    "textarea",
    "email",
    "url",
    "integer",
    "decimal",
    "boolean",
    "date-time",
    "json",
    "encrypted-text",
];

fn strings() -> Vec<String> {
    let mut strings: Vec<String> = [
        "",
        " ",
        "\t",
        "\u{0}",
        "a\u{0}b",
        "\u{1}\u{7f}\u{85}",
        "\u{feff}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{fffd}",
        "null",
        "undefined",
        "true",
        "NaN",
        "-Infinity",
        "0",
        "-0",
        "1e3",
        "0x10",
        "1_000",
        "1,5",
        "１２３",
        "٣",
        "9223372036854775808",
        "\\",
        "\\u0000",
        "'",
        "\"",
        "';--",
        "' OR 1=1 --",
        "{{7*7}}",
        "${jndi:ldap://x}",
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "%00",
        "%s%n",
        "#f0",
        ":v0",
        "attribute_exists(pk)",
        "new.a",
        "😀👩‍👩‍👧‍👦",
        "田中さん",
        "ﷺ",
        "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮",
        "\u{202e}evil\u{202c}",
        "ÅÅ",
        "İi̇ıI",
        "ß",
        "ﬁ",
        "a@b",
        "\"a b\"@example.com",
        "a@example.com",
        "http://",
        "javascript:alert(1)",
        "http://[::1",
        "https://example.com/ä?q=1#f",
        "2026-02-30T00:00:00Z",
        "2026-02-28T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "__proto__",
        "constructor",
        "pk",
        "v",
    ]
    .map(str::to_owned)
    .into();
    strings.push("x".repeat(100_000));
    strings.push("é".repeat(5_000));
    strings
}

#[tokio::test(flavor = "multi_thread")]
async fn every_naughty_string_comes_back_as_it_was_or_is_refused_by_name() {
    let house = TestHouse::start().await;
    let fields: Vec<Value> = KINDS
        .iter()
        .map(|kind| json!({"apiName": format!("f_{}", kind.replace('-', "_")), "type": kind}))
        .collect();
    let made = house
        .post("table", &json!({"apiName": "Naughty", "fields": fields, "indexes": [{"fields": ["f_text"]}]}))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let mut kept = 0;
    for text in strings() {
        let shown: String = text.chars().take(40).collect();
        for kind in KINDS {
            let field = format!("f_{}", kind.replace('-', "_"));
            let new = house
                .post("record/new", &json!({"apiName": "Naughty", "fields": {field.as_str(): text}}))
                .await;
            let said = format!("{kind} {shown:?}: {} {}", new.status, new.body);
            match new.status {
                201 => {
                    let read = house.get(&format!("record/{}", new.text("id"))).await;
                    assert_eq!(read.status, 200, "{said}");
                    let value = &read.body["fields"][&field];
                    assert_eq!(value, &new.body["fields"][&field], "{said}");
                    match kind {
                        "text" | "textarea" | "json" | "encrypted-text" | "email" => {
                            assert_eq!(value, &json!(text), "{said}")
                        }
                        // Written in one form: 1e3 is 1000, a date-time is in UTC.
                        _ => assert!(!value.is_null(), "{said}"),
                    }
                    kept += 1;
                }
                422 => {
                    let paths: Vec<&Value> = new.errors().iter().map(|e| &e["path"]).collect();
                    assert_eq!(paths, [&json!(format!("fields/{field}"))], "{said}");
                }
                _ => panic!("{said}"),
            }
        }
        // As a filter's literal, as a search, as a cursor, as a name: never more than a refusal.
        for query in [
            json!({"filter": format!("f_text == {}", json!(text))}),
            json!({"filter": text}),
            json!({"search": text}),
            json!({"cursor": text}),
            json!({"sort": [text]}),
            json!({"fields": [text]}),
        ] {
            let mut query = query;
            query["apiName"] = json!("Naughty");
            let answer = house.post("record/query", &query).await;
            assert!(matches!(answer.status, 200 | 422), "{shown:?} in {query}: {}", answer.body);
        }
        for body in [
            json!({"apiName": text, "fields": {}}),
            json!({"apiName": "Naughty", "fields": {text.as_str(): 1}}),
        ] {
            let answer = house.post("record/new", &body).await;
            assert!(matches!(answer.status, 404 | 422), "{shown:?}: {}", answer.body);
        }
    }
    assert!(kept > strings().len() * 3, "texts take nearly everything: {kept}");
    house.stop().await;
}

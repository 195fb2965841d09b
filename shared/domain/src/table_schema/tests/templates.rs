//! Payloads and ordering keys of one's own: what their holes give.

use super::*;
use crate::{HandlerName, MAX_BODY_BYTES, MAX_BODY_DEPTH, MAX_DEPTH, check_body};

const OLD: &str = r#"{"text":"Ana","integer":1,"pick":"new"}"#;
const NEW: &str = r#"{"text":"João \"J\"","area":"a\nb","integer":-42,"decimal":"0.10","currency":"7.5","boolean":false,
    "at":"2024-02-29T18:30:00Z","pick":"paid","json":{"a":{"b":[1,2.50],"é":null},"n":5},"secret":"hush"}"#;

/// A table of every kind with one link for updates, changed by `change`, and its message about the update from [`OLD`] to `new`.
fn message(change: impl FnOnce(&mut Link), new: &str) -> LinkMessage {
    let mut only = link(1);
    only.on = Operations { create: false, update: true, delete: false };
    change(&mut only);
    let schema =
        TableSchema::compile(linked(every_kind(), vec![only])).unwrap_or_else(|faults| panic!("{faults}"));
    let [old, new] = [OLD, new].map(|fields| schema.create(&given(fields), now()).unwrap());
    let mut fired = schema.fired(&write(Some(&old), Some(&new)));
    fired.remove(0).1
}

/// The template comes to `expect`, byte for byte, and leaves these notes.
fn check(template: &str, expect: &str, notes: &[&str]) {
    let message = message(|link| link.payload = LinkPayload::Template(template.to_owned()), NEW);
    assert_eq!(message.body, expect, "{template}");
    assert_eq!(message.notes, notes, "{template}");
}

#[test]
fn a_hole_alone_is_the_value_as_it_is_shown() {
    check(r#"{"to":"${new.text}"}"#, r#"{"to":"Jo\u00e3o \"J\""}"#, &[]);
    check(r#"["${new.integer}","${old.integer + 1}"]"#, "[-42,2]", &[]);
    check(r#"["${new.decimal}","${new.currency}","${new.decimal * 2.0}"]"#, r#"["0.1","7.50","0.2"]"#, &[]);
    check(r#"["${new.boolean}","${!new.boolean}","${new.url}","${null}"]"#, "[false,true,null,null]", &[]);
    check(r#""${new.at}""#, r#""2024-02-29T18:30:00Z""#, &[]);
    check(r#""${new.at + duration('1h')}""#, r#""2024-02-29T19:30:00Z""#, &[]);
    check(r#""${ new.pick == 'paid' ? 'yes' : 'no' }""#, r#""yes""#, &[]);
    check(r#""${new.secret == null}""#, "false", &[]);
}

#[test]
fn a_hole_in_a_text_is_text_and_null_is_none() {
    check(
        r#""${new.pick}: ${new.integer}, ${new.decimal}, ${new.boolean}, ${new.url}.""#,
        r#""paid: -42, 0.1, false, .""#,
        &[],
    );
    check(r#""${new.pick}${new.pick}""#, r#""paidpaid""#, &[]);
    check(r#""<${new.json.a}>""#, r#""<{\"b\":[1,2.5],\"\u00e9\":null}>""#, &[]);
}

#[test]
fn a_hole_may_look_into_json() {
    check(r#""${new.json}""#, r#"{"a":{"b":[1,2.5],"\u00e9":null},"n":5}"#, &[]);
    check(r#"["${new.json.n}","${new.json.a.b}"]"#, "[5,[1,2.5]]", &[]);
    // What is computed is a decimal, as all numbers of JSON are in expressions.
    check(r#"["${new.json.n + 1.0}"]"#, r#"["6"]"#, &[]);
    check(
        r#"["${new.json.gone}","${old.json.n}"]"#,
        "[null,null]",
        &[
            "payload/0: ${new.json.gone} could not be computed: a JSON value has no such key",
            "payload/1: ${old.json.n} could not be computed: '.' has no answer for null and a text",
        ],
    );
}

#[test]
fn a_hole_that_cannot_be_computed_is_null_with_a_note() {
    let note = "payload/a/0: ${100 / (new.integer + 42)} could not be computed: a division by zero";
    check(r#"{"a":["${100 / (new.integer + 42)}"]}"#, r#"{"a":[null]}"#, &[note]);
    check(r#"{"a":["x${100 / (new.integer + 42)}y"]}"#, r#"{"a":["xy"]}"#, &[note]);
}

#[test]
fn a_hole_ends_where_its_expression_does() {
    check(r#"["${'}'}","${\"}\" + '{'}","${'\\'}'}","${r'\\'}"]"#, r#"["}","}{","'}","\\"]"#, &[]);
    check(r#""${ {'a': 'b'}['a'] }""#, r#""b""#, &[]);
    check(r#""${new.pick}}""#, r#""paid}""#, &[]);
    check(r#""a $ b {c} $d $${new.pick} $$${e}""#, r#""a $ b {c} $d ${new.pick} $${e}""#, &[]);
    check(r#""US${'$'}${new.currency}""#, r#""US$7.50""#, &[]);
    check(r#"{"${new.text}":1}"#, r#"{"${new.text}":1}"#, &[]);
}

#[test]
fn a_template_without_holes_is_itself() {
    check("null", "null", &[]);
    check(
        r#" { "b" : [ 1.50 , -0e5 , 12345678901234567890123456789012345678 , true , false , { } , [ ] ] , "a" : "é\u007f/\u0001" } "#,
        r#"{"b":[1.50,-0e5,12345678901234567890123456789012345678,true,false,{},[]],"a":"\u00e9\u007f/\u0001"}"#,
        &[],
    );
}

#[test]
fn the_handler_of_a_link_stands_first_in_its_body() {
    let with = |template: &str| {
        let change = |link: &mut Link| {
            link.payload = LinkPayload::Template(template.to_owned());
            link.handler = Some(HandlerName::parse("on-boarding/mail").unwrap());
        };
        message(change, NEW).body
    };
    assert_eq!(with("{}"), r#"{"handler":"on-boarding/mail"}"#);
    assert_eq!(
        with(r#"{"to":{"name":"${new.pick}"}}"#),
        r#"{"handler":"on-boarding/mail","to":{"name":"paid"}}"#
    );
}

#[test]
fn an_ordering_key_is_one_that_ordered_queues_take() {
    let check = |key: &str, expect: Option<&str>, notes: &[&str]| {
        let message = message(|link| link.ordering_key = Some(key.to_owned()), NEW);
        assert_eq!(message.ordering_key.as_deref(), expect, "{key}");
        assert_eq!(message.notes, notes, "{key}");
    };
    check("all", Some("all"), &[]);
    check("${new.pick}/${new.integer}", Some("paid/-42"), &[]);
    check("${old.pick}", Some("new"), &[]);
    // Longer, or of other characters: its SHA-256.
    check("${new.text}", Some("ec3147708b1e0103d27eefbd08f97821493cd3b5854c9be9aee9c58768ed985e"), &[]);
    let note = "ordering-key: it is empty here, so the record's id stands in its place";
    check("${new.url}", None, &[note]);
    let note = "ordering-key: ${1 / (new.integer + 42)} could not be computed: a division by zero";
    check("k${1 / (new.integer + 42)}", None, &[note]);
    assert_eq!(message(|_| {}, NEW).ordering_key, None);
}

#[test]
fn a_message_grows_no_further_than_a_queue_could_take() {
    let area = "x".repeat(200_000);
    let template = format!("[{}]", vec![r#""${new.area}""#; 50].join(","));
    let message =
        message(|link| link.payload = LinkPayload::Template(template), &format!(r#"{{"area":"{area}"}}"#));
    assert!((MAX_BODY_BYTES..2 * MAX_BODY_BYTES).contains(&message.body.len()));
    assert_eq!(message.notes, ["payload/5: the message is larger here than any queue takes"]);
    let body = json(&message.body);
    assert_eq!((body[5].as_str(), &body[6]), (Some(area.as_str()), &Json::Null));
}

#[test]
fn what_is_encrypted_is_in_no_body_key_or_note() {
    let everywhere = |link: &mut Link| {
        link.payload = LinkPayload::Template(
            r#"["${new.secret == null ? 'none' : 'some'}","${has(new.secret)}","${1 / (new.secret == null ? 1 : 0)}"]"#
                .to_owned(),
        );
        link.ordering_key = Some("${new.secret != null}".to_owned());
        link.condition = Some("new.secret != null && 1 / (new.integer + 42) > 0".to_owned());
    };
    let told = format!("{:?}", message(everywhere, NEW));
    assert!(told.contains("some") && !told.contains("hush"), "{told}");
    let only = |link: &mut Link| link.payload = LinkPayload::Fields(vec![FieldId(12)]);
    for change in [|_: &mut Link| {}, only] {
        assert!(!message(change, NEW).body.contains("hush"));
    }
}

#[test]
fn the_deepest_json_of_a_record_in_the_deepest_template_is_a_body_that_handlers_take() {
    let deep = |depth: usize, inner: &str| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
    let new = format!(r#"{{"json":{}}}"#, deep(MAX_DEPTH, "7"));
    let template = deep(MAX_DEPTH, r#""${new.json}""#);
    let deepest = message(|link| link.payload = LinkPayload::Template(template), &new).body;
    assert_eq!(deepest, deep(MAX_BODY_DEPTH, "7"));
    for body in [deepest, message(|_| {}, &new).body] {
        assert_eq!(check_body(&body), Ok(()));
    }
}

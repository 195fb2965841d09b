//! Links that are refused when they are saved, each with the place of its fault.

use super::*;
use crate::{HandlerName, MAX_LINKS};

/// A table with two plain links, the second changed by `change`, has exactly these faults.
fn check(change: &dyn Fn(&mut Link), expect: &[&str]) -> String {
    let mut second = link(2);
    change(&mut second);
    let design = linked(every_kind(), vec![link(1), second]);
    let faults = TableSchema::compile(design).err().unwrap_or_default();
    assert_eq!(told(&faults), expect, "{faults}");
    faults.to_string()
}

#[test]
fn a_link_has_a_number_a_kind_of_write_and_fields_that_are_there() {
    check(&|_| {}, &[]);
    check(&|link| link.id.number = 1, &["links/1 taken"]);
    check(&|link| link.id.number = 0, &["links/1 number"]);
    check(&|link| link.id.number = 100, &["links/1 number"]);
    check(&|link| link.id.table = prefix(9), &["links/1 number"]);
    check(
        &|link| link.on = Operations { create: false, update: false, delete: false },
        &["links/1/on required"],
    );
    check(
        &|link| link.only_fields = vec![FieldId(0), FieldId(99), FieldId(0)],
        &["links/1/only-fields/2 taken", "links/1/only-fields/1 unknown-field"],
    );
    check(&|link| link.payload = LinkPayload::Fields(vec![]), &["links/1/payload-fields required"]);
    check(
        &|link| link.payload = LinkPayload::Fields(vec![FieldId(12), FieldId(13)]),
        &["links/1/payload-fields/1 unknown-field"],
    );
}

#[test]
fn of_the_links_that_are_on_one_is_strict_at_each_kind_of_write() {
    let check = |others: &[(LinkMode, bool, Operations)], expect: &[&str]| {
        let links = (1..).zip(others).map(|(number, (mode, enabled, on))| Link {
            mode: *mode,
            enabled: *enabled,
            on: *on,
            ..link(number)
        });
        let faults = TableSchema::compile(linked(every_kind(), links.collect())).err().unwrap_or_default();
        assert_eq!(told(&faults), expect, "{faults}");
    };
    let delete = Operations { create: false, update: false, delete: true };
    let strict = (LinkMode::Strict, true, Operations::WRITES);
    check(&[strict], &[]);
    check(&[strict, (LinkMode::Strict, true, delete)], &[]);
    check(&[strict, (LinkMode::Outbox, true, ALWAYS), strict], &["links/2/mode second-strict"]);
    check(&[strict, (LinkMode::Strict, false, ALWAYS)], &[]);
    check(
        &[strict, (LinkMode::Strict, true, delete), (LinkMode::Strict, true, delete)],
        &["links/2/mode second-strict"],
    );
}

#[test]
fn what_can_never_be_asked_is_refused_for_each_kind_of_write() {
    let with = |on: Operations, condition: &'static str| {
        move |link: &mut Link| {
            link.on = on;
            link.condition = Some(condition.to_owned());
        }
    };
    let path = "links/1/condition expression";
    check(&with(ALWAYS, "true"), &[]);
    check(&with(Operations::WRITES, "new.pick == 'paid' && (old == null || old.pick != 'paid')"), &[]);
    assert!(check(&with(ALWAYS, "new.pick == 'paid'"), &[path]).contains("(on delete, new is null)"));
    assert!(check(&with(ALWAYS, "old.pick == 'paid'"), &[path]).contains("(on create, old is null)"));
    check(&with(ALWAYS, "new.pick =="), &[path]);
    check(&with(ALWAYS, "pick == 'paid'"), &[path]);
    check(&with(ALWAYS, "new.gone == 1"), &[path]);
    check(&with(ALWAYS, "1"), &[path]);
    check(&with(ALWAYS, ""), &[path]);
    check(&with(ALWAYS, "new.secret == 'hush'"), &[path]);
    check(&with(Operations::WRITES, "new.secret != null"), &[]);
    // Whatever JSON holds is known only from records.
    check(&with(Operations::WRITES, "new.json.paid"), &[]);
    // One that is off is compiled as others are: it may be turned on at any time.
    check(
        &|link| {
            link.enabled = false;
            link.condition = Some("new.gone".to_owned());
        },
        &[path],
    );
}

#[test]
fn a_template_is_refused_where_its_fault_is() {
    let with = |template: &str| {
        let template = template.to_owned();
        move |link: &mut Link| link.payload = LinkPayload::Template(template.clone())
    };
    check(&with("{}"), &[]);
    check(&with(r#"{"a":["${new.text}",{"b":"x${new.integer + 1}y"}]}"#), &[]);
    check(&with("{"), &["links/1/payload not-json"]);
    check(&with(r#"{"a":1,"a":2}"#), &["links/1/payload/a duplicate-key"]);
    check(&with(r#"["\ud800"]"#), &["links/1/payload not-json"]);
    check(&with(r#"{"a":["","${new.gone}"]}"#), &["links/1/payload/a/1 expression"]);
    check(&with(r#""${new.text""#), &["links/1/payload hole"]);
    check(&with(r#"{"a":"${new.text"}"#), &["links/1/payload/a hole"]);
    check(&with(r#"{"a":"${'}"}"#), &["links/1/payload/a hole"]);
    check(&with(r#"{"a":"${}"}"#), &["links/1/payload/a expression"]);
    check(&with(r#"{"a":"${new}"}"#), &["links/1/payload/a expression"]);
    check(&with(r#"{"a":"${new.secret}"}"#), &["links/1/payload/a expression"]);
    check(&with(r#"{"a":"${[1, 2]}"}"#), &["links/1/payload/a expression"]);
    check(&with(r#"{"a":"${double(new.integer)}"}"#), &["links/1/payload/a expression"]);
    check(&with(r#"{"a":"${new.integer / 0}"}"#), &["links/1/payload/a expression"; 2]);
    check(&with(r#"{"a":"${old.text}"}"#), &["links/1/payload/a expression"]);
    check(&with(r#"{"a":"${old == null ? null : old.text}"}"#), &[]);
    let deep = |depth: usize| format!("{}\"${{new.text}}\"{}", "[".repeat(depth), "]".repeat(depth));
    check(&with(&deep(32)), &[]);
    check(&with(&deep(33)), &["links/1/payload too-deep"]);
    let long = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    check(&with(&long(64 * 1024)), &[]);
    check(&with(&long(64 * 1024 + 1)), &["links/1/payload too-large"]);
    let holes = |count: usize| format!("[{}]", vec![r#""${new.text}""#; count].join(","));
    check(&with(&holes(50)), &[]);
    check(&with(&holes(51)), &["links/1/payload/50 too-many"]);
}

#[test]
fn a_body_names_its_handler_once() {
    let with = |template: &'static str, handler: Option<&'static str>| {
        move |link: &mut Link| {
            link.payload = LinkPayload::Template(template.to_owned());
            link.handler = handler.map(|name| HandlerName::parse(name).unwrap());
        }
    };
    check(&with(r#"{"handler":"mail/send"}"#, None), &[]);
    check(&with(r#"{"handler":"${new.text}"}"#, None), &[]);
    check(&with(r#"{"handler":null}"#, Some("send")), &["links/1/handler taken"]);
    check(&with(r#"{"to":1}"#, Some("send")), &[]);
    check(&with(r#"{"to":{"handler":1}}"#, Some("send")), &[]);
    check(&with(r#"[{"handler":"b"}]"#, Some("send")), &["links/1/handler type", "links/1/handler taken"]);
    check(&with("1", Some("send")), &["links/1/handler type"]);
    check(&with(r#"{"handler":"a"}"#, Some("send")), &["links/1/handler taken"]);
    check(&with(r#"{"handler":"../etc"}"#, None), &["links/1/payload/handler handler-name"]);
    check(&with(r#"{"handler":7}"#, None), &["links/1/payload/handler type"]);
}

#[test]
fn an_ordering_key_is_said_in_few_bytes() {
    let with = |key: &str| {
        let key = key.to_owned();
        move |link: &mut Link| link.ordering_key = Some(key.clone())
    };
    check(&with("${new.lookup}"), &[]);
    check(&with("a-${new.pick}"), &[]);
    check(&with(""), &["links/1/ordering-key length"]);
    check(&with(&"x".repeat(2049)), &["links/1/ordering-key length"]);
    check(&with("${new.gone}"), &["links/1/ordering-key expression"]);
    check(&with("${new.text"), &["links/1/ordering-key hole"]);
    check(&with("${old.text}"), &["links/1/ordering-key expression"]);
    // Payload and key have their holes together.
    let both = |link: &mut Link| {
        link.payload = LinkPayload::Template(format!("[{}]", vec![r#""${new.text}""#; 50].join(",")));
        link.ordering_key = Some("${new.text}".to_owned());
    };
    check(&both, &["links/1/ordering-key too-many"]);
}

#[test]
fn too_many_links_are_refused_before_anything_is_compiled() {
    let with = |count: usize, template: &str| {
        let links = (1..=u32::try_from(count).unwrap())
            .map(|number| Link { payload: LinkPayload::Template(template.to_owned()), ..link(number) });
        told(&TableSchema::compile(linked(every_kind(), links.collect())).err().unwrap_or_default())
    };
    assert_eq!(with(MAX_LINKS, "1"), [""; 0]);
    assert_eq!(with(MAX_LINKS + 1, "{"), ["links too-many"]);
}

#[test]
fn the_messages_of_a_write_count_in_its_transaction() {
    let names: Vec<String> = (0..90).map(|n| format!("f{n}")).collect();
    let lookup = FieldKind::Lookup { table: prefix(7) };
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), lookup.clone())).collect();
    let with = |links: u32| {
        let design = linked(table(&fields), (1..=links).map(link).collect());
        told(&TableSchema::compile(design).err().unwrap_or_default())
    };
    assert_eq!(with(8), [""; 0]);
    assert_eq!(with(9), ["links too-many"]);
}

#[test]
fn the_patterns_of_links_count_among_those_of_the_table() {
    let dear = [r"new.text.matches('\\pL{15}')"; 2].join("||");
    let holes = |count: usize| {
        let mut only = link(1);
        let hole = serde_json::to_string(&format!("${{{dear}}}")).unwrap();
        only.payload = LinkPayload::Template(format!("[{}]", vec![hole; count].join(",")));
        only.condition = Some(dear.clone());
        TableSchema::compile(linked(every_kind(), vec![only])).err().unwrap_or_default()
    };
    assert_eq!(told(&holes(7)), [""; 0]);
    let faults = holes(50);
    assert!(!faults.is_empty());
    assert!(
        faults.0.iter().all(|fault| fault.message.contains("of this table are too large together")),
        "{faults}"
    );
}

#[test]
fn a_field_that_a_link_reads_cannot_go() {
    let check = |change: &dyn Fn(&mut Link), expect: &str| {
        let mut only = link(1);
        change(&mut only);
        let mut design = linked(every_kind(), vec![only]);
        assert!(TableSchema::compile(design.clone()).is_ok());
        design.fields.remove(0);
        assert_eq!(told(&TableSchema::compile(design).unwrap_err()), [expect]);
    };
    check(&|link| link.condition = Some("new.text == 'a'".to_owned()), "links/0/condition expression");
    check(&|link| link.only_fields = vec![FieldId(0)], "links/0/only-fields/0 unknown-field");
    check(
        &|link| link.payload = LinkPayload::Fields(vec![FieldId(0)]),
        "links/0/payload-fields/0 unknown-field",
    );
    check(
        &|link| link.payload = LinkPayload::Template(r#"{"a":"${new.text}"}"#.to_owned()),
        "links/0/payload/a expression",
    );
    check(&|link| link.ordering_key = Some("${new.text}".to_owned()), "links/0/ordering-key expression");
}

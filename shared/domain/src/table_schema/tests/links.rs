//! When links fire, and the record as their messages tell it.

use super::*;

/// The record of `fields`, as a caller writes them.
fn values(schema: &TableSchema, fields: &str) -> Values {
    let faults = schema.create(&given(fields), now());
    faults.unwrap_or_else(|faults| panic!("{fields}: {faults}"))
}

/// What the only link of `table`, changed by `change`, says to the write from `old` to `new`: why not, or its notes.
fn check(
    table: &Table,
    change: &dyn Fn(&mut Link),
    (old, new): (Option<&str>, Option<&str>),
    expect: Result<&[&str], Silence>,
) {
    let mut only = link(1);
    change(&mut only);
    let schema = schema(linked(table.clone(), vec![only.clone()]));
    let (old, new) = (old.map(|old| values(&schema, old)), new.map(|new| values(&schema, new)));
    let found = match schema.ask(&only, &write(old.as_ref(), new.as_ref())) {
        LinkAnswer::Fires(message) => Ok(message.notes),
        LinkAnswer::Silent(silence) => Err(silence),
    };
    let expect = expect.map(|notes| notes.iter().map(|note| (*note).to_owned()).collect::<Vec<_>>());
    assert_eq!(found, expect, "{only:?}");
}

fn orders() -> Table {
    table(&[("status", text()), ("total", decimal()), ("count", integer()), ("data", FieldKind::Json)])
}

#[test]
fn a_link_fires_at_the_writes_it_is_on_for() {
    let orders = orders();
    let on = |create, update, delete| move |link: &mut Link| link.on = Operations { create, update, delete };
    let (create, delete) = ((None, Some("{}")), (Some("{}"), None));
    let update = (Some("{}"), Some(r#"{"count":1}"#));
    check(&orders, &on(true, false, false), create, Ok(&[]));
    check(&orders, &on(true, false, false), update, Err(Silence::OtherOperation));
    check(&orders, &on(false, true, false), update, Ok(&[]));
    check(&orders, &on(false, true, false), delete, Err(Silence::OtherOperation));
    check(&orders, &on(false, false, true), delete, Ok(&[]));
    check(&orders, &on(false, false, true), create, Err(Silence::OtherOperation));
    check(&orders, &|link| link.enabled = false, create, Err(Silence::Disabled));
}

#[test]
fn an_update_that_changes_nothing_fires_nothing() {
    let orders = orders();
    let all = |link: &mut Link| link.on = ALWAYS;
    let check = |old, new, expect| check(&orders, &all, (Some(old), Some(new)), expect);
    check("{}", "{}", Err(Silence::NothingChanged));
    check(r#"{"status":"new","count":1}"#, r#"{"count":1,"status":"new"}"#, Err(Silence::NothingChanged));
    check(r#"{"total":"1.50"}"#, r#"{"total":1.5}"#, Err(Silence::NothingChanged));
    check(r#"{"data":{"a":1,"b":[2]}}"#, r#"{"data":{ "b":[2], "a":1 }}"#, Err(Silence::NothingChanged));
    check(r#"{"data":[1,2]}"#, r#"{"data":[2,1]}"#, Ok(&[]));
    check(r#"{"count":1}"#, "{}", Ok(&[]));
    check("{}", r#"{"count":0}"#, Ok(&[]));
    check(r#"{"status":"a"}"#, r#"{"status":"A"}"#, Ok(&[]));
}

#[test]
fn only_fields_concern_updates_alone() {
    let orders = orders();
    let only = |link: &mut Link| {
        link.on = ALWAYS;
        link.only_fields = vec![FieldId(0), FieldId(1)];
    };
    let old = r#"{"status":"new","total":1,"count":1}"#;
    check(&orders, &only, (None, Some(r#"{"count":1}"#)), Ok(&[]));
    check(&orders, &only, (Some(old), None), Ok(&[]));
    check(&orders, &only, (Some(old), Some(r#"{"status":"new","total":1}"#)), Err(Silence::OtherFields));
    check(&orders, &only, (Some(old), Some(r#"{"status":"paid","total":1}"#)), Ok(&[]));
    check(&orders, &only, (Some(old), Some(old)), Err(Silence::NothingChanged));
}

#[test]
fn a_field_that_the_table_has_no_more_changes_nothing() {
    let mut smaller = orders();
    smaller.fields.truncate(3);
    let schema = schema(linked(smaller, vec![link(1)]));
    let old = Values::from([(FieldId(3), Value::Json("1".to_owned()))]);
    let new = Values::new();
    let answer = schema.ask(&schema.table().links[0], &write(Some(&old), Some(&new)));
    assert_eq!(answer, LinkAnswer::Silent(Silence::NothingChanged));
}

#[test]
fn of_ten_saves_the_one_that_turns_the_status_to_paid_fires() {
    let mut on_paid = link(1);
    on_paid.condition = Some("new.status == 'paid' && (old == null || old.status != 'paid')".to_owned());
    let schema = schema(linked(orders(), vec![on_paid]));
    let saves = [
        r#"{"status":"new"}"#,
        r#"{"status":"new","count":1}"#,
        r#"{"status":"new","count":2}"#,
        r#"{"status":"sent","count":2}"#,
        r#"{"status":"paid","count":2}"#,
        r#"{"status":"paid","count":3}"#,
        r#"{"status":"paid","count":3}"#,
        r#"{"status":"paid","count":4}"#,
        r#"{"status":"gone","count":4}"#,
        r#"{"status":"gone","count":5}"#,
    ]
    .map(|fields| values(&schema, fields));
    let before = std::iter::once(None).chain(saves.iter().map(Some));
    let fired: Vec<usize> =
        before.zip(&saves).map(|(old, new)| schema.fired(&write(old, Some(new))).len()).collect();
    assert_eq!(fired, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    // Made as a paid one: old is null.
    assert_eq!(schema.fired(&write(None, Some(&saves[4]))).len(), 1);
}

#[test]
fn a_condition_that_cannot_be_asked_fires_with_a_note() {
    let orders = orders();
    let with = |condition: &'static str| {
        move |link: &mut Link| {
            link.on = ALWAYS;
            link.condition = Some(condition.to_owned());
        }
    };
    let update = |new| (Some("{}"), Some(new));
    let count = "new == null || new.count / (new.count - 5) >= 0";
    check(&orders, &with(count), update(r#"{"count":7}"#), Ok(&[]));
    check(&orders, &with(count), update(r#"{"count":3}"#), Err(Silence::Condition));
    let note = "condition: it could not be asked, so the link fires: a division by zero";
    check(&orders, &with(count), update(r#"{"count":5}"#), Ok(&[note]));
    let note =
        "condition: it could not be asked, so the link fires: '>' has no answer for null and a whole number";
    let found = "new == null || new.count > 3";
    check(&orders, &with(found), (None, Some("{}")), Ok(&[note]));
    check(&orders, &with(found), (Some("{}"), None), Ok(&[]));
}

/// The body of a link of a table of every kind, changed by `change`, for the write from `old` to `new`.
fn body(change: &dyn Fn(&mut Link), old: Option<&str>, new: Option<&str>) -> String {
    let mut only = link(1);
    only.on = ALWAYS;
    change(&mut only);
    let schema = schema(linked(every_kind(), vec![only]));
    let (old, new) = (old.map(|old| values(&schema, old)), new.map(|new| values(&schema, new)));
    let fired = schema.fired(&write(old.as_ref(), new.as_ref()));
    assert_eq!(fired[0].1.notes, [""; 0]);
    fired[0].1.body.clone()
}

#[test]
fn without_a_template_a_message_tells_the_record() {
    let id = record();
    let few = |link: &mut Link| {
        link.payload = LinkPayload::Fields(vec![FieldId(4), FieldId(0)]);
        link.handler = Some(crate::HandlerName::parse("mail/send").unwrap());
    };
    let (old, new) = (r#"{"text":"a","integer":1}"#, r#"{"text":"b","integer":9007199254740993}"#);
    assert_eq!(
        json(&body(&few, Some(old), Some(new))),
        json(&format!(
            r#"{{"handler":"mail/send","table":"Student","record-id":"{id}","operation":"update","version":7,
                 "new":{{"integer":9007199254740993,"text":"b"}},"old":{{"integer":1,"text":"a"}}}}"#
        ))
    );
    let few = |link: &mut Link| link.payload = LinkPayload::Fields(vec![FieldId(0)]);
    assert_eq!(
        body(&few, None, Some(new)),
        format!(
            r#"{{"table":"Student","record-id":"{id}","operation":"create","version":7,"new":{{"text":"b"}}}}"#
        )
    );
    assert_eq!(
        body(&few, Some(old), None),
        format!(
            r#"{{"table":"Student","record-id":"{id}","operation":"delete","version":7,"new":null,"old":{{"text":"a"}}}}"#
        )
    );
}

#[test]
fn values_stand_in_a_body_as_they_are_shown() {
    let fields = r#"{"text":"João \t 😀","integer":-9223372036854775808,"decimal":"12345678901234567890.12345",
        "currency":5,"boolean":true,"at":"2024-02-29T18:30:00+01:00","pick":"paid","json":{"é":["\u0000\u007f",1.5,null]},"secret":"hush"}"#;
    let body = body(&|_| {}, None, Some(fields));
    assert!(body.is_ascii() && crate::forbidden_character(&body).is_none());
    assert!(!body.contains("hush"));
    assert_eq!(
        json(&body)["new"],
        json(
            r#"{"text":"João \t 😀","area":null,"email":null,"url":null,"integer":-9223372036854775808,
                "decimal":"12345678901234567890.12345","currency":"5.00","boolean":true,"at":"2024-02-29T17:30:00Z",
                "pick":"paid","lookup":null,"json":{"é":["\u0000\u007f",1.5,null]},"secret":{"encrypted":true}}"#
        )
    );
}

#[test]
fn a_link_is_asked_by_its_id() {
    let schema = schema(linked(orders(), vec![link(1), link(2)]));
    assert_eq!(schema.link(link(2).id).map(|link| link.id.number), Some(2));
    assert_eq!(schema.link(link(3).id), None);
    let new = Values::new();
    let stranger = schema.ask(&link(3), &write(None, Some(&new)));
    assert_eq!(stranger, LinkAnswer::Silent(Silence::Disabled));
    // One that is off can be tried as if it were on.
    let mut off = link(1);
    off.enabled = false;
    let schema = super::schema(linked(orders(), vec![off.clone()]));
    assert_eq!(schema.fired(&write(None, Some(&new))), []);
    off.enabled = true;
    assert!(matches!(schema.ask(&off, &write(None, Some(&new))), LinkAnswer::Fires(_)));
}

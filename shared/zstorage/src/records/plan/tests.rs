#![allow(clippy::unwrap_used, reason = "a test may panic")]

use domain::{CompareOp, Field, FieldKind, IndexId, Sealed, TablePrefix, TableState, TextRules, Value};
use jiff::Timestamp;

use super::*;

const NAME: FieldId = FieldId(1);
const AGE: FieldId = FieldId(2);
const STATUS: FieldId = FieldId(3);
const EMAIL: FieldId = FieldId(4);
const NOTES: FieldId = FieldId(5);

fn table() -> Table {
    let field = |id: FieldId, name: &str, kind: FieldKind| Field {
        id,
        api_name: ApiName::parse(name).unwrap(),
        label: None,
        kind,
        required: false,
        default: None,
    };
    let index = |id: u32, fields: &[FieldId], unique: bool, slot: Option<u8>| Index {
        id: IndexId(id),
        fields: fields.to_vec(),
        unique,
        slot,
        state: IndexState::Ready,
    };
    let building =
        Index { state: IndexState::Building { job: "0AJ".into() }, ..index(4, &[NAME], false, Some(4)) };
    Table {
        prefix: TablePrefix::nth(0).unwrap(),
        api_name: ApiName::parse("Student").unwrap(),
        label: None,
        fields: vec![
            field(NAME, "name", FieldKind::Text(TextRules::default())),
            field(AGE, "age", FieldKind::Integer { min: None, max: None }),
            field(STATUS, "status", FieldKind::Text(TextRules::default())),
            field(EMAIL, "email", FieldKind::Email(TextRules::default())),
            field(NOTES, "notes", FieldKind::Json),
        ],
        next_field: 6,
        rules: Vec::new(),
        indexes: vec![
            index(1, &[AGE], false, Some(1)),
            index(2, &[STATUS, AGE], false, Some(2)),
            index(3, &[EMAIL], true, None),
            building,
        ],
        next_index: 5,
        links: Vec::new(),
        next_link: 1,
        buckets: 4,
        data_key: Sealed(Vec::new()),
        state: TableState::Ready,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        version: 1,
    }
}

fn age(op: CompareOp, than: i64) -> Condition {
    Condition::Compare { field: AGE, op, value: Value::Integer(than) }
}

fn is(field: FieldId, value: &str) -> Condition {
    Condition::Compare { field, op: CompareOp::Eq, value: Value::Text(value.into()) }
}

/// The plan in few words: the way, `-` before it where it goes down, the parts that it answers, what it leaves out.
fn told(
    conditions: &[Condition],
    sort: &[(FieldId, Direction)],
    change: impl FnOnce(&mut Ask<'_>),
) -> String {
    let table = table();
    let conditions: Vec<Option<&Condition>> = conditions.iter().map(Some).collect();
    let mut ask = Ask {
        table: &table,
        conditions: &conditions,
        searching: false,
        sort,
        by_age: None,
        allow_scan: false,
        follow: None,
    };
    change(&mut ask);
    match plan(&ask) {
        Err(NoWay::Gone) => "gone".into(),
        Err(NoWay::NoIndex(suggest)) => {
            format!("none, add {:?}", suggest.iter().map(ApiName::as_str).collect::<Vec<_>>())
        }
        Ok(plan) => {
            let way = match &plan.way {
                Way::Guard { index, .. } => format!("guard {}", index.id.0),
                Way::Index { index, descending: false, .. } => format!("index {}", index.id.0),
                Way::Index { index, descending: true, .. } => format!("-index {}", index.id.0),
                Way::Listing { descending: false } => "listing".into(),
                Way::Listing { descending: true } => "-listing".into(),
                Way::Sorted { of: None, .. } => "sorted".into(),
                Way::Sorted { of: Some((index, _)), .. } => format!("sorted index {}", index.id.0),
            };
            let out: Vec<u32> = plan.leaves_out.iter().map(|field| field.0).collect();
            format!("{way} answers {:?} leaves out {out:?}", plan.answered)
        }
    }
}

#[test]
fn the_way_that_reads_least_is_taken_and_a_question_without_one_is_told_which_index_would_serve() {
    use CompareOp::*;
    use Direction::*;
    let check = |conditions: &[Condition], sort: &[(FieldId, Direction)], expect: &str| {
        assert_eq!(told(conditions, sort, |_| {}), expect, "{conditions:?} {sort:?}");
    };
    check(&[], &[], "listing answers [] leaves out []");
    check(&[age(Eq, 5)], &[], "index 1 answers [0] leaves out []");
    check(&[age(Gt, 5), age(Lt, 9)], &[], "index 1 answers [0, 1] leaves out []");
    check(&[Condition::And(vec![age(Gt, 5), age(Lt, 9)])], &[], "index 1 answers [] leaves out []");
    // A record without an age is not in the second index, and may be new all the same.
    check(&[is(STATUS, "new")], &[], r#"none, add ["status"]"#);
    check(&[is(STATUS, "new"), Condition::Exists(AGE)], &[], "index 2 answers [0] leaves out []");
    check(&[age(Eq, 5), is(STATUS, "new")], &[], "index 2 answers [1, 0] leaves out []");
    check(&[is(STATUS, "new"), age(Ge, 5)], &[], "index 2 answers [0, 1] leaves out []");
    check(&[is(STATUS, "new")], &[(AGE, Descending)], "-index 2 answers [0] leaves out [2]");
    check(
        &[is(STATUS, "new")],
        &[(STATUS, Ascending), (AGE, Ascending)],
        "index 2 answers [0] leaves out [2]",
    );
    check(&[], &[(AGE, Ascending)], "index 1 answers [] leaves out [2]");
    check(&[age(Gt, 5)], &[(AGE, Descending)], "-index 1 answers [0] leaves out []");
    check(&[], &[(STATUS, Descending), (AGE, Descending)], "-index 2 answers [] leaves out [3, 2]");
    check(&[], &[(STATUS, Descending), (AGE, Ascending)], "none, add []");
    check(&[is(EMAIL, "a@b.c")], &[(NAME, Ascending)], "guard 3 answers [0] leaves out []");
    check(&[is(EMAIL, "a@b.c"), age(Eq, 1)], &[], "guard 3 answers [0] leaves out []");
    check(&[age(Ne, 5)], &[], "none, add []");
    check(&[Condition::Missing(AGE)], &[], "none, add []");
    check(&[is(NAME, "Jo"), age(Gt, 5)], &[(STATUS, Ascending)], r#"none, add ["name", "status"]"#);
    // Read in the order of an index, all records would be looked at one by one.
    check(&[is(NAME, "Jo")], &[(AGE, Ascending)], r#"none, add ["name", "age"]"#);
    check(&[Condition::Missing(NAME)], &[(AGE, Ascending)], "none, add []");
    check(&[age(Gt, 1)], &[(NAME, Ascending)], "none, add []");
    // An index that is being built is not whole.
    check(&[is(NAME, "Jo")], &[], r#"none, add ["name"]"#);
    check(&[Condition::Or(vec![age(Eq, 1), is(NAME, "Jo")])], &[], "none, add []");
}

#[test]
fn the_whole_table_is_read_where_that_is_allowed_and_nothing_else_serves() {
    use Direction::*;
    let scan = |ask: &mut Ask<'_>| ask.allow_scan = true;
    let search = |ask: &mut Ask<'_>| ask.searching = true;
    let name = [is(NAME, "Jo")];
    assert_eq!(told(&name, &[], scan), "listing answers [] leaves out []");
    assert_eq!(told(&name, &[], search), "listing answers [] leaves out []");
    assert_eq!(told(&name, &[(AGE, Ascending)], scan), "index 1 answers [] leaves out [2]");
    assert_eq!(
        told(&name, &[(STATUS, Ascending), (AGE, Descending)], scan),
        "sorted answers [] leaves out [3, 2]"
    );
    let both = [is(STATUS, "new"), age(CompareOp::Gt, 1), is(NAME, "Jo")];
    assert_eq!(told(&both, &[(EMAIL, Ascending)], scan), "sorted index 2 answers [0, 1] leaves out [4]");
    assert_eq!(told(&[age(CompareOp::Eq, 1)], &[], scan), "index 1 answers [0] leaves out []");
    assert_eq!(told(&[], &[(AGE, Descending)], search), "-index 1 answers [] leaves out [2]");
    let youngest = |ask: &mut Ask<'_>| ask.by_age = Some(Descending);
    assert_eq!(told(&[], &[], youngest), "-listing answers [] leaves out []");
    assert_eq!(told(&[age(CompareOp::Eq, 1)], &[], youngest), "-index 1 answers [0] leaves out []");
    assert_eq!(told(&[age(CompareOp::Gt, 1)], &[], youngest), "none, add []");
    assert_eq!(told(&[is(NAME, "Jo"), age(CompareOp::Gt, 1)], &[], youngest), r#"none, add ["name"]"#);
}

#[test]
fn a_cursor_is_followed_the_way_it_was_begun_or_not_at_all() {
    let adult = [age(CompareOp::Ge, 18)];
    let follow = |tag: Tag| {
        move |ask: &mut Ask<'_>| {
            ask.follow = Some(tag);
            ask.allow_scan = true;
        }
    };
    // The scan was begun before there was the index.
    assert_eq!(told(&adult, &[], follow(LISTING)), "listing answers [] leaves out []");
    assert_eq!(told(&adult, &[], follow(Tag(3))), "index 1 answers [0] leaves out []");
    assert_eq!(told(&adult, &[], follow(Tag(99))), "gone");
    assert_eq!(told(&adult, &[], follow(SORTED)), "gone");
}

//! Questions by chance: what the store answers is what one finds by looking at every record.

use std::collections::{BTreeMap, BTreeSet};

use domain::{FieldId, Record, RecordId};
use futures::future::join;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use zstorage::{Direction, Query, QueryError};

use crate::query_house::{
    ACTIVE, AGE, BORN, NAME, PRICE, STATUS, School, by, changed, expected, fields, order,
};

fn one<T: std::fmt::Debug>(runner: &mut TestRunner, strategy: &impl Strategy<Value = T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

fn some_of(literals: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(literals)
}

const NAMES: &[&str] = &["a", "ab", "b", "ba", "João", "Joana", "joao", "z", "é", "😀"];

/// A record's fields as a caller gives them; each may be absent.
fn givens() -> impl Strategy<Value = String> {
    let long =
        (1000_usize..1010, "[ab]{1,2}").prop_map(|(length, end)| format!("{}{end}", "x".repeat(length)));
    let name =
        prop_oneof![9 => some_of(NAMES).prop_map(str::to_owned), 1 => long].prop_map(|t| format!("{t:?}"));
    let price =
        some_of(&["1", "1.5", "2.50", "-3", "10.01", "0", "-0.001", "12345678901234567890123456789.5"]);
    let born = some_of(&["2020-01-01T00:00:00Z", "1999-12-31T23:59:59.5Z", "2020-01-01T01:00:00+01:00"]);
    let quoted = |text: &str| format!("{text:?}");
    let parts = (
        prop::option::weighted(0.8, name),
        prop::option::weighted(0.8, (-3..6_i64).prop_map(|age| age.to_string())),
        prop::option::weighted(0.8, some_of(&["new", "paid", "late"]).prop_map(quoted)),
        prop::option::weighted(0.8, price.prop_map(quoted)),
        prop::option::weighted(0.8, born.prop_map(quoted)),
        prop::option::weighted(0.8, any::<bool>().prop_map(|is| is.to_string())),
    );
    parts.prop_map(|(name, age, status, price, born, active)| {
        let parts = [
            ("name", name),
            ("age", age),
            ("status", status),
            ("price", price),
            ("born", born),
            ("active", active),
        ];
        let parts = parts.into_iter().filter_map(|(name, value)| Some(format!("{name:?}:{}", value?)));
        format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
    })
}

/// Filters, those that DynamoDB can do and others.
fn filters() -> impl Strategy<Value = String> {
    let op = || some_of(&["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (op(), -3..6_i64).prop_map(|(op, age)| format!("age {op} {age}")),
        (op(), some_of(NAMES)).prop_map(|(op, name)| format!("name {op} '{name}'")),
        (op(), 1000_usize..1010)
            .prop_map(|(op, length)| format!("name {op} '{}b'", "x".repeat(length.min(900)))),
        (some_of(&["startsWith", "contains", "endsWith"]), some_of(&["a", "J", "Jo", "x", "é"]))
            .prop_map(|(function, part)| format!("name.{function}('{part}')")),
        (some_of(&["==", "!="]), some_of(&["new", "paid", "late"]))
            .prop_map(|(op, is)| format!("status {op} '{is}'")),
        (op(), some_of(&["1", "1.5", "2.5", "-3", "0"]))
            .prop_map(|(op, price)| format!("price {op} {price}")),
        op().prop_map(|op| format!("born {op} timestamp('2020-01-01T00:00:00Z')")),
        some_of(&[
            "active",
            "!active",
            "active == true",
            "age == null",
            "name != null",
            "status in ['new', 'paid']"
        ])
        .prop_map(str::to_owned),
        Just("age + 1 > 3".to_owned()),
        Just("size(name) > 1".to_owned()),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 2..4).prop_map(|all| all.join(" && ")),
            1 => prop::collection::vec(inner.clone(), 2..3).prop_map(|any| format!("({})", any.join(" || "))),
            1 => inner.prop_map(|not| format!("!({not})")),
        ]
    })
    .prop_filter("an expression has 1,024 bytes at most", |text| text.len() <= 1024)
}

fn sorts() -> impl Strategy<Value = Vec<(FieldId, Direction)>> {
    let field = prop::sample::select(vec![AGE, NAME, STATUS, PRICE, BORN, ACTIVE]);
    let direction = prop::sample::select(vec![Direction::Ascending, Direction::Descending]);
    prop::collection::vec((field, direction), 0..4).prop_map(|sort| {
        let mut seen = BTreeSet::new();
        sort.into_iter().filter(|(field, _)| seen.insert(*field)).collect()
    })
}

fn queries(school: &School, runner: &mut TestRunner) -> Query {
    let (filter, sort) = (one(runner, &prop::option::weighted(0.8, filters())), one(runner, &sorts()));
    let search = one(runner, &prop::option::weighted(0.2, some_of(&["joao", "JO a", "é", "xx", "nobody"])));
    let limits = prop_oneof![1 => Just(1), 9 => 5..40_usize];
    let (limit, max_items_read) = one(runner, &(limits, prop::sample::select(vec![20_usize, 400, 2_000])));
    let directions = prop::sample::select(vec![Direction::Ascending, Direction::Descending]);
    let (by_age, consistent) = one(runner, &(prop::option::weighted(0.3, directions), any::<bool>()));
    Query {
        filter: filter.and_then(|text| school.filter(&text)),
        search: search.map(str::to_owned),
        sort,
        by_age,
        limit,
        max_items_read,
        consistent,
        allow_scan: true,
        count: true,
        ..Query::default()
    }
}

/// Asks so many questions by chance about 120 records; tells how often each way was taken.
async fn asked(
    school: &School,
    questions: usize,
    mut next: impl FnMut(&mut TestRunner) -> Query,
) -> BTreeMap<String, usize> {
    let mut runner = TestRunner::deterministic();
    let mut all = Vec::new();
    for _ in 0..120 {
        all.push(school.create(&one(&mut runner, &givens())).await);
    }
    let mut ways: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..questions {
        let query = next(&mut runner);
        let expect = expected(&school.open, &all, &query);
        school.meter.take();
        let first = match school.query(&query).await {
            // Too much to be sorted in what may be read.
            Err(QueryError::NoIndex { .. }) if query.max_items_read < 120 => continue,
            first => first.unwrap(),
        };
        let said = (first.explain.calls, first.explain.items_read, first.explain.read_units);
        assert_eq!(said, school.meter.take(), "{query:?} {:?}", first.explain);
        assert_eq!(first.count, Some(expect.len() as u64), "{query:?} {:?}", first.explain);
        *ways.entry(first.explain.plan.clone()).or_default() += 1;
        let (found, _) = school.pages(&Query { count: false, ..query.clone() }).await.unwrap();
        let ids = |records: &[Record]| records.iter().map(|record| record.id).collect::<BTreeSet<RecordId>>();
        assert_eq!(found.len(), ids(&found).len(), "twice: {query:?}");
        assert_eq!(ids(&found), ids(&expect), "{query:?} {:?}", first.explain);
        assert!(found.iter().all(|record| all.contains(record)));
        // Texts that are alike in their first thousand bytes are in no order.
        let short =
            |record: &&Record| record.values.get(&NAME).is_none_or(|name| format!("{name:?}").len() < 900);
        let sorted: Vec<&Record> = found.iter().filter(short).collect();
        let in_order = sorted.windows(2).all(|pair| order(&query.sort, pair[0], pair[1]).is_le());
        assert!(in_order, "{query:?} {:?}", first.explain);
        if let Some(direction) = query.by_age.filter(|_| query.sort.is_empty()) {
            let by_age = |pair: &[Record]| match direction {
                Direction::Ascending => pair[0].created_at < pair[1].created_at,
                Direction::Descending => pair[0].created_at > pair[1].created_at,
            };
            assert!(found.windows(2).all(by_age), "{query:?} {:?}", first.explain);
        }
    }
    ways
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_any_question_hold_what_one_finds_by_looking_at_every_record_in_its_order() {
    let school = School::new().await;
    let ways = asked(&school, 250, |runner| queries(&school, runner)).await;
    let met: Vec<&str> = ways.keys().map(String::as_str).collect();
    assert_eq!(met, ["index", "listing", "scan", "sorted-scan"], "{ways:?}");
}

/// Of several fields each, a long text in the middle of one.
const INDEXES: [&[FieldId]; 5] =
    [&[STATUS, NAME, AGE], &[NAME, AGE], &[ACTIVE, PRICE, BORN], &[AGE, STATUS, NAME], &[PRICE, AGE]];

/// A question for one of these: its first fields are given, by the next it is sorted, and the others have a value.
fn for_an_index(school: &School, runner: &mut TestRunner) -> Query {
    let index = one(runner, &prop::sample::select(&INDEXES[..]));
    let given = one(runner, &(0..=index.len()));
    let by = one(runner, &(given..=index.len()));
    let direction = one(runner, &prop::sample::select(vec![Direction::Ascending, Direction::Descending]));
    let table = school.open.schema.table();
    let mut parts: Vec<String> = Vec::new();
    for (at, field) in index.iter().enumerate() {
        let name = &table.field_by_id(*field).unwrap().api_name;
        let literals: &[&str] = match *field {
            NAME => &["'a'", "'ab'", "'João'"],
            AGE => &["0", "1", "2", "-3"],
            STATUS => &["'new'", "'paid'", "'late'"],
            PRICE => &["1", "1.5", "0", "-3"],
            ACTIVE => &["true", "false"],
            _ => &["timestamp('2020-01-01T00:00:00Z')"],
        };
        let literal = one(runner, &prop::sample::select(literals));
        match one(runner, &(0..3)) {
            _ if at < given => parts.push(format!("{name} == {literal}")),
            0 if *field != ACTIVE => {
                let op = one(runner, &some_of(&["<", "<=", ">", ">="]));
                parts.push(format!("{name} {op} {literal}"));
            }
            _ if at >= by => parts.push(format!("{name} != null")),
            _ => {}
        }
    }
    let filter = (!parts.is_empty()).then(|| parts.join(" && "));
    let sort = index[given..by].iter().map(|field| (*field, direction)).collect();
    let query = queries(school, runner);
    Query { filter: filter.and_then(|text| school.filter(&text)), sort, ..query }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_of_indexes_over_several_fields_long_texts_among_them() {
    let mut school = School::new().await;
    school.open = changed(&school.open, |table| {
        for (index, fields) in table.indexes.iter_mut().zip(INDEXES) {
            index.fields = fields.to_vec();
        }
    });
    let ways = asked(&school, 250, |runner| for_an_index(&school, runner)).await;
    assert!(ways["index"] > 150, "{ways:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_not_written_meanwhile_is_on_exactly_one_page_whatever_else_is() {
    let school = School::new().await;
    let mut runner = TestRunner::deterministic();
    let (mut still, mut busy) = (Vec::new(), Vec::new());
    for at in 0..120 {
        let record = school.create(&one(&mut runner, &givens())).await;
        if at % 3 == 0 { busy.push(record.id) } else { still.push(record) }
    }
    for _ in 0..40 {
        let query = queries(&school, &mut runner);
        let mut query = Query { count: false, limit: query.limit.max(6), max_items_read: 5_000, ..query };
        let mut found: Vec<RecordId> = Vec::new();
        for _ in 0..10_000 {
            let (at, action) = one(&mut runner, &(0..busy.len(), 0..9));
            let given = one(&mut runner, &givens());
            let write = async {
                match action {
                    0 => {
                        let _ = school.records.delete(&school.open, busy[at], None, &by()).await;
                    }
                    1 => busy.push(school.create(&given).await.id),
                    _ => {
                        let _ =
                            school.records.update(&school.open, busy[at], &fields(&given), None, &by()).await;
                    }
                }
            };
            let (page, ()) = join(school.query(&query), write).await;
            let page = page.unwrap();
            found.extend(page.records.iter().map(|record| record.id));
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        for record in expected(&school.open, &still, &query) {
            let times = found.iter().filter(|id| **id == record.id).count();
            assert_eq!(times, 1, "{record:?} {query:?}");
        }
    }
}

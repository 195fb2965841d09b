//! What single questions find, what they cost, and which are refused.

use domain::{ApiName, Record};
use zstorage::{Direction, Query, QueryError};

use crate::query_house::{ACTIVE, AGE, BORN, EXTRA, PRICE, School};

fn names(fields: &[ApiName]) -> Vec<&str> {
    fields.iter().map(ApiName::as_str).collect()
}

fn ids(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.id.to_string()).collect()
}

/// `count` students with ages from 0 on; every tenth is late, the others are new.
async fn class(count: usize) -> (School, Vec<Record>) {
    let school = School::new().await;
    let mut all = Vec::new();
    for age in 0..count {
        let status = if age % 10 == 0 { "late" } else { "new" };
        let json =
            format!(r#"{{"name":"n{age}","age":{age},"status":"{status}","email":"n{age}@b.example"}}"#);
        all.push(school.create(&json).await);
    }
    (school, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_question_all_records_come_by_age_and_a_page_costs_about_a_call_per_bucket() {
    let (school, mut all) = class(130).await;
    let (found, pages) = school.pages(&Query::default()).await.unwrap();
    assert_eq!((ids(&found), pages), (ids(&all), 3));
    let page = school.query(&Query::default()).await.unwrap();
    assert_eq!(page.explain.plan, "listing");
    assert!((4..=6).contains(&page.explain.calls), "{:?}", page.explain);
    assert!((50..120).contains(&page.explain.items_read), "{:?}", page.explain);
    assert!(page.explain.eventually_consistent);
    let twice = school.query(&Query { consistent: true, ..Query::default() }).await.unwrap();
    assert!(!twice.explain.eventually_consistent && twice.explain.read_units > page.explain.read_units);
    all.reverse();
    let (found, _) =
        school.pages(&Query { by_age: Some(Direction::Descending), ..Query::default() }).await.unwrap();
    assert_eq!(ids(&found), ids(&all));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_reads_only_what_is_asked_for_and_says_so() {
    let (school, all) = class(100).await;
    let query = Query {
        filter: school.filter("age >= 20 && status == 'new' && size(name) > 1 && name != 'n21'"),
        sort: vec![(AGE, Direction::Descending)],
        limit: 5,
        count: true,
        ..Query::default()
    };
    let page = school.query(&query).await.unwrap();
    let expect = [99, 98, 97, 96, 95].map(|age| all[age].id.to_string());
    assert_eq!(ids(&page.records), expect);
    assert_eq!(page.count, Some(71));
    let explain = page.explain;
    assert_eq!(
        (explain.plan.as_str(), names(explain.index.as_deref().unwrap())),
        ("index", vec!["status", "age"])
    );
    assert_eq!(explain.by_key, ["status == 'new'", "age >= 20"]);
    assert_eq!(explain.pushed, ["name != 'n21'"]);
    assert_eq!(explain.in_memory, ["size(name) > 1"]);
    assert!(explain.eventually_consistent && explain.leaves_out_without.is_empty());
    // Of the 72 in the range, once to count.
    assert!(explain.items_read < 72 + 40, "{explain:?}");

    let range = Query { filter: school.filter("age > 90 && age <= 93"), ..Query::default() };
    let page = school.query(&range).await.unwrap();
    assert_eq!((page.records.len(), page.explain.items_read, page.cursor), (3, 3, None));
    let youngest = Query {
        filter: school.filter("status == 'late' && age != null"),
        by_age: Some(Direction::Descending),
        allow_scan: true,
        limit: 3,
        ..Query::default()
    };
    let (found, _) = school.pages(&youngest).await.unwrap();
    assert_eq!(ids(&found), (0..10).rev().map(|ten| all[ten * 10].id.to_string()).collect::<Vec<_>>());
    let empty = Query { filter: school.filter("age > 5 && age < 3"), ..Query::default() };
    assert_eq!(school.query(&empty).await.unwrap().explain.calls, 0);
    let never = Query { filter: school.filter("age > 5 && false"), count: true, ..Query::default() };
    let page = school.query(&never).await.unwrap();
    assert_eq!((page.explain.calls, page.count), (0, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_value_costs_two_reads_and_is_seen_at_once() {
    let (school, all) = class(3).await;
    let by = |filter: &str| Query { filter: school.filter(filter), count: true, ..Query::default() };
    let page = school.query(&by("email == 'n2@b.example'")).await.unwrap();
    assert_eq!((page.records, page.count, page.cursor), (vec![all[2].clone()], Some(1), None));
    assert_eq!((page.explain.plan.as_str(), page.explain.calls, page.explain.items_read), ("guard", 2, 2));
    assert!(!page.explain.eventually_consistent && page.explain.read_units == 2.0);
    assert_eq!(school.query(&by("email == 'n9@b.example'")).await.unwrap().explain.calls, 1);
    assert_eq!(school.query(&by("email == 'n2@b.example' && age == 7")).await.unwrap().records, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_without_an_index_says_which_would_serve() {
    let (school, _) = class(30).await;
    let ask = async |filter: Option<&str>, sort: &[_], allow_scan: bool, max_items_read: usize| {
        let filter = filter.and_then(|filter| school.filter(filter));
        let query = Query { filter, sort: sort.to_vec(), allow_scan, max_items_read, ..Query::default() };
        match school.query(&query).await {
            Ok(found) => found.explain.plan,
            Err(QueryError::NoIndex { suggest }) => names(&suggest).join(" "),
            Err(error) => error.to_string(),
        }
    };
    let cheap = [(PRICE, Direction::Ascending), (BORN, Direction::Ascending)];
    assert_eq!(ask(Some("active && name == 'n1'"), &cheap, false, 1000).await, "name active price born");
    assert_eq!(ask(Some("notes == 'x'"), &[], false, 1000).await, "notes");
    assert_eq!(ask(Some("notes.contains('x')"), &[], false, 1000).await, "");
    assert_eq!(ask(Some("notes.contains('x')"), &[], true, 1000).await, "scan");
    assert_eq!(ask(None, &cheap, true, 1000).await, "sorted-scan");
    // Of a table that is too large to be sorted, nobody can say which is the first.
    assert_eq!(ask(None, &cheap, true, 20).await, "price born");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_lets_little_through_reads_a_bounded_part_for_each_page_and_comes_to_the_end() {
    let (school, all) = class(200).await;
    let mut query = Query {
        filter: school.filter("name.endsWith('99')"),
        allow_scan: true,
        max_items_read: 40,
        ..Query::default()
    };
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let page = school.query(&query).await.unwrap();
        assert!(page.explain.items_read <= 48, "{:?}", page.explain);
        found.extend(page.records);
        pages += 1;
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(ids(&found), [99, 199].map(|age| all[age].id.to_string()));
    assert!((5..=12).contains(&pages), "{pages}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_words_whatever_their_case_and_accents() {
    let school = School::new().await;
    let joao = school.create(r#"{"name":"João da Silva","notes":"Straße 5"}"#).await;
    let joana = school.create(r#"{"name":"Joana","notes":"silva"}"#).await;
    let ask = async |search: &str| {
        let query = Query { search: Some(search.into()), count: true, ..Query::default() };
        let page = school.query(&query).await.unwrap();
        assert_eq!(page.count, Some(page.records.len() as u64), "{search}");
        ids(&page.records)
    };
    let both = [joao.id.to_string(), joana.id.to_string()];
    let joao = &both[..1];
    assert_eq!(ask("joao").await, *joao);
    assert_eq!(ask("JOÃO").await, *joao);
    assert_eq!(ask("strasse SILVA").await, *joao);
    assert_eq!(ask("  silva ").await, both);
    assert_eq!(ask("joão joana").await, Vec::<String>::new());
    assert_eq!(ask(" ").await, both);
    let long = Query { search: Some("x".repeat(257)), ..Query::default() };
    assert!(matches!(school.query(&long).await, Err(QueryError::LongSearch)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_own_question_alone() {
    let (school, _) = class(20).await;
    let query = |filter: &str| Query { filter: school.filter(filter), limit: 3, ..Query::default() };
    let cursor = school.query(&query("age >= 0")).await.unwrap().cursor.unwrap();
    let check = async |change: &dyn Fn(&mut Query), good: bool| {
        let mut query = Query { cursor: Some(cursor.clone()), ..query("age >= 0") };
        change(&mut query);
        match school.query(&query).await {
            Ok(_) => assert!(good, "{query:?}"),
            Err(error) => assert!(!good && matches!(error, QueryError::BadCursor), "{query:?} {error:?}"),
        }
    };
    check(&|_| {}, true).await;
    check(&|query| query.limit = 9, true).await;
    check(&|query| query.filter = school.filter("age >= 1"), false).await;
    check(&|query| query.filter = None, false).await;
    check(&|query| query.sort = vec![(AGE, Direction::Ascending)], false).await;
    check(&|query| query.search = Some("n1".into()), false).await;
    check(&|query| query.by_age = Some(Direction::Descending), false).await;
    for wrong in ["", "AAAA", "é", &cursor[1..], &cursor[..cursor.len() - 1], &format!("{cursor}A")] {
        check(&|query| query.cursor = Some(wrong.to_owned()), false).await;
    }
    for at in 0..cursor.len() {
        let other = if cursor.as_bytes()[at] == b'A' { "B" } else { "A" };
        let mut changed = cursor.clone();
        changed.replace_range(at..=at, other);
        check(&|query| query.cursor = Some(changed.clone()), false).await;
    }
    let elsewhere = School::table(1).await;
    let query = Query { cursor: Some(cursor), ..query("age >= 0") };
    let refused = school.records.query(&elsewhere, &query).await;
    assert!(matches!(refused, Err(QueryError::BadCursor)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_grows_while_it_is_paged_through_loses_no_record() {
    let (mut school, mut all) = class(20).await;
    let query = Query { limit: 7, ..Query::default() };
    let first = school.query(&query).await.unwrap();
    school.open = school.grown(32);
    for age in 20..60 {
        all.push(school.create(&format!(r#"{{"age":{age}}}"#)).await);
    }
    let (rest, _) = school.pages(&Query { cursor: first.cursor, ..query }).await.unwrap();
    assert_eq!([ids(&first.records), ids(&rest)].concat(), ids(&all));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_order_of_json() {
    let school = School::new().await;
    let sort = vec![(AGE, Direction::Ascending), (EXTRA, Direction::Ascending)];
    let refused = school.query(&Query { sort, allow_scan: true, ..Query::default() }).await;
    assert!(matches!(refused, Err(QueryError::Unsortable { field }) if field.as_str() == "extra"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_large_records_is_short_enough_to_be_answered() {
    let school = School::new().await;
    for age in 0..13 {
        let notes = "x".repeat(300 * 1024);
        school.create(&format!(r#"{{"age":{age},"active":true,"notes":"{notes}"}}"#)).await;
    }
    let [by_active, by_age] = [ACTIVE, AGE].map(|field| (field, Direction::Ascending));
    for query in [
        Query::default(),
        Query { sort: vec![by_age], ..Query::default() },
        Query { sort: vec![by_active, by_age], allow_scan: true, ..Query::default() },
    ] {
        let page = school.query(&query).await.unwrap();
        assert!((9..=11).contains(&page.records.len()), "{}", page.records.len());
        let (found, _) = school.pages(&query).await.unwrap();
        assert_eq!(found.len(), 13);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_got_by_its_id_in_its_own_table() {
    let (school, all) = class(1).await;
    let elsewhere = School::table(1).await;
    assert_eq!(school.records.get(&school.open, all[0].id).await.unwrap().as_ref(), Some(&all[0]));
    assert_eq!(school.records.get(&elsewhere, all[0].id).await.unwrap(), None);
}

//! Questions at the edges of what the store takes and of what a page holds.

use std::collections::BTreeSet;

use domain::Record;
use zstorage::{Direction, Query};

use crate::query_house::{ACTIVE, AGE, School, by, changed, expected};

fn ids(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_sorted_in_memory_passes_no_record_by_whatever_their_sizes() {
    let school = School::new().await;
    let mut all = Vec::new();
    // Few large ones before many small ones, in each bucket as they come.
    for age in 0..60 {
        let kilobytes = if age % 4 == 1 { 380 } else { 1 };
        let notes = "x".repeat(kilobytes * 1024);
        all.push(school.create(&format!(r#"{{"age":{age},"active":true,"notes":"{notes}"}}"#)).await);
    }
    let sort = [ACTIVE, AGE].map(|field| (field, Direction::Ascending)).to_vec();
    for limit in [7, 50] {
        let query = Query { sort: sort.clone(), allow_scan: true, limit, ..Query::default() };
        let (found, _) = school.pages(&query).await.unwrap();
        assert_eq!(ids(&found), ids(&all), "{limit} a page");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_of_many_small_tests_is_not_more_than_the_store_takes() {
    let school = School::new().await;
    let mut all = Vec::new();
    for age in 0..12 {
        all.push(school.create(&format!(r#"{{"age":{age},"active":{}}}"#, age % 2 == 0)).await);
    }
    // `a` for `age`, `b` for `active`: as many tests as 1,024 bytes hold.
    let short = changed(&school.open, |table| {
        table.fields[1].api_name = "a".parse().unwrap();
        table.fields[6].api_name = "b".parse().unwrap();
    });
    let any = |test: &str, times: usize| format!("({})", vec![test; times].join("||"));
    let all_of = |part: String, times: usize| vec![part; times].join("&&");
    for text in [
        all_of(any("a>5", 90), 2),
        all_of(any("a>5", 50), 3),
        all_of(any("b", 80), 3),
        all_of(any("b", 140), 2),
        all_of("a!=5".to_owned(), 170),
        all_of("!(a in [1,5,9])".to_owned(), 50),
        all_of("b".to_owned(), 300),
    ] {
        let filter = domain::Filter::parse(&text, short.schema.table()).unwrap();
        let query = Query { filter: Some(filter), allow_scan: true, count: true, ..Query::default() };
        let found = school.records.query(&short, &query).await;
        let found = found.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let expect = expected(&short, &all, &query);
        assert_eq!((found.records.len(), found.count), (expect.len(), Some(expect.len() as u64)), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_nothing_in_a_field_that_is_gone() {
    let school = School::new().await;
    let one = school.create(r#"{"name":"Ada","notes":"in debt"}"#).await;
    let gone = changed(&school.open, |table| table.fields.retain(|field| field.api_name.as_str() != "notes"));
    for (search, expect) in [("debt", vec![]), ("ada", vec![one.id.to_string()]), ("ada debt", vec![])] {
        let query = Query { search: Some(search.into()), count: true, ..Query::default() };
        let found = school.records.query(&gone, &query).await.unwrap();
        assert_eq!(
            (ids(&found.records), found.count),
            (expect.clone(), Some(expect.len() as u64)),
            "{search}"
        );
        // Counted apart from the page, too.
        let paged = Query { limit: 1, max_items_read: 1, ..query };
        let found = school.records.query(&gone, &paged).await.unwrap();
        assert_eq!(found.count, Some(expect.len() as u64), "{search}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_large_records_a_page_reads_fewer() {
    let school = School::new().await;
    let (mut all, notes) = (Vec::new(), "x".repeat(100 * 1024));
    for age in 0..100 {
        all.push(school.create(&format!(r#"{{"age":{age},"notes":"{notes}"}}"#)).await);
    }
    // 100 items, which weigh as much as 1,300.
    let filter = school.filter("notes.endsWith('y') || age == 99");
    let query = Query { filter, allow_scan: true, max_items_read: 300, ..Query::default() };
    let (found, pages) = school.pages(&query).await.unwrap();
    assert_eq!((ids(&found), pages > 1), (vec![all[99].id.to_string()], true), "{pages}");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_texts_and_numbers_are_told_apart_by_the_store_as_in_memory() {
    let school = School::new().await;
    let texts = [
        "",
        " ",
        "\u{0}",
        "\u{1}",
        "a\u{0}",
        "a",
        "\u{ffff}",
        "\u{10000}",
        "\u{10ffff}",
        "\u{e9}",
        "e\u{301}",
        "'",
        "\\",
        "#f0",
        ":v0",
    ];
    let prices = [
        "0",
        "-0",
        "1e-120",
        "-1e-120",
        "9.9999999999999999999999999999999999999e120",
        "-1e120",
        "0.1",
        "0.10",
        "99999999999999999999999999999999999999",
        "99999999999999999999999999999999999998",
        "1e38",
    ];
    let mut all = Vec::new();
    for text in texts.iter().filter(|text| !text.contains(char::is_control)) {
        let name = serde_json::to_string(text).unwrap();
        all.push(school.create(&format!(r#"{{"name":{name}}}"#)).await);
    }
    for price in prices {
        all.push(school.create(&format!(r#"{{"price":"{price}"}}"#)).await);
    }
    let bare = changed(&school.open, |table| table.indexes.clear());
    let quoted = |text: &str| text.chars().map(|c| format!("\\U{:08x}", c as u32)).collect::<String>();
    let mut filters = Vec::new();
    for op in ["==", "!=", "<", "<=", ">", ">="] {
        for text in texts {
            filters.push(format!("name {op} '{}'", quoted(text)));
        }
        for price in prices {
            // What is whole and beyond 64 bits is said with a point.
            let point = if price.len() > 20 && !price.contains('.') { ".0" } else { "" };
            filters.push(format!("price {op} {price}{point}"));
        }
    }
    for text in texts {
        filters.push(format!("name.startsWith('{}')", quoted(text)));
        filters.push(format!("name.contains('{}')", quoted(text)));
    }
    for text in filters {
        let query = Query { filter: school.filter(&text), allow_scan: true, count: true, ..Query::default() };
        // Through the index where there is one, and past it.
        for table in [&school.open, &bare] {
            let found = school.records.query(table, &query).await;
            let found = found.unwrap_or_else(|error| panic!("{text}: {error:?}"));
            let expect = expected(table, &all, &query);
            let sets =
                [&found.records, &expect].map(|records| ids(records).into_iter().collect::<BTreeSet<_>>());
            assert_eq!(sets[0], sets[1], "{text} {:?}", found.explain);
            assert_eq!(found.count, Some(expect.len() as u64), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_a_cursor_stands_at_may_go() {
    let school = School::new().await;
    let mut all = Vec::new();
    for at in 0..40 {
        all.push(school.create(&format!(r#"{{"age":{},"active":true}}"#, at / 10)).await);
    }
    for (sort, by_age) in [
        (vec![], None),
        (vec![], Some(Direction::Descending)),
        (vec![(AGE, Direction::Ascending)], None),
        (vec![(AGE, Direction::Descending)], None),
        (vec![(ACTIVE, Direction::Descending), (AGE, Direction::Descending)], None),
    ] {
        let mut query = Query { sort, by_age, allow_scan: true, limit: 3, ..Query::default() };
        let (mut left, mut found) = (all.len(), Vec::new());
        loop {
            let page = school.query(&query).await.unwrap();
            found.extend(page.records.clone());
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
            if left > 36
                && let Some(last) = page.records.last()
            {
                school.records.delete(&school.open, last.id, None, &by()).await.unwrap();
                all.retain(|record| record.id != last.id);
                left -= 1;
            }
        }
        let times: BTreeSet<String> = ids(&found).into_iter().collect();
        assert_eq!(times.len(), found.len(), "twice");
        assert!(all.iter().all(|record| times.contains(&record.id.to_string())), "{query:?}");
        while all.len() < 40 {
            all.push(school.create(&format!(r#"{{"age":{},"active":true}}"#, all.len() % 4)).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_may_read_next_to_nothing_go_on_all_the_same() {
    let school = School::new().await;
    let mut all = Vec::new();
    for age in 0..30 {
        all.push(school.create(&format!(r#"{{"age":{}}}"#, age / 10)).await);
    }
    let filter = school.filter("age >= 0 && age != 1");
    all.retain(|record| record.values[&AGE] != domain::Value::Integer(1));
    let sort = vec![(AGE, Direction::Ascending)];
    for max_items_read in [1, 4] {
        let query = Query { filter: filter.clone(), sort: sort.clone(), max_items_read, ..Query::default() };
        let (found, _) = school.pages(&query).await.unwrap();
        assert_eq!(ids(&found), ids(&all));
    }
}

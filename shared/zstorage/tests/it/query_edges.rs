//! Questions at the edges of what the store takes and of what a page holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{Record, Table, TableSchema};
use zstorage::{Direction, OpenTable, Query};

use crate::query_house::{ACTIVE, AGE, School, by, expected, fields};

fn ids(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.id.to_string()).collect()
}

/// The same table under another design.
fn changed(open: &OpenTable, change: impl FnOnce(&mut Table)) -> OpenTable {
    let mut table = open.schema.table().clone();
    change(&mut table);
    OpenTable { schema: Arc::new(TableSchema::compile(table).unwrap()), keys: Arc::clone(&open.keys) }
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
async fn a_table_that_has_grown_costs_no_more_calls_than_twice_its_buckets() {
    let mut school = School::new().await;
    let mut all = Vec::new();
    for age in 0..220 {
        all.push(school.create(&format!(r#"{{"age":{age}}}"#)).await);
    }
    for buckets in [4, 32] {
        school.open = school.grown(buckets);
        for query in [
            Query { limit: 200, ..Query::default() },
            Query { limit: 50, ..Query::default() },
            Query { limit: 200, sort: vec![(AGE, Direction::Descending)], ..Query::default() },
        ] {
            let page = school.query(&query).await.unwrap();
            eprintln!(
                "buckets {buckets} limit {}: {} calls, {} items",
                query.limit, page.explain.calls, page.explain.items_read
            );
        }
    }
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
    for text in texts {
        let name = serde_json::to_string(text).unwrap();
        all.push(school.create(&format!(r#"{{"name":{name}}}"#)).await);
    }
    for price in prices {
        all.push(school.create(&format!(r#"{{"price":"{price}"}}"#)).await);
    }
    let mut filters = Vec::new();
    for op in ["==", "!=", "<", "<=", ">", ">="] {
        for text in texts {
            let quoted: String = text.chars().map(|c| format!("\\U{:08x}", c as u32)).collect();
            filters.push(format!("name {op} '{quoted}'"));
        }
        for price in prices {
            filters.push(format!("price {op} {price}"));
        }
    }
    for text in texts {
        let quoted: String = text.chars().map(|c| format!("\\U{:08x}", c as u32)).collect();
        filters.push(format!("name.startsWith('{quoted}')"));
        filters.push(format!("name.contains('{quoted}')"));
    }
    let mut refused = BTreeSet::new();
    for text in filters {
        let Ok(filter) = domain::Filter::parse(&text, school.open.schema.table()) else {
            refused.insert(text);
            continue;
        };
        for suffix in [true, false] {
            // Through the index where there is one, and past it.
            let table = if suffix {
                school.open.clone()
            } else {
                changed(&school.open, |table| table.indexes.clear())
            };
            let query =
                Query { filter: Some(filter.clone()), allow_scan: true, count: true, ..Query::default() };
            let found = school
                .records
                .query(&table, &query)
                .await
                .unwrap_or_else(|error| panic!("{text}: {error:?}"));
            let expect = expected(&table, &all, &query);
            let sets =
                [&found.records, &expect].map(|records| ids(records).into_iter().collect::<BTreeSet<_>>());
            assert_eq!(sets[0], sets[1], "{text} {:?}", found.explain);
            assert_eq!(found.count, Some(expect.len() as u64), "{text}");
        }
    }
    eprintln!("refused {refused:?}");
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
        let _ = fields("{}");
        while all.len() < 40 {
            all.push(school.create(&format!(r#"{{"age":{},"active":true}}"#, all.len() % 4)).await);
        }
    }
}

use domain::{Table, TableState};
use serde_json::json;

use crate::house::House;
use crate::tables::{Design, Tables};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_read_with_its_tag_and_not_sent_twice() {
    let house = House::start().await;
    let table = house.tables.table("Thing", Design::new().text("code").decimal("price").integer("age")).await;
    let id = house.tables.record(&table, r#"{"code":"é","price":0.10}"#).await;
    let line = format!("GET /record/{id}");
    let read = house.ask(&line, &[], "").await;
    assert_eq!((read.status, read.headers["etag"].to_str().unwrap()), (200, "\"1\""), "{}", read.text);
    let document = read.json();
    assert_eq!(
        (&document["id"], &document["apiName"], &document["version"]),
        (&json!(id), &json!("Thing"), &json!(1))
    );
    assert_eq!(document["fields"], json!({"code": "é", "price": "0.1", "age": null}));
    for tag in ["\"1\"", "W/\"1\"", "*", "\"7\", \"1\""] {
        let same = house.ask(&line, &[("if-none-match", tag)], "").await;
        assert_eq!(
            (same.status, same.text.as_str(), &same.headers["etag"]),
            (304, "", &read.headers["etag"]),
            "{tag}"
        );
    }
    assert_eq!(house.ask(&line, &[("if-none-match", "\"2\"")], "").await.status, 200);
    let head = house.ask(&line.replace("GET", "HEAD"), &[], "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_404_to_those_who_may_know() {
    let house = House::start().await;
    let table = house.tables.table("Thing", Design::new().text("code")).await;
    let id = house.tables.record(&table, "{}").await;
    let gone = format!("{}{}", &id[..29], if id.ends_with('0') { '1' } else { '0' });
    let check = async |scopes: &[&str], id: &str, status: u16| {
        let answer = house.ask_as(scopes, &format!("GET /record/{id}"), "").await;
        assert_eq!(answer.status, status, "{scopes:?} {id}: {}", answer.text);
        if status >= 400 {
            answer.problem();
        }
    };
    check(&["record:read:Thing"], &id, 200).await;
    check(&["record:read:Thing"], &gone, 404).await;
    check(&["record:read:Thing"], "nonsense", 403).await;
    check(&["record:read:*"], "nonsense", 404).await;
    check(&["record:read:*"], "ZZZ001ARZ3NDEKTSV4RRFFQ69G5FAV", 404).await;
    check(&["record:read:Other", "record:write:*"], &id, 403).await;
    check(&["record:read:Other", "record:write:*"], &gone, 403).await;
    check(&["record:read:Other", "record:write:*"], "ZZZ001ARZ3NDEKTSV4RRFFQ69G5FAV", 403).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_table_that_is_being_deleted_nothing_is_read_for_it_may_be_half_of_it() {
    let house = House::start().await;
    let table = house.tables.table("Thing", Design::new().text("code")).await;
    let id = house.tables.record(&table, "{}").await;
    let table = table.schema.table();
    let deleting = Table { state: TableState::Deleting, ..table.clone() };
    house.tables.catalog().update_table(table, &deleting).await.unwrap();
    for (line, body) in [
        (format!("GET /record/{id}"), ""),
        ("POST /record/query".to_owned(), r#"{"apiName":"Thing","count":true}"#),
    ] {
        let answer = house.ask(&line, &[], body).await;
        assert_eq!(answer.problem(), 409, "{line}: {}", answer.text);
        assert_eq!(house.ask_as(&["record:read:Other"], &line, body).await.problem(), 403, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_the_answer_is_503() {
    let tables = Tables::start().await;
    let table = tables.table("Thing", Design::new().text("code")).await;
    let id = tables.record(&table, "{}").await;
    let records = tables.records_out_of_reach().await;
    let house = House::over(tables, records).await;
    for (line, body) in
        [(format!("GET /record/{id}"), ""), ("POST /record/query".to_owned(), r#"{"apiName":"Thing"}"#)]
    {
        let answer = house.ask(&line, &[], body).await;
        assert_eq!(answer.problem(), 503, "{line}: {}", answer.text);
        assert!(answer.headers.contains_key("retry-after"), "{line}");
    }
}

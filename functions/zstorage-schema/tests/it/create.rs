use serde_json::json;

use crate::house::{House, STUDENT};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_whole_and_shown_as_it_was_asked_for() {
    let house = House::start().await;
    let answer = house.want(201, "POST /table", STUDENT).await;
    assert_eq!(answer.headers["location"], "/api/v1/zstorage/table/Student");
    let table = answer.json();
    assert_eq!(table["fields"][0], json!({"apiName":"email","type":"email","required":true,"unique":true}));
    assert_eq!(
        table["fields"][4],
        json!({"apiName":"status","type":"picklist","required":false,"unique":false,"values":["new","paid"],"default":"new"})
    );
    assert_eq!(table["fields"][3]["min"], "0");
    assert_eq!(table["rules"][0]["on"], json!(["create", "update"]));
    assert_eq!(
        table["indexes"],
        json!([
            {"id":1,"fields":["age"],"unique":false,"state":"ready"},
            {"id":2,"fields":["status","age"],"unique":false,"state":"ready"}
        ])
    );
    assert_eq!(
        (&table["state"], &table["buckets"], &table["version"]),
        (&json!("ready"), &json!(4), &json!(1))
    );
    assert!(table["active-from"].as_str() > table["updated-at"].as_str(), "{table}");
    assert!(!answer.text.contains("key"), "{}", answer.text);
    let mut read = house.want(200, "GET /table/Student", "").await.json();
    read["active-from"] = table["active-from"].clone();
    assert_eq!(read, table);
    assert!(house.engine.calls().is_empty(), "nothing has to be built in a new table");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_simultaneous_creates_of_one_name_exactly_one_wins() {
    let house = House::start().await;
    let asks = (0..5).map(|_| house.ask("POST /table", r#"{"apiName":"T"}"#));
    let mut statuses: Vec<u16> =
        futures::future::join_all(asks).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409]);
    let taken = house.want(409, "POST /table", r#"{"apiName":"T"}"#).await;
    assert_eq!(taken.faults(), [("apiName".to_owned(), "taken".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_table_is_named_at_once_and_nothing_is_saved() {
    let house = House::start().await;
    house
        .refused(
            "POST /table",
            r#"{"apiName":"T","fields":[{"apiName":"a","type":"nothing"},{"apiName":"1","type":"text"},7],
                "rules":[{"name":"r","on":["sometimes"]}],"indexes":[{"fields":["a b"]}],"buckets":99,"more":1}"#,
            &[
                ("fields/0/type", "value"),
                ("fields/1/apiName", "api-name"),
                ("fields/2", "type"),
                ("rules/0/on/0", "value"),
                ("rules/0/expression", "required"),
                ("rules/0/message", "required"),
                ("indexes/0/fields/0", "api-name"),
                ("buckets", "range"),
                ("more", "unknown-field"),
            ],
        )
        .await;
    house
        .refused(
            "POST /table",
            r#"{"apiName":"T","fields":[{"apiName":"a","type":"lookup","table":"Nowhere"}],"indexes":[{"fields":["b"]}]}"#,
            &[("fields/0/table", "unknown-table"), ("indexes/0/fields/0", "unknown-field")],
        )
        .await;
    let rule = |expression: &str| {
        format!(
            r#"{{"apiName":"T","fields":[{{"apiName":"a","type":"integer"}}],
                "rules":[{{"name":"r","expression":"{expression}","message":"m"}}]}}"#
        )
    };
    for wrong in ["new.b > 1", "new.a > ", "new.a > 'x'", "((((((((((((((((((new.a > 1))))))))))))))))))"] {
        let answer = house.want(422, "POST /table", &rule(wrong)).await;
        assert_eq!(answer.faults()[0].0, "rules/0/expression", "{}", answer.text);
    }
    house.want(400, "POST /table", "{").await;
    house.want(422, "POST /table", "[]").await;
    house.want(404, "GET /table/T", "").await;
    house.want(201, "POST /table", &rule("new.a > 1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_names_another_table_and_shows_its_name() {
    let house = House::with_student().await;
    let course = r#"{"apiName":"Course","fields":[{"apiName":"student","type":"lookup","table":"Student"}]}"#;
    let made = house.want(201, "POST /table", course).await.json();
    assert_eq!(made["fields"][0]["table"], "Student");
    let own = r#"{"apiName":"parent","type":"lookup","table":"Course"}"#;
    let made = house.want(201, "POST /table/Course/field", own).await.json();
    assert_eq!(made["fields"][1]["table"], "Course");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_listed_page_by_page_and_found_by_a_part_of_their_name() {
    let house = House::start().await;
    for name in ["Alpha", "Beta", "Gamma", "AlphaTwo", "Delta"] {
        house.want(201, "POST /table", &format!(r#"{{"apiName":"{name}"}}"#)).await;
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for _ in 0..5 {
        let page = house.want(200, &format!("GET /table?limit=2{cursor}"), "").await.json();
        let names = page["tables"].as_array().unwrap().iter();
        found.extend(names.map(|table| table["apiName"].as_str().unwrap().to_owned()));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, ["Alpha", "Beta", "Gamma", "AlphaTwo", "Delta"]);
    let page = house.want(200, "GET /table?search=aLPHa", "").await.json();
    assert_eq!(page["tables"].as_array().unwrap().len(), 2);
    for wrong in ["limit=0", "limit=x", "cursor=x", "other=1"] {
        house.want(422, &format!("GET /table?{wrong}"), "").await;
    }
}

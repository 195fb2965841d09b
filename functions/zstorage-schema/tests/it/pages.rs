use serde_json::json;

use crate::house::House;

const PAGE: &str = r#"{"name":"students","table":"Student","columns":["name","age"],
    "filters":[{"label":"Grown up","filter":"age >= 18"}],"form":["email","name"]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_made_read_changed_listed_and_deleted() {
    let house = House::with_student().await;
    let made = house.want(201, "POST /page", PAGE).await;
    assert_eq!(made.headers["location"], "/api/v1/zstorage/page/students");
    let page = made.json();
    assert_eq!(page["filters"], json!([{"label":"Grown up","filter":"age >= 18"}]));
    assert_eq!(house.want(200, "GET /page/students", "").await.json(), page);
    assert_eq!(house.want(409, "POST /page", PAGE).await.faults(), [("name".to_owned(), "taken".to_owned())]);
    let changed =
        house.want(200, "PUT /page/students", r#"{"columns":["status"],"filters":null}"#).await.json();
    assert_eq!((&changed["columns"], &changed["filters"]), (&json!(["status"]), &json!([])));
    assert_eq!((&changed["form"], &changed["version"]), (&json!(["email", "name"]), &json!(2)));
    for name in ["b", "a"] {
        house.want(201, "POST /page", &format!(r#"{{"name":"{name}","table":"Student"}}"#)).await;
    }
    let first = house.want(200, "GET /page?limit=2", "").await.json();
    let names = |page: &serde_json::Value| -> Vec<String> {
        page["pages"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&first), ["a", "b"]);
    let cursor = first["cursor"].as_str().unwrap();
    let rest = house.want(200, &format!("GET /page?limit=2&cursor={cursor}"), "").await.json();
    assert_eq!((names(&rest), &rest["cursor"]), (vec!["students".to_owned()], &json!(null)));
    house.want(204, "DELETE /page/students", "").await;
    house.want(404, "GET /page/students", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_fits_its_table() {
    let house = House::with_student().await;
    house
        .refused(
            "POST /page",
            r#"{"name":"p","table":"Student","columns":["nobody"],"form":["age","no_field"],
                "filters":[{"label":"x","filter":"nobody > 1"},{"label":"y","filter":"age >"}]}"#,
            &[
                ("columns/0", "unknown-field"),
                ("form/1", "unknown-field"),
                ("filters/0/filter", "expression"),
                ("filters/1/filter", "expression"),
            ],
        )
        .await;
    house.refused("POST /page", r#"{"name":"p","table":"Nobody"}"#, &[("table", "unknown-table")]).await;
    house.refused("POST /page", "{}", &[("name", "required"), ("table", "required")]).await;
    house.want(201, "POST /page", PAGE).await;
    house.refused("PUT /page/students", r#"{"name":"other"}"#, &[("name", "fixed")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_a_field_once_and_so_is_never_larger_than_the_store_takes() {
    let house = House::with_student().await;
    let twice = r#"{"name":"p","table":"Student","columns":["age","name","age"],"form":["age","age"]}"#;
    house.refused("POST /page", twice, &[("columns/2", "repeated"), ("form/1", "repeated")]).await;
    let columns = vec!["age"; 120_000];
    let many = json!({"name": "p", "table": "Student", "columns": columns}).to_string();
    house.refused("POST /page", &many, &[("columns", "too-many")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_large_pages_is_cut_to_what_an_answer_may_have() {
    let house = House::with_student().await;
    // Each filter takes some 5 KB of an answer, and 25 pages of 50 of them are more than it may have.
    let filter = json!({"label": "\\".repeat(255), "filter": format!("name == '{}'", "\"".repeat(1000))});
    for page in 0..25 {
        let body = json!({"name": format!("p{page:02}"), "table": "Student", "filters": vec![&filter; 50]});
        house.want(201, "POST /page", &body.to_string()).await;
    }
    let (mut names, mut line) = (Vec::new(), "GET /page".to_owned());
    loop {
        let answer = house.want(200, &line, "").await;
        assert!(api::answer_bytes(&answer.text) <= api::MAX_ANSWER_BYTES, "{}", answer.text.len());
        let page = answer.json();
        names.extend(page["pages"].as_array().unwrap().iter().map(|page| page["name"].to_string()));
        let Some(cursor) = page["cursor"].as_str() else { break };
        line = format!("GET /page?cursor={cursor}");
    }
    let expect: Vec<String> = (0..25).map(|page| format!("\"p{page:02}\"")).collect();
    assert_eq!(names, expect);
    assert_ne!(line, "GET /page", "one answer held them all: this test is too small");
}

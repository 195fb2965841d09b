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

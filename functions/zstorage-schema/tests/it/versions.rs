use serde_json::json;

use crate::house::House;
use crate::store::Answer;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_shows_a_table_or_page_has_its_version_as_etag() {
    let house = House::with_student().await;
    let tag = |answer: &Answer| answer.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(tag(&house.want(200, "GET /table/Student", "").await), "\"1\"");
    let field = r#"{"apiName":"x","type":"text"}"#;
    assert_eq!(tag(&house.want(201, "POST /table/Student/field", field).await), "\"2\"");
    let rule = r#"{"name":"r","expression":"new.age > 1","message":"m"}"#;
    assert_eq!(tag(&house.want(201, "POST /table/Student/rule", rule).await), "\"3\"");
    assert_eq!(tag(&house.want(200, "PUT /table/Student/rule/r", r#"{"message":"n"}"#).await), "\"4\"");
    assert_eq!(tag(&house.want(200, "PUT /table/Student", r#"{"buckets":8}"#).await), "\"5\"");
    assert_eq!(tag(&house.want(201, "POST /table/Student/index", r#"{"fields":["name"]}"#).await), "\"6\"");
    assert_eq!(tag(&house.want(200, "GET /table/Student/index/1", "").await), "\"6\"");
    assert_eq!(tag(&house.want(201, "POST /page", r#"{"name":"p","table":"Student"}"#).await), "\"1\"");
    assert_eq!(tag(&house.want(200, "PUT /page/p", r#"{"form":["age"]}"#).await), "\"2\"");
    assert_eq!(tag(&house.want(200, "GET /page/p", "").await), "\"2\"");
    assert_eq!(tag(&house.want(201, "POST /table", r#"{"apiName":"T"}"#).await), "\"1\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_by_its_version_is_refused_at_another_one() {
    let house = House::with_student().await;
    house.queue("events", false).await;
    house.want(201, "POST /page", r#"{"name":"p","table":"Student"}"#).await;
    house.want(200, "PUT /page/p", r#"{"form":["age"]}"#).await;
    let link = r#"{"queue":"events","on":["create"]}"#;
    let id =
        house.want(201, "POST /table/Student/link", link).await.json()["id"].as_str().unwrap().to_owned();
    let rule = r#"{"name":"r","expression":"new.age > 1","message":"m"}"#;
    let lines = [
        ("PUT /table/Student".to_owned(), r#"{"label":"L"}"#),
        ("POST /table/Student/field".to_owned(), r#"{"apiName":"x","type":"text"}"#),
        ("PUT /table/Student/field/x".to_owned(), r#"{"label":"X"}"#),
        ("DELETE /table/Student/field/x".to_owned(), ""),
        ("POST /table/Student/rule".to_owned(), rule),
        ("PUT /table/Student/rule/r".to_owned(), r#"{"message":"n"}"#),
        ("DELETE /table/Student/rule/r".to_owned(), ""),
        ("POST /table/Student/rule/would-fail".to_owned(), r#"{"expression":"new.age > 1"}"#),
        ("POST /table/Student/index".to_owned(), r#"{"fields":["name"]}"#),
        ("DELETE /table/Student/index/4".to_owned(), ""),
        ("POST /table/Student/link".to_owned(), link),
        (format!("PUT /link/{id}"), r#"{"condition":"new.age > 1"}"#),
        (format!("POST /link/{id}/test"), r#"{"new":{"email":"a@b.ch","age":20}}"#),
        (format!("DELETE /link/{id}"), ""),
        ("PUT /page/p".to_owned(), r#"{"columns":["age"]}"#),
        ("DELETE /page/p".to_owned(), ""),
        ("DELETE /table/Student".to_owned(), ""),
    ];
    for (line, body) in &lines {
        let of = if line.contains("/page") { "page/p" } else { "table/Student" };
        let version = house.want(200, &format!("GET /{of}"), "").await.json()["version"].as_u64().unwrap();
        let ask = async |tag: &str| house.ask_with(line, &[("if-match", tag)], body).await;
        for stale in [version - 1, version + 1] {
            let answer = ask(&format!("\"{stale}\"")).await;
            assert_eq!((answer.status, answer.problem()), (412, 412), "{line}: {}", answer.text);
            assert_eq!(answer.json()["version"], json!(version), "{line}: {}", answer.text);
        }
        for wrong in ["soon", "W/\"1\"", ""] {
            let answer = ask(wrong).await;
            let faults = answer.faults();
            assert_eq!(answer.status, 422, "{line} {wrong}: {}", answer.text);
            assert_eq!(faults, [("if-match".to_owned(), "type".to_owned())], "{line}: {}", answer.text);
        }
        let same = house.want(200, &format!("GET /{of}"), "").await.json()["version"].clone();
        assert_eq!(same, json!(version), "{line}: a refused request changes nothing");
        // `*` is any version.
        let tag = if line.starts_with("PUT") { "*".to_owned() } else { format!("\"{version}\"") };
        let answer = ask(&tag).await;
        assert!(answer.status < 300, "{line}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_version_is_told_with_all_other_faults_and_behind_what_is_not_there() {
    let house = House::with_student().await;
    let check = async |line: &str, body: &str, expect: &[&str]| {
        let answer = house.ask_with(line, &[("if-match", "x")], body).await;
        let paths: Vec<String> = answer.faults().into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            (answer.status, &paths[..]),
            (422, &expect.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()[..])
        );
    };
    check("PUT /table/Student", r#"{"buckets":99,"x":1}"#, &["if-match", "buckets", "x"]).await;
    check("POST /table/Student/rule", "{}", &["if-match", "name", "expression", "message"]).await;
    check("PUT /table/Student/rule/adult", r#"{"on":[]}"#, &["if-match", "on"]).await;
    check("DELETE /table/Student?with-records=x", "", &["if-match", "with-records"]).await;
    let answer = house.ask_with("PUT /table/Nobody", &[("if-match", "x")], "{}").await;
    assert_eq!(answer.status, 404, "{}", answer.text);
    for line in ["POST /table", "POST /page"] {
        let answer = house.ask_with(line, &[("if-match", "\"1\"")], "{}").await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert_eq!(answer.faults()[0], ("if-match".to_owned(), "not-here".to_owned()), "{}", answer.text);
        assert!(answer.faults().len() > 1, "{}", answer.text);
    }
}

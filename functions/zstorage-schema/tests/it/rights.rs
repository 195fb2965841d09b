use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_learns_of_no_table_that_it_has_no_right_to() {
    let house = House::with_student().await;
    house.want(201, "POST /page", r#"{"name":"p","table":"Student"}"#).await;
    let check = async |scopes: &[&str], line: &str, body: &str, expect: u16| {
        let answer = house.ask_as(scopes, line, body).await;
        assert_eq!(answer.status, expect, "{scopes:?} {line}: {}", answer.text);
        if expect >= 400 {
            answer.problem();
        }
    };
    check(&["table:read:Student"], "GET /table/Student", "", 200).await;
    check(&["table:read:Other"], "GET /table/Student", "", 403).await;
    check(&["table:read:Student"], "GET /table/Nobody", "", 403).await;
    check(&["table:read:*"], "GET /table/Nobody", "", 404).await;
    check(&["table:read:*"], "GET /table/no-name", "", 404).await;
    check(&["record:read:*"], "GET /table/Student", "", 403).await;
    check(&["record:read:*"], "GET /table", "", 403).await;
    check(&["table:read:*"], "PUT /table/Student", "{}", 403).await;
    check(&["table:write:Student"], "PUT /table/Student", "{}", 200).await;
    check(&["table:write:Student"], "GET /table/Student", "", 403).await;
    check(&["table:write:New"], "POST /table", r#"{"apiName":"New"}"#, 201).await;
    check(&["table:write:New"], "POST /table", r#"{"apiName":"New2"}"#, 403).await;
    check(&["table:read:*"], "POST /table", "{}", 403).await;
    let lookup = r#"{"apiName":"s","type":"lookup","table":"Student"}"#;
    check(&["table:write:New"], "POST /table/New/field", lookup, 403).await;
    check(&["table:write:New", "table:read:Student"], "POST /table/New/field", lookup, 201).await;
    let rule = r#"{"expression":"new.age > 1"}"#;
    check(&["table:write:Student"], "POST /table/Student/rule/would-fail", rule, 403).await;
    check(&["table:write:Student", "record:read:Student"], "POST /table/Student/rule/would-fail", rule, 200)
        .await;
    check(&["page:read"], "GET /page/p", "", 200).await;
    check(&["page:read"], "DELETE /page/p", "", 403).await;
    check(&["page:write"], "GET /page", "", 403).await;
    check(&["page:write"], "POST /page", r#"{"name":"q","table":"Student"}"#, 403).await;
    check(&["page:write", "table:read:Student"], "POST /page", r#"{"name":"q","table":"Student"}"#, 201)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_the_tables_that_the_key_may_see() {
    let house = House::with_student().await;
    house.want(201, "POST /table", r#"{"apiName":"Other"}"#).await;
    let page = house.ask_as(&["table:read:Other"], "GET /table", "").await.json();
    let tables = page["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 1);
    assert_eq!(tables[0]["apiName"], "Other");
}

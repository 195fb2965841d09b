use serde_json::json;

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn label_and_buckets_of_a_table_change_and_the_rest_is_fixed() {
    let house = House::with_student().await;
    let table = house.want(200, "PUT /table/Student", r#"{"label":null,"buckets":8}"#).await.json();
    assert_eq!((&table["label"], &table["buckets"], &table["version"]), (&json!(null), &json!(8), &json!(2)));
    let same = house.want(200, "PUT /table/Student", "{}").await.json();
    assert_eq!(same["version"], 2, "what changes nothing is no new version");
    house.refused("PUT /table/Student", r#"{"buckets":4}"#, &[("buckets", "range")]).await;
    house
        .refused(
            "PUT /table/Student",
            r#"{"apiName":"Other","fields":[],"x":1}"#,
            &[("apiName", "fixed"), ("fields", "fixed"), ("x", "unknown-field")],
        )
        .await;
    house.want(404, "PUT /table/Nobody", "{}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_is_added_changed_renamed_and_deleted() {
    let house = House::with_student().await;
    let email = r#"{"email":"a@b.ch","age":20}"#;
    house.record("Student", email).await;
    let phone = r#"{"apiName":"phone","type":"text","unique":true,"required":true}"#;
    let added = house.want(201, "POST /table/Student/field", phone).await;
    assert_eq!(added.headers["location"], "/api/v1/zstorage/table/Student/field/phone");
    assert_eq!(added.json()["fields"][8]["unique"], true);
    assert!(house.engine.bodies("ql-jobs").is_empty(), "no record has the new field, so its guard is whole");
    house.refused("POST /table/Student/field", phone, &[("apiName", "taken")]).await;
    let put = async |field: &str, body: &str, status: u16| {
        house.want(status, &format!("PUT /table/Student/field/{field}"), body).await.json()
    };
    let changed = put("phone", r#"{"label":"Phone","pattern":"^[0-9]+$","apiName":"tel"}"#, 200).await;
    assert_eq!(
        changed["fields"][8],
        json!({"apiName":"tel","type":"text","label":"Phone","required":true,"unique":true,"pattern":"^[0-9]+$"})
    );
    let changed =
        put("tel", r#"{"label":null,"pattern":null,"required":false,"type":"textarea"}"#, 200).await;
    assert_eq!(
        changed["fields"][8],
        json!({"apiName":"tel","type":"textarea","required":false,"unique":true})
    );
    house.refused("PUT /table/Student/field/tel", r#"{"pattern":"("}"#, &[("pattern", "pattern")]).await;
    put("phone", "{}", 404).await;
    // Whichever stands first in the table: the name that is taken is the one that was given.
    for (field, name) in [("email", "tel"), ("tel", "email")] {
        let line = format!("PUT /table/Student/field/{field}");
        house.refused(&line, &format!(r#"{{"apiName":"{name}"}}"#), &[("apiName", "taken")]).await;
    }
    house.want(204, "DELETE /table/Student/field/tel", "").await;
    house.want(404, "DELETE /table/Student/field/tel", "").await;
    let table = house.want(200, "GET /table/Student", "").await.json();
    assert_eq!(table["fields"].as_array().unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_changes_its_type_only_where_stored_values_stay_what_they_are() {
    let house = House::start().await;
    house
        .want(
            201,
            "POST /table",
            r#"{"apiName":"T","fields":[{"apiName":"t","type":"text"},{"apiName":"i","type":"integer","min":1},
                {"apiName":"k","type":"integer"},{"apiName":"p","type":"picklist","values":["a"]},
                {"apiName":"d","type":"decimal"},{"apiName":"b","type":"boolean"}],"indexes":[{"fields":["k"]}]}"#,
        )
        .await;
    let check = async |field: &str, body: &str, expect: Option<(&str, &str)>| {
        let line = format!("PUT /table/T/field/{field}");
        match expect {
            None => {
                house.want(200, &line, body).await;
            }
            Some(fault) => house.refused(&line, body, &[fault]).await,
        }
    };
    check("t", r#"{"type":"url"}"#, None).await;
    check("t", r#"{"type":"picklist","values":["x"]}"#, None).await;
    check("p", r#"{"type":"textarea"}"#, None).await;
    check("t", r#"{"type":"integer"}"#, Some(("type", "fixed"))).await;
    check("t", r#"{"type":"encrypted-text"}"#, Some(("type", "fixed"))).await;
    check("i", r#"{"type":"currency","scale":2}"#, None).await;
    check("i", r#"{"type":"integer"}"#, Some(("type", "fixed"))).await;
    check("d", r#"{"type":"currency"}"#, None).await;
    check("k", r#"{"type":"decimal"}"#, Some(("type", "in-use"))).await;
    check("b", r#"{"type":"text"}"#, Some(("type", "fixed"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_others_need_is_not_deleted() {
    let house = House::with_student().await;
    let faults = house.want(422, "DELETE /table/Student/field/age", "").await.faults();
    assert_eq!(faults[0].1, "in-use");
    house.want(204, "DELETE /table/Student/index/1", "").await;
    house.want(204, "DELETE /table/Student/index/2", "").await;
    let answer = house.want(422, "DELETE /table/Student/field/age", "").await;
    let paths: Vec<String> = answer.faults().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["fields/6/expression", "rules/0/expression"], "{}", answer.text);
    house.want(204, "DELETE /table/Student/field/grown", "").await;
    house.want(204, "DELETE /table/Student/rule/adult", "").await;
    house.want(204, "DELETE /table/Student/field/age", "").await;
    // A new field of the old name is another field: what was stored does not come back.
    house.record("Student", r#"{"email":"a@b.ch"}"#).await;
    house.want(204, "DELETE /table/Student/field/email", "").await;
    let table =
        house.want(201, "POST /table/Student/field", r#"{"apiName":"email","type":"text"}"#).await.json();
    assert_eq!(table["fields"].as_array().unwrap().last().unwrap()["unique"], false);
    let open = house.open("Student").await;
    let scanned = house.state.records.scan(&open, None, 10).await.unwrap();
    let email = open.schema.table().field("email").unwrap().id;
    assert_eq!(scanned.records[0].values.get(&email), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_same_time_are_all_there() {
    let house = House::start().await;
    house.want(201, "POST /table", r#"{"apiName":"T"}"#).await;
    let adds = (0..4).map(|n| {
        let body = format!(r#"{{"apiName":"f{n}","type":"text"}}"#);
        let house = &house;
        async move { house.ask("POST /table/T/field", &body).await.status }
    });
    let statuses = futures::future::join_all(adds).await;
    assert_eq!(statuses, [201; 4]);
    let table = house.want(200, "GET /table/T", "").await.json();
    assert_eq!(table["fields"].as_array().unwrap().len(), 4);
}

use serde_json::json;

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_added_changed_and_deleted() {
    let house = House::with_student().await;
    let post = "POST /table/Student/rule";
    let rule = r#"{"name":"paid_has_fee","expression":"new.status != 'paid' || new.fee != null","message":"no fee"}"#;
    let added = house.want(201, post, rule).await;
    assert_eq!(added.headers["location"], "/api/v1/zstorage/table/Student/rule/paid_has_fee");
    assert_eq!(added.json()["rules"][1]["on"], json!(["create", "update"]));
    house.refused(post, rule, &[("name", "taken")]).await;
    house
        .refused(
            post,
            r#"{"name":"x","expression":"new.nobody","message":"m"}"#,
            &[("expression", "expression")],
        )
        .await;
    let put = "PUT /table/Student/rule/paid_has_fee";
    let table = house.want(200, put, r#"{"on":["update"],"message":"pay first"}"#).await.json();
    let expect = json!({"name":"paid_has_fee","on":["update"],"expression":"new.status != 'paid' || new.fee != null","message":"pay first"});
    assert_eq!(table["rules"][1], expect);
    house.refused(put, r#"{"expression":"1"}"#, &[("expression", "expression")]).await;
    house.want(204, "DELETE /table/Student/rule/paid_has_fee", "").await;
    house.want(404, "DELETE /table/Student/rule/paid_has_fee", "").await;
    house.want(404, "PUT /table/Student/rule/nobody", "{}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn would_fail_tries_a_rule_on_what_is_stored_and_counts() {
    let house = House::with_student().await;
    for (email, age) in [("a", 18), ("b", 25), ("c", 40)] {
        house.record("Student", &format!(r#"{{"email":"{email}@x.ch","age":{age}}}"#)).await;
    }
    let check = async |rule: &str, expect: (u64, u64)| {
        let told = house.want(200, "POST /table/Student/rule/would-fail", rule).await.json();
        assert_eq!((&told["read"], &told["complete"]), (&json!(3), &json!(true)), "{told}");
        let found = (told["would-fail"].as_u64().unwrap(), told["errors"].as_u64().unwrap());
        assert_eq!(found, expect, "{rule}: {told}");
        assert_eq!(told["examples"].as_array().unwrap().len() as u64, expect.0);
    };
    check(r#"{"expression":"new.age > 20"}"#, (1, 0)).await;
    check(r#"{"name":"r","message":"m","expression":"new.age > 50"}"#, (3, 0)).await;
    check(r#"{"expression":"old.age == new.age"}"#, (0, 0)).await;
    check(r#"{"on":["create"],"expression":"old == null"}"#, (0, 0)).await;
    check(r#"{"on":["delete"],"expression":"new == null && old.age > 18"}"#, (1, 0)).await;
    check(r#"{"expression":"new.fee > 1"}"#, (3, 3)).await;
    let post = "POST /table/Student/rule/would-fail";
    house.refused(post, r#"{"expression":"new.nobody > 1"}"#, &[("expression", "expression")]).await;
    house.refused(post, "{}", &[("expression", "required")]).await;
    let table = house.want(200, "GET /table/Student", "").await.json();
    assert_eq!(table["version"], 1, "nothing is saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn would_fail_reads_no_more_than_it_may_and_says_so() {
    let house = House::with_student().await;
    let line = "POST /table/Student/rule/would-fail";
    for (records, read, complete) in [(19, 19, true), (6, 20, false)] {
        for n in 0..records {
            house.record("Student", &format!(r#"{{"email":"{records}-{n}@x.ch","age":20}}"#)).await;
        }
        let told = house.want(200, line, r#"{"expression":"new.age > 20"}"#).await.json();
        assert_eq!((&told["read"], &told["complete"]), (&json!(read), &json!(complete)), "{told}");
        assert_eq!((&told["would-fail"], told["examples"].as_array().unwrap().len()), (&json!(read), 10));
    }
}

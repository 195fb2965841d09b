use domain::{Destination, KafkaTopic, QueueState, RabbitMqQueue};
use serde_json::{Value, json};

use crate::house::House;

/// A house with the table Student and the queues `events` and `line`, which keeps order.
async fn house() -> House {
    let house = House::with_student().await;
    house.queue("events", false).await;
    house.queue("line", true).await;
    house
}

const POST: &str = "POST /table/Student/link";

/// Makes a link; answers its id.
async fn made(house: &House, body: &str) -> String {
    house.want(201, POST, body).await.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_made_read_changed_listed_and_deleted() {
    let house = house().await;
    let queue = house.queue("other", false).await;
    let answer = house
        .want(
            201,
            POST,
            r#"{"queue":"events","on":["create","update"],"condition":"new.status == 'paid'",
                "only-fields":["status"],"handler":"shop/paid","payload-fields":["email","fee"]}"#,
        )
        .await;
    let link = answer.json();
    let id = link["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("0AL"), "{link}");
    assert_eq!(answer.headers["location"], format!("/api/v1/zstorage/link/{id}"));
    assert_eq!(answer.headers["etag"], "\"2\"", "a link's version is its table's");
    assert!(link["active-from"].is_string(), "{link}");
    let mut expect = json!({"id": id, "queue": "events", "queue-id": link["queue-id"], "on": ["create", "update"],
        "mode": "outbox", "condition": "new.status == 'paid'", "only-fields": ["status"], "handler": "shop/paid",
        "payload-fields": ["email", "fee"], "enabled": true});
    let at = format!("/link/{id}");
    assert_eq!(house.want(200, &format!("GET {at}"), "").await.json(), expect);
    let all = house.want(200, "GET /table/Student/link", "").await.json();
    assert_eq!(all, json!({"links": [expect]}));
    let table = house.want(200, "GET /table/Student", "").await.json();
    assert_eq!(table["links"], json!([expect]));
    let put = format!("PUT {at}");
    let change = format!(
        r#"{{"queue":"{queue}","payload":{{"to":"${{new.email}}","n":1}},"condition":null,"mode":"strict","enabled":false}}"#
    );
    let mut changed = house.want(200, &put, &change).await.json();
    assert!(changed["active-from"].is_string());
    changed.as_object_mut().unwrap().remove("active-from");
    let members = expect.as_object_mut().unwrap();
    members.remove("condition");
    members.remove("payload-fields");
    for (key, value) in [
        ("queue", json!("other")),
        ("queue-id", json!(queue)),
        ("payload", json!({"to": "${new.email}", "n": 1})),
        ("mode", json!("strict")),
        ("enabled", json!(false)),
    ] {
        members.insert(key.to_owned(), value);
    }
    assert_eq!(changed, expect);
    let kept = house.want(200, &put, r#"{"enabled":true}"#).await.json();
    assert_eq!(kept["payload"], expect["payload"], "what is not given stays");
    let whole = house.want(200, &put, r#"{"payload":null,"handler":null,"only-fields":null}"#).await.json();
    for key in ["payload", "payload-fields", "handler", "only-fields"] {
        assert_eq!(whole[key], Value::Null, "{whole}");
    }
    house.want(204, &format!("DELETE {at}"), "").await;
    for line in ["GET", "PUT", "DELETE"] {
        house.want(404, &format!("{line} {at}"), "{}").await;
    }
    assert_ne!(made(&house, r#"{"queue":"events","on":["delete"]}"#).await, id, "an id is never used again");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_link_is_named_at_once_and_nothing_is_saved() {
    let house = house().await;
    house
        .refused(
            POST,
            r#"{"queue":"nowhere","on":["create","x"],"mode":"sure","condition":"new.nobody == 1","only-fields":["age","none"],
                "payload":{"a":"${new.ghost}"},"payload-fields":["email"],"more":1}"#,
            &[
                ("queue", "unknown-queue"),
                ("on/1", "value"),
                ("mode", "value"),
                ("payload-fields", "not-with-payload"),
                ("more", "unknown-field"),
                ("only-fields/1", "unknown-field"),
                ("condition", "expression"),
                ("payload/a", "expression"),
            ],
        )
        .await;
    house.refused(POST, "{}", &[("queue", "required"), ("on", "required")]).await;
    house
        .refused(
            POST,
            r#"{"queue":"events","on":["create"],"ordering-key":"${new.email}","payload-fields":["email","email","x"]}"#,
            &[
                ("ordering-key", "not-on-standard"),
                ("payload-fields/1", "repeated"),
                ("payload-fields/2", "unknown-field"),
            ],
        )
        .await;
    house.queue_in("new", QueueState::Creating).await;
    house.refused(POST, r#"{"queue":"new","on":["create"]}"#, &[("queue", "not-in-use")]).await;
    house.queue_in("old", QueueState::Deleting).await;
    house.refused(POST, r#"{"queue":"old","on":["create"]}"#, &[("queue", "not-in-use")]).await;
    house.refused(POST, r#"{"queue":"no name","on":["create"]}"#, &[("queue", "unknown-queue")]).await;
    house.want(400, POST, "{").await;
    house.want(422, POST, "[]").await;
    house.want(404, "POST /table/Nobody/link", "{}").await;
    let table = house.want(200, "GET /table/Student", "").await.json();
    assert_eq!((&table["links"], &table["version"]), (&json!([]), &json!(1)));
    let id = made(&house, r#"{"queue":"line","on":["create"],"ordering-key":"${new.email}"}"#).await;
    house
        .refused(
            &format!("PUT /link/{id}"),
            r#"{"queue":"events","on":[],"condition":"1"}"#,
            &[("ordering-key", "not-on-standard"), ("on", "required"), ("condition", "expression")],
        )
        .await;
    house.want(422, &format!("PUT /link/{id}"), "[]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_point_to_queues_of_every_engine_and_keys_keep_order_where_order_is_kept() {
    let house = house().await;
    house.queue_of("topic", Destination::Kafka(KafkaTopic { cluster: None, partition: None })).await;
    house.queue_of("rabbit", Destination::RabbitMq(RabbitMqQueue { broker: None })).await;
    let link = |queue: &str, more: &str| format!(r#"{{"queue":"{queue}","on":["create"]{more}}}"#);
    let keyed = r#","ordering-key":"${new.email}""#;
    for (queue, more) in [("topic", ""), ("topic", keyed), ("line", keyed), ("rabbit", ""), ("events", "")] {
        made(&house, &link(queue, more)).await;
    }
    house.refused(POST, &link("rabbit", keyed), &[("ordering-key", "not-on-rabbitmq")]).await;
    house.refused(POST, &link("events", keyed), &[("ordering-key", "not-on-standard")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_strict_links_one_may_be_on_for_an_operation() {
    let house = house().await;
    let strict = |on: &str, enabled: bool| {
        format!(r#"{{"queue":"events","mode":"strict","on":["{on}"],"enabled":{enabled}}}"#)
    };
    let first = made(&house, &strict("create", true)).await;
    let refused = house.want(409, POST, &strict("create", true)).await;
    assert_eq!(refused.faults(), [("mode".to_owned(), "second-strict".to_owned())]);
    made(&house, &strict("update", true)).await;
    let off = made(&house, &strict("create", false)).await;
    let on = r#"{"enabled":true}"#;
    house.want(409, &format!("PUT /link/{off}"), on).await;
    // The one that stands before the other is told at its own place, too.
    house.want(200, &format!("PUT /link/{first}"), r#"{"enabled":false}"#).await;
    house.want(200, &format!("PUT /link/{off}"), on).await;
    let refused = house.want(409, &format!("PUT /link/{first}"), on).await;
    assert_eq!(refused.faults(), [("mode".to_owned(), "second-strict".to_owned())]);
    let both = strict("create", true).replace("\"enabled\"", "\"condition\":\"new.nobody\",\"enabled\"");
    house.refused(POST, &both, &[("mode", "second-strict"), ("condition", "expression")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_a_link_uses_is_not_deleted() {
    let house = house().await;
    for (field, kind) in [("a", "integer"), ("b", "text"), ("c", "text"), ("d", "text"), ("e", "text")] {
        let body = format!(r#"{{"apiName":"{field}","type":"{kind}"}}"#);
        house.want(201, "POST /table/Student/field", &body).await;
    }
    let id = made(
        &house,
        r#"{"queue":"line","on":["update"],"condition":"new.a > 1","only-fields":["b"],
            "payload":{"x":["${new.d}"]},"ordering-key":"k-${new.e}"}"#,
    )
    .await;
    let other = made(&house, r#"{"queue":"events","on":["update"],"payload-fields":["c","b"]}"#).await;
    let check = async |field: &str, expect: &[(&str, &str)]| {
        house.refused(&format!("DELETE /table/Student/field/{field}"), "", expect).await;
    };
    check("a", &[("links/0/condition", "expression")]).await;
    check("b", &[("", "in-use"), ("", "in-use")]).await;
    check("c", &[("", "in-use")]).await;
    check("d", &[("links/0/payload/x/0", "expression")]).await;
    check("e", &[("links/0/ordering-key", "expression")]).await;
    let told = house.want(422, "DELETE /table/Student/field/b", "").await.text;
    assert!(told.contains(&id) && told.contains(&other), "{told}");
    let renamed = house.want(422, "PUT /table/Student/field/a", r#"{"apiName":"aa"}"#).await;
    assert_eq!(renamed.faults(), [("links/0/condition".to_owned(), "expression".to_owned())]);
    for id in [id, other] {
        house.want(204, &format!("DELETE /link/{id}"), "").await;
    }
    for field in ["a", "b", "c", "d", "e"] {
        house.want(204, &format!("DELETE /table/Student/field/{field}"), "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_tried_without_any_write() {
    let house = house().await;
    let id = made(
        &house,
        r#"{"queue":"line","on":["create","update"],"condition":"new.status == 'paid' && (old == null || old.status != 'paid')",
            "payload":{"handler":"send_email","to":"${new.email}","text":"Fee: ${new.fee}"},
            "ordering-key":"student-${new.email}"}"#,
    )
    .await;
    let test =
        async |body: Value| house.want(200, &format!("POST /link/{id}/test"), &body.to_string()).await.json();
    let paid = json!({"email": "a@b.ch", "age": 20, "fee": "1.5", "status": "paid"});
    let told = test(json!({"new": paid})).await;
    assert_eq!(told["fires"], true, "{told}");
    assert_eq!(told["message"]["body"]["to"], "a@b.ch");
    assert_eq!(told["message"]["body"]["text"], "Fee: 1.50");
    assert_eq!(told["message"]["ordering-key"], "student-a@b.ch");
    let why = |told: &Value| told["why"].as_str().unwrap().to_owned();
    let unpaid = test(json!({"new": {"email": "a@b.ch", "age": 20}})).await;
    assert_eq!((&unpaid["fires"], why(&unpaid).contains("condition")), (&json!(false), true), "{unpaid}");
    let now_paid = json!({"old": {"email": "a@b.ch", "age": 20}, "new": {"status": "paid"}, "version": 7});
    assert_eq!(test(now_paid).await["fires"], true, "what an update does not give stays");
    let same = test(json!({"operation": "update", "old": paid})).await;
    assert!(why(&same).contains("changes nothing"), "{same}");
    let gone = test(json!({"old": paid})).await;
    assert!(why(&gone).contains("kind of write"), "{gone}");
    house.want(200, &format!("PUT /link/{id}"), r#"{"enabled":false}"#).await;
    let off = test(json!({"new": paid})).await;
    assert_eq!((&off["fires"], &off["when-enabled"]["fires"]), (&json!(false), &json!(true)), "{off}");
    let open = house.open("Student").await;
    assert!(
        house.state.records.scan(&open, None, 10).await.unwrap().records.is_empty(),
        "nothing is written"
    );
    assert!(house.engine.calls().is_empty(), "nothing is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_text_is_masked_in_a_test_as_in_messages() {
    let house = house().await;
    let id = made(&house, r#"{"queue":"events","on":["create"]}"#).await;
    let told = house
        .want(
            200,
            &format!("POST /link/{id}/test"),
            r#"{"new":{"email":"a@b.ch","age":20,"secret":"hush-hush","notes":{"n":1}}}"#,
        )
        .await;
    assert!(!told.text.contains("hush"), "{}", told.text);
    let body = told.json()["message"]["body"].clone();
    for (key, expect) in [
        ("table", json!("Student")),
        ("operation", json!("create")),
        ("version", json!(1)),
        ("old", json!(null)),
    ] {
        assert_eq!(body[key], expect, "{body}");
    }
    assert_eq!(body["new"]["secret"], json!({"encrypted": true}));
    assert_eq!((&body["new"]["grown"], &body["new"]["status"]), (&json!(true), &json!("new")), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fields_of_a_test_have_the_faults_that_a_write_would_name() {
    let house = house().await;
    let id = made(&house, r#"{"queue":"events","on":["create","update","delete"]}"#).await;
    let test = format!("POST /link/{id}/test");
    house
        .refused(
            &test,
            r#"{"new":{"email":"nobody","age":-1,"x":1},"version":0}"#,
            &[("version", "range"), ("new/x", "unknown-field"), ("new/email", "email"), ("new/age", "min")],
        )
        .await;
    house.refused(&test, r#"{"new":{"email":"a@b.ch","age":3}}"#, &[("rules/adult", "rule")]).await;
    house.refused(&test, r#"{"new":{"age":20}}"#, &[("new/email", "required")]).await;
    house
        .refused(
            &test,
            r#"{"old":{"email":"a@b.ch","fee":"x"},"new":{"age":"1"}}"#,
            &[("old/fee", "type"), ("new/age", "type")],
        )
        .await;
    // A record may be older than a rule, so what was stored is not asked to meet it.
    house.want(200, &test, r#"{"old":{"email":"a@b.ch","age":3},"new":{"age":30}}"#).await;
    house.want(200, &test, r#"{"old":{"email":"a@b.ch","age":3}}"#).await;
    house.want(200, &test, r#"{"operation":"delete"}"#).await;
    house
        .refused(
            &test,
            r#"{"operation":"delete","new":{},"old":[]}"#,
            &[("old", "type"), ("new", "not-here")],
        )
        .await;
    house
        .refused(
            &test,
            r#"{"operation":"create","old":{},"new":{"age":20}}"#,
            &[("old", "not-here"), ("new/email", "required")],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_links_a_table_to_a_queue_may_publish_there() {
    let house = house().await;
    let check = async |scopes: &[&str], line: &str, body: &str, expect: u16| {
        let answer = house.ask_as(scopes, line, body).await;
        assert_eq!(answer.status, expect, "{scopes:?} {line} {body}: {}", answer.text);
        answer
    };
    let link = r#"{"queue":"events","on":["create"]}"#;
    let (table, publish) = ("table:write:Student", "queue:publish:events");
    check(&[table], POST, link, 403).await;
    check(&[publish, "table:read:Student"], POST, link, 403).await;
    check(&[table, "queue:publish:line"], POST, link, 403).await;
    // A key learns of no queue that it may not publish on.
    check(&[table, "queue:publish:line"], POST, r#"{"queue":"nowhere","on":["create"]}"#, 403).await;
    check(&[table, "queue:publish:*"], POST, r#"{"queue":"nowhere","on":["create"]}"#, 422).await;
    let made = check(&[table, publish], POST, link, 201).await.json();
    let by_id = link.replace("events", made["queue-id"].as_str().unwrap());
    check(&[table, publish], POST, &by_id, 201).await;
    // Of a queue that is there and one that is not, such a key hears the same.
    let (id, other) = (made["queue-id"].as_str().unwrap(), [table, "queue:publish:line"]);
    let nowhere =
        by_id.replace(id, &domain::QueueId::new(house.state.clock.now(), &mut rand::rng()).to_string());
    let told = check(&other, POST, &by_id, 403).await.json()["detail"].clone();
    assert_eq!(told, check(&other, POST, &nowhere, 403).await.json()["detail"]);
    let at = format!("/link/{}", made["id"].as_str().unwrap());
    let put = format!("PUT {at}");
    // What a link says, it says by its own right: changing it is publishing.
    let told = check(&[table], &put, r#"{"payload":{"a":1}}"#, 403).await;
    assert!(told.text.contains(publish), "{}", told.text);
    check(&[table, "queue:publish:line"], &put, r#"{"queue":"line"}"#, 200).await;
    check(&[table], &put, r#"{"enabled":false,"handler":"x"}"#, 403).await;
    check(&[table], &put, r#"{"enabled":false}"#, 200).await;
    check(&[table], &put, r#"{"enabled":true}"#, 403).await;
    check(&["table:read:Student"], &format!("GET {at}"), "", 200).await;
    check(&["table:read:Other"], &format!("GET {at}"), "", 403).await;
    check(&["table:read:Other"], "GET /link/0ALA00999999", "", 403).await;
    check(&["table:read:*"], "GET /link/0ALA00999999", "", 404).await;
    check(&["table:read:*"], "GET /link/no-id", "", 404).await;
    check(&["table:read:Student"], "GET /table/Student/link", "", 200).await;
    check(&["table:write:Student"], "GET /table/Student/link", "", 403).await;
    let new = r#"{"new":{"email":"a@b.ch","age":20}}"#;
    check(&["table:read:Student"], &format!("POST {at}/test"), new, 200).await;
    check(&["table:write:Student"], &format!("POST {at}/test"), new, 403).await;
    check(&["table:read:Student"], &format!("DELETE {at}"), "", 403).await;
    check(&[table], &format!("DELETE {at}"), "", 204).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_is_saved_to_a_queue_that_is_being_deleted_meanwhile() {
    let house = house().await;
    let open = house.open("Student").await;
    let id = house.queue("leaving", false).await.parse().unwrap();
    let catalog = &house.store.catalog;
    let queue = catalog.fresh_queue(id).await.unwrap().unwrap();
    let table = open.schema.table();
    let linked = domain::Table { label: Some("x".to_owned()), ..table.clone() };
    let deleting = domain::Queue { state: QueueState::Deleting, ..queue.as_ref().clone() };
    let deleting = catalog.update_queue(&queue, &deleting).await.unwrap();
    let refused = catalog.update_table_with_queue(table, &linked, id).await;
    assert!(matches!(refused, Err(zstorage::CatalogError::Conflict)), "{refused:?}");
    let ready = domain::Queue { state: QueueState::Ready, ..deleting.as_ref().clone() };
    catalog.update_queue(&deleting, &ready).await.unwrap();
    catalog.update_table_with_queue(table, &linked, id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_is_shown_and_tried_as_it_was_written_whatever_its_keys_mean_to_a_reader() {
    let house = house().await;
    let odd = r#"{"a":{"$serde_json::private::RawValue":"[1,2]"},"n":[18446744073709551615,0.1,1e20]}"#;
    let id = made(&house, &format!(r#"{{"queue":"events","on":["create"],"payload":{odd}}}"#)).await;
    let link = house.want(200, &format!("GET /link/{id}"), "").await;
    assert!(link.text.contains(r#"{"$serde_json::private::RawValue":"[1,2]"}"#), "{}", link.text);
    let test = format!("POST /link/{id}/test");
    let told = house.want(200, &test, r#"{"new":{"email":"a@b.ch","age":20}}"#).await;
    assert!(told.text.contains(r#"{"$serde_json::private::RawValue":"[1,2]"}"#), "{}", told.text);
    let put = format!("PUT /link/{id}");
    house.want(200, &put, r#"{"enabled":false}"#).await;
    let told = house.want(200, &test, r#"{"new":{"email":"a@b.ch","age":20}}"#).await.json();
    let body = &told["when-enabled"]["message"]["body"];
    assert_eq!(body["n"], json!([18_446_744_073_709_551_615_u64, 0.1, 1e20]), "{told}");
}

use crate::house::House;

fn text(answer: &crate::store::Answer) -> String {
    answer.json()["key"].as_str().unwrap().to_owned()
}

fn id_of(key: &str) -> String {
    key.split('_').nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_opens() {
    let house = House::start().await;
    let body = r#"{"label":"shop","scopes":["queue:read:*","key:read"],"expires-at":"2999-01-01T00:00:00Z"}"#;
    let answer = house.want(201, "POST /key", body).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let key = text(&answer);
    let document = answer.json();
    assert_eq!(document["scopes"], serde_json::json!(["queue:read:*", "key:read"]));
    assert_eq!(document["expires-at"], "2999-01-01T00:00:00Z");
    let read = house.ask_as(&key, &format!("GET /key/{}", id_of(&key)), "").await;
    assert_eq!((read.status, read.json()["label"].as_str()), (200, Some("shop")));
    let listed = house.ask_as(&key, "GET /key", "").await;
    assert_eq!(listed.json()["keys"].as_array().unwrap().len(), 2);
    for answer in [read, listed] {
        assert!(!answer.text.contains(key.split('_').nth(2).unwrap()) && !answer.text.contains("\"key\""));
    }
    house.want(404, "GET /key/0AK01ARZ3NDEKTSV4RRFFQ69G5FAV", "").await;
    house.want(404, "GET /key/nonsense", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wanted_key_is_checked_whole() {
    let house = House::start().await;
    let check = async |body: &str, status: u16, expect: &[(&str, &str)]| {
        let answer = house.want(status, "POST /key", body).await;
        let found = answer.faults();
        let found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
        assert_eq!(found, expect, "{body}: {}", answer.text);
    };
    check("{}", 422, &[("label", "required"), ("scopes", "required")]).await;
    check(
        r#"{"label":" ","scopes":["*","fly","queue:read:a b"],"expires-at":"2001-01-01T00:00:00Z","x":1}"#,
        422,
        &[
            ("label", "length"),
            ("scopes/1", "scope"),
            ("scopes/2", "scope"),
            ("expires-at", "past"),
            ("x", "unknown-field"),
        ],
    )
    .await;
    check(
        r#"{"label":"a","scopes":[],"expires-at":"soon"}"#,
        422,
        &[("scopes", "count"), ("expires-at", "date")],
    )
    .await;
    check(r#"{"label":7,"scopes":"*"}"#, 422, &[("label", "type"), ("scopes", "type")]).await;
    check("[]", 422, &[("", "type")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_grants_and_touches_only_what_it_holds() {
    let house = House::start().await;
    let clerk = house.store.key(&["key:write", "key:read", "queue:publish:orders"]).await;
    let check = async |line: &str, body: &str, status: u16| {
        let answer = house.ask_as(&clerk, line, body).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.text);
    };
    check("POST /key", r#"{"label":"a","scopes":["queue:publish:orders"]}"#, 201).await;
    check("POST /key", r#"{"label":"a","scopes":["queue:publish:*"]}"#, 403).await;
    check("POST /key", r#"{"label":"a","scopes":["*"]}"#, 403).await;
    let master = id_of(&house.key);
    check(&format!("GET /key/{master}"), "", 200).await;
    check(&format!("POST /key/{master}/rotate"), "", 403).await;
    check(&format!("DELETE /key/{master}"), "", 403).await;
    check(&format!("DELETE /key/{master}/secret/previous"), "", 403).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_secrets_live_and_a_third_drops_the_oldest() {
    let house = House::start().await;
    let first = text(&house.want(201, "POST /key", r#"{"label":"a","scopes":["key:read"]}"#).await);
    let id = id_of(&first);
    let opens = async |key: &str| house.ask_as(key, "GET /key", "").await.status == 200;
    let second = text(&house.want(200, &format!("POST /key/{id}/rotate"), "").await);
    assert!(opens(&first).await && opens(&second).await);
    let third = text(&house.want(200, &format!("POST /key/{id}/rotate"), "").await);
    assert!(!opens(&first).await && opens(&second).await && opens(&third).await);
    house.want(204, &format!("DELETE /key/{id}/secret/previous"), "").await;
    assert!(!opens(&second).await && opens(&third).await);
    house.want(204, &format!("DELETE /key/{id}/secret/previous"), "").await;
    assert!(opens(&third).await);
    house.want(204, &format!("DELETE /key/{id}"), "").await;
    assert!(!opens(&third).await);
    house.want(204, &format!("DELETE /key/{id}"), "").await;
    house.want(409, &format!("POST /key/{id}/rotate"), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_key_that_may_do_everything_stays() {
    let house = House::start().await;
    let mine = id_of(&house.key);
    house.want(409, &format!("DELETE /key/{mine}"), "").await;
    let other = text(&house.want(201, "POST /key", r#"{"label":"b","scopes":["*"]}"#).await);
    house.want(204, &format!("DELETE /key/{mine}"), "").await;
    assert_eq!(house.ask("GET /key", "").await.problem(), 401);
    let answer = house.ask_as(&other, &format!("DELETE /key/{}", id_of(&other)), "").await;
    assert_eq!(answer.problem(), 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_last_two_keys_that_may_do_everything_one_stays_even_when_both_are_revoked_at_once() {
    let house = House::start().await;
    for _ in 0..10 {
        let master = text(&house.want(201, "POST /key", r#"{"label":"b","scopes":["*"]}"#).await);
        let (mine, other) =
            (format!("DELETE /key/{}", id_of(&house.key)), format!("DELETE /key/{}", id_of(&master)));
        let (one, two) = tokio::join!(house.ask(&mine, ""), house.ask_as(&master, &other, ""));
        let gone = [&one, &two].iter().filter(|answer| answer.status == 204).count();
        assert_eq!(gone, 1, "{} {}", one.text, two.text);
        if one.status == 204 {
            return;
        }
    }
}

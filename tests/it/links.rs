//! Queue links on the running house: a write and its message are one thing, as a client and a consumer of the queue see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::house::{Answer, Queue, TestHouse, shipped_handlers};

/// A house whose table Student has `link` to the queue `events`, which nobody works on.
async fn school(link: Value) -> (TestHouse, Queue) {
    let house = TestHouse::start_with(|options| options.sweep_every = Duration::from_millis(300)).await;
    let queue = house.queue(json!({"name": "events", "worker": "none"})).await;
    let fields = json!([
        {"apiName": "name", "type": "text"},
        {"apiName": "status", "type": "picklist", "values": ["new", "paid"], "default": "new"},
        {"apiName": "text", "type": "textarea"},
        {"apiName": "rest", "type": "textarea"},
    ]);
    made(&house, "table", &json!({"apiName": "Student", "fields": fields})).await;
    let mut whole = json!({"queue": "events", "on": ["create", "update", "delete"]});
    whole.as_object_mut().unwrap().extend(link.as_object().unwrap().clone());
    made(&house, "table/Student/link", &whole).await;
    (house, queue)
}

async fn made(house: &TestHouse, path: &str, body: &Value) -> Answer {
    let answer = house.post(path, body).await;
    assert_eq!(answer.status, 201, "{path} {body}: {}", answer.body);
    answer
}

async fn create(house: &TestHouse, query: &str, fields: Value) -> Answer {
    made(house, &format!("record/new{query}"), &json!({"apiName": "Student", "fields": fields})).await
}

async fn update(house: &TestHouse, id: &str, fields: Value) {
    let answer = house.put(&format!("record/{id}"), &json!({ "fields": fields })).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// So many messages of the queue, in the order they were received: each body and attribute `message-id`.
async fn take(house: &TestHouse, queue: &Queue, count: usize) -> Vec<(Value, String)> {
    let mut taken = Vec::new();
    // A poll lasts 20 s: after eight that found nothing there is nothing to come.
    let mut polls = 0;
    while taken.len() < count {
        let request = house.sqs.receive_message().queue_url(&queue.url).max_number_of_messages(10);
        let request = request.message_attribute_names("All").wait_time_seconds(20);
        let messages = request.send().await.unwrap().messages.unwrap_or_default();
        polls = if messages.is_empty() { polls + 1 } else { 0 };
        assert!(polls < 8, "{} of {count} came: {taken:?}", taken.len());
        for message in messages {
            let handle = message.receipt_handle().unwrap();
            house.sqs.delete_message().queue_url(&queue.url).receipt_handle(handle).send().await.unwrap();
            let id = message.message_attributes.unwrap()["message-id"].string_value.clone().unwrap();
            taken.push((serde_json::from_str(&message.body.unwrap()).unwrap(), id));
        }
    }
    assert_eq!(taken.len(), count, "{taken:?}");
    taken
}

/// The next message of the queue.
async fn next(house: &TestHouse, queue: &Queue) -> (Value, String) {
    take(house, queue, 1).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_told_with_what_it_was_before() {
    let (house, queue) = school(json!({})).await;
    let made = create(&house, "", json!({"name": "Ana"})).await;
    let id = made.text("id");
    let (body, _) = next(&house, &queue).await;
    assert_eq!(
        (&body["table"], &body["record-id"], &body["operation"], &body["version"]),
        (&json!("Student"), &json!(id), &json!("create"), &json!(1)),
        "{body}"
    );
    assert_eq!((&body["new"]["name"], body.get("old")), (&json!("Ana"), None), "{body}");
    update(&house, id, json!({"name": "João"})).await;
    let (body, _) = next(&house, &queue).await;
    assert_eq!((&body["operation"], &body["version"]), (&json!("update"), &json!(2)), "{body}");
    assert_eq!((&body["new"]["name"], &body["old"]["name"]), (&json!("João"), &json!("Ana")), "{body}");
    assert_eq!(house.delete(&format!("record/{id}")).await.status, 204);
    let (body, _) = next(&house, &queue).await;
    assert_eq!((&body["operation"], &body["version"]), (&json!("delete"), &json!(3)), "{body}");
    assert_eq!((&body["new"], &body["old"]["name"]), (&Value::Null, &json!("João")), "{body}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_runs_the_handler_of_its_link() {
    let house = TestHouse::start_with(|options| {
        options.samples = true;
        options.handlers_dir = shipped_handlers();
    })
    .await;
    let payload = json!({
        "handler": "send_email", "to": "${new.email}", "subject": "Olá ${new.nome}", "contents": "Bem-vinda",
    });
    let link = json!({"queue": "on-boarding", "on": ["create"], "condition": "new.email != null", "payload": payload});
    made(&house, "table/Estudante/link", &link).await;
    let student = json!({"apiName": "Estudante", "fields": {"nome": "Ana", "email": "ana@example.com"}});
    let answer = made(&house, "record/new?wait=published", &student).await;
    // The sample's own link, and the one above.
    assert_eq!(answer.body["messages"].as_array().map(Vec::len), Some(2), "{}", answer.body);
    let url = format!("{}/000000000000/local-etx-event-log", house.sqs_endpoint());
    let received = house.sqs.receive_message().queue_url(url).wait_time_seconds(5).send().await.unwrap();
    let body = received.messages()[0].body().unwrap();
    assert!(body.contains(answer.text("id")), "the sample's link goes to the queue of the sample: {body}");
    let mail = eventually("the mail", 150, async || house.mails().pop()).await;
    assert!(mail.contains("ana@example.com"), "{mail}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_saves_of_which_one_pays_are_one_message() {
    let condition = "new.status == 'paid' && (old == null || old.status != 'paid')";
    let (house, queue) = school(json!({"on": ["create", "update"], "condition": condition})).await;
    let id = create(&house, "", json!({"name": "0"})).await.text("id").to_owned();
    for n in 1..10 {
        let status = if n < 5 { "new" } else { "paid" };
        update(&house, &id, json!({"name": n.to_string(), "status": status})).await;
    }
    // Equal to what is there: nothing changes, nothing is told.
    update(&house, &id, json!({"name": "9"})).await;
    // When this one's message is there, whatever was to come of the first is there, too.
    let last = create(&house, "?wait=published", json!({"name": "last", "status": "paid"})).await;
    let mut told: Vec<(String, u64)> = take(&house, &queue, 2)
        .await
        .iter()
        .map(|(body, _)| (body["record-id"].as_str().unwrap().to_owned(), body["version"].as_u64().unwrap()))
        .collect();
    let mut expect = [(id, 6), (last.text("id").to_owned(), 1)];
    told.sort();
    expect.sort();
    assert_eq!(told, expect);
    assert_eq!(house.depth(&queue).await, 0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fast_updates_reach_a_fifo_queue_in_the_order_of_their_versions() {
    let house = TestHouse::start_with(|options| options.sweep_every = Duration::from_millis(300)).await;
    let queue = house.queue(json!({"name": "line", "worker": "none", "fifo": true})).await;
    made(&house, "table", &json!({"apiName": "Student", "fields": [{"apiName": "name", "type": "text"}]}))
        .await;
    made(&house, "table/Student/link", &json!({"queue": "line", "on": ["create", "update"]})).await;
    let id = create(&house, "", json!({"name": "0"})).await.text("id").to_owned();
    for n in 1..10 {
        update(&house, &id, json!({"name": n.to_string()})).await;
    }
    let versions: Vec<_> =
        take(&house, &queue, 10).await.iter().map(|(body, _)| body["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (1..=10).collect::<Vec<u64>>());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_told_the_id_that_the_queue_gave() {
    for mode in ["outbox", "strict"] {
        let (house, queue) = school(json!({ "mode": mode })).await;
        let query = if mode == "outbox" { "?wait=published" } else { "" };
        let answer = create(&house, query, json!({"name": "Ana"})).await;
        let told = &answer.body["messages"];
        assert_eq!(told.as_array().map(Vec::len), Some(1), "{mode}: {}", answer.body);
        let message = house.receive_one(&queue).await;
        assert_eq!(told[0]["sqs-id"].as_str(), message.message_id.as_deref(), "{mode}");
        let attributes = message.message_attributes.unwrap();
        assert_eq!(
            told[0]["message-id"].as_str(),
            attributes["message-id"].string_value.as_deref(),
            "{mode}"
        );
        assert_eq!(told[0]["queue-id"], queue.id);
        let id = answer.text("id");
        let path = format!("record/{id}{query}");
        let changed = house.put(&path, &json!({"fields": {"name": "Bea"}})).await;
        assert_eq!(changed.status, 200, "{mode}: {}", changed.body);
        let message = house.receive_one(&queue).await;
        assert_eq!(changed.body["messages"][0]["sqs-id"].as_str(), message.message_id.as_deref(), "{mode}");
        if mode == "outbox" {
            let operations = json!([{"update": {"id": id, "fields": {"name": "Cleo"}}}]);
            let batch = json!({"atomic": true, "operations": operations});
            let answer = house.post(&format!("record/batch{query}"), &batch).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let message = house.receive_one(&queue).await;
            let told = &answer.body["results"][0]["messages"][0]["sqs-id"];
            assert_eq!(told.as_str(), message.message_id.as_deref(), "{}", answer.body);
        }
        let removed = house.delete(&path).await;
        assert_eq!(
            (removed.status, removed.body["messages"].as_array().map(Vec::len)),
            (200, Some(1)),
            "{mode}"
        );
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_write_without_its_queue_is_503_and_no_record_remains() {
    let (house, queue) = school(json!({"mode": "strict"})).await;
    let kept = create(&house, "", json!({"name": "kept"})).await;
    house.sqs.delete_queue().queue_url(&queue.url).send().await.unwrap();
    let student = json!({"apiName": "Student", "fields": {"name": "lost"}});
    let refused = house.post("record/new", &student).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert_eq!(refused.body["outcome"], Value::Null, "{}", refused.body);
    let change = json!({"fields": {"name": "changed"}});
    assert_eq!(house.put(&format!("record/{}", kept.text("id")), &change).await.status, 503);
    let found = house.post("record/query", &json!({"apiName": "Student", "allow-scan": true})).await;
    let names: Vec<&Value> = found.body["records"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", found.body))
        .iter()
        .map(|record| &record["fields"]["name"])
        .collect();
    assert_eq!(names, ["kept"]);
    house.stop().await;
}

/// What a moment is called at another meridian.
fn elsewhere(at: Timestamp) -> String {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(5));
    at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_a_date_comes_at_its_date_or_is_cancelled() {
    // The hands stand where the test puts them: what is not to come a second before its date has all the time to do so.
    let (start, passed_secs) = (Timestamp::now(), Arc::new(AtomicI64::new(0)));
    let hands = Arc::clone(&passed_secs);
    let clock = Clock::new(move || start + SignedDuration::from_secs(hands.load(Ordering::SeqCst)));
    let house = TestHouse::start_with(|options| {
        options.sweep_every = Duration::from_millis(100);
        options.clock = clock;
    })
    .await;
    let queue = house.queue(json!({"name": "events", "worker": "none"})).await;
    let publish = async |body: &str, secs: i64| {
        let date = elsewhere(start + SignedDuration::from_secs(secs));
        house.post_text("queue/a/events/publish", body, &[("deliver-at", &date)]).await
    };
    let past = publish("\"past\"", -60).await;
    assert_eq!((past.status, past.body["sqs-id"].is_string()), (200, true), "{}", past.body);
    assert_eq!(next(&house, &queue).await.0, "past");

    let soon = publish("\"soon\"", 3600).await;
    assert_eq!((soon.status, soon.body["deliver-at"].is_string()), (202, true), "{}", soon.body);
    let sooner = publish("\"a second sooner\"", 3599).await;
    assert_eq!(sooner.status, 202, "{}", sooner.body);
    let cancelled = publish("\"cancelled\"", 3600).await;
    let path = |answer: &Answer| format!("message/{}", answer.text("message-id"));
    assert_eq!(house.get(&path(&soon)).await.body["state"], "scheduled");
    let answer = house.delete(&path(&cancelled)).await;
    assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.body);
    let far = publish("\"far\"", 400 * 24 * 3600).await;
    assert_eq!(far.status, 202);

    passed_secs.store(3599, Ordering::SeqCst);
    assert_eq!(next(&house, &queue).await.0, "a second sooner");
    assert_eq!(house.depth(&queue).await, 0, "not before its date");
    assert_eq!(house.get(&path(&soon)).await.body["state"], "scheduled");

    passed_secs.store(3600, Ordering::SeqCst);
    let (body, id) = next(&house, &queue).await;
    assert_eq!((body, id.as_str()), (json!("soon"), soon.text("message-id")));
    let published = eventually("it is marked", 150, async || {
        Some(house.get(&path(&soon)).await).filter(|answer| answer.body["state"] == "published")
    });
    published.await;
    let too_late = house.delete(&path(&soon)).await;
    assert_eq!(too_late.status, 409, "{}", too_late.body);
    assert_eq!(house.depth(&queue).await, 0, "nothing of the cancelled one, nor of the far one");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_any_size_travel_through_a_link_whole() {
    const KB: usize = 1024;
    for mode in ["outbox", "strict"] {
        // The text stands in it three times: a message may be larger than a record.
        let payload = json!(["${new.text}", "${new.text}", "${new.text}", "${new.rest}"]);
        let (house, queue) = school(json!({"mode": mode, "on": ["create"], "payload": payload})).await;
        for bytes in [299 * KB, 301 * KB, 1024 * KB - 2 * KB] {
            // Brackets, commas and quotation marks.
            let texts = bytes - 13;
            let text = "t".repeat(texts / 3 - 100);
            let rest = "r".repeat(texts - 3 * text.len());
            let query = if mode == "outbox" { "?wait=published" } else { "" };
            create(&house, query, json!({"text": text, "rest": rest})).await;
            let message = house.receive_one(&queue).await;
            let body = message.body.unwrap();
            assert_eq!(body.len(), bytes, "{mode}");
            let read: Vec<String> = serde_json::from_str(&body).unwrap();
            assert!(read == [&text, &text, &text, &rest].map(String::as_str), "{mode} {bytes}");
        }
        // One byte more is refused before anything is written.
        let texts = 1022 * KB + 1 - 13;
        let text = "t".repeat(texts / 3 - 100);
        let rest = "r".repeat(texts - 3 * text.len());
        let student = json!({"apiName": "Student", "fields": {"text": text, "rest": rest}});
        let refused = house.post("record/new", &student).await;
        assert_eq!(refused.status, 422, "{mode}: {}", refused.body);
        assert!(refused.errors()[0]["path"].as_str().unwrap().starts_with("links/"), "{}", refused.body);
        house.stop().await;
    }
    let (house, queue) = school(json!({"payload": 7})).await;
    create(&house, "", json!({})).await;
    assert_eq!(house.receive_one(&queue).await.body.as_deref(), Some("7"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_house_goes_on_with_the_messages_of_the_one_before() {
    let data = tempfile::tempdir().unwrap();
    let start = async || TestHouse::start_with(|options| options.data_dir = data.path().to_owned()).await;
    let house = start().await;
    let queue = house.queue(json!({"name": "events", "worker": "none"})).await;
    made(&house, "table", &json!({"apiName": "Student", "fields": [{"apiName": "name", "type": "text"}]}))
        .await;
    made(&house, "table/Student/link", &json!({"queue": "events", "on": ["create"]})).await;
    create(&house, "?wait=published", json!({"name": "first"})).await;
    create(&house, "", json!({"name": "second"})).await;
    house.stop().await;
    let house = start().await;
    let told = take(&house, &queue, 2).await;
    let mut names: Vec<_> = told.iter().map(|(body, _)| body["new"]["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["first", "second"]);
    create(&house, "", json!({"name": "third"})).await;
    assert_eq!(next(&house, &queue).await.0["new"]["name"], "third");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_of_handlers_stops_at_eight_links_and_says_so() {
    let house = TestHouse::start().await;
    let queue = house.queue(json!({"name": "ring"})).await;
    made(&house, "table", &json!({"apiName": "Student", "fields": [{"apiName": "name", "type": "text"}]}))
        .await;
    let payload = json!({"handler": "ring", "api": house.api(), "key": house.admin_key});
    let link = json!({"queue": "ring", "on": ["create", "update"], "payload": payload});
    made(&house, "table/Student/link", &link).await;
    let id = create(&house, "", json!({"name": "first"})).await.text("id").to_owned();
    let dead = house.dead_letters(&queue, 1).await;
    let message_id = &dead[0].attributes.iter().find(|(name, _)| name == "message-id").unwrap().1;
    let letter = house.get(&format!("dead-letter/{message_id}")).await;
    let said = letter.body.to_string();
    assert!(said.contains("link-depth") && said.contains("taken for a ring"), "{said}");
    let record = house.get(&format!("record/{id}")).await;
    assert_eq!((&record.body["version"], &record.body["fields"]["name"]), (&json!(8), &json!("after 7")));
    house.empty(&queue).await;
    house.stop().await;
}

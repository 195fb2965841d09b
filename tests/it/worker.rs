//! Messages and their handlers: ten at once, and one bad message hurts only itself.

use serde_json::json;

use crate::support::eventually;
use crate::support::house::TestHouse;
use crate::support::recorder::Recorder;

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_sent_over_http_becomes_a_mail() {
    let house =
        TestHouse::start_with(|options| options.handlers_dir = crate::support::house::shipped_handlers())
            .await;
    house.queue(json!({"name": "mail"})).await;
    let payload = json!({"handler": "send_email", "to": "ada@example.com", "subject": "First Message", "contents": "Contents of Message"});
    let answer = house.post("queue/a/mail/publish", &payload).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mail = eventually("the mail lies in the mailbox", 150, async || house.mails().pop()).await;
    for part in ["To: ada@example.com", "Subject: First Message", "Contents of Message"] {
        assert!(mail.contains(part), "{part} in:\n{mail}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_handlers_run_at_once() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(10).await;
    let queue = house.paused_queue(json!({"name": "meeting"})).await;
    for n in 0..10 {
        house
            .publish("meeting", &json!({"handler": "meet", "recorder": recorder.url, "name": n.to_string()}))
            .await;
    }
    house.resume(&queue).await;
    eventually("ten meet at one barrier", 150, async || (recorder.told().len() == 10).then_some(())).await;
    house.empty(&queue).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_ten_fail_and_the_eight_ran_once() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    let queue = house.paused_queue(json!({"name": "mixed", "max-failures": 2})).await;
    for n in 0..10 {
        let handler = if n == 3 || n == 7 { "fail" } else { "done" };
        let how = if n == 3 { "silent" } else { "throw" };
        let payload =
            json!({"handler": handler, "recorder": recorder.url, "name": n.to_string(), "how": how});
        house.publish("mixed", &payload).await;
    }
    house.resume(&queue).await;
    let dead = house.dead_letters(&queue, 2).await;
    for n in [0, 1, 2, 4, 5, 6, 8, 9] {
        assert_eq!(recorder.count(&format!("done/{n}")), 1, "{:?}", recorder.told());
    }
    for n in [3, 7] {
        assert_eq!(recorder.count(&format!("fail/{n}")), 2, "{:?}", recorder.told());
    }
    assert_eq!(dead.len(), 2);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_ends_in_the_dead_letter_queue_with_its_reason_kept() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    let queue = house.queue(json!({"name": "poison"})).await;
    let payload = json!({"handler": "fail", "recorder": recorder.url, "name": "ada", "how": "throw"});
    let id = house.publish("poison", &payload).await;
    let dead = house.dead_letters(&queue, 1).await.remove(0);
    assert_eq!(dead.body, payload.to_string(), "the body is unchanged");
    let mut attributes: Vec<&str> = dead.attributes.iter().map(|(name, _)| name.as_str()).collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["message-id", "round"], "these two alone");
    assert_eq!(recorder.count("fail/ada"), 3, "a third failure is the last");
    let letter = house.get(&format!("dead-letter/{id}")).await;
    assert_eq!(letter.status, 200, "{}", letter.body);
    let text = letter.body.to_string();
    for part in ["the card of ada was declined", "card-declined", "about to fail", "fail"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_handler_can_take_is_a_dead_letter_with_its_reason() {
    let house = TestHouse::start().await;
    let queue = house.queue(json!({"name": "lost"})).await;
    for (payload, reason) in [
        (json!({"handler": "nobody", "n": 1}), "nobody"),
        (json!({"n": 2}), "handler"),
        (json!({"handler": "reject", "n": 3}), "no such customer"),
    ] {
        let id = house.publish("lost", &payload).await;
        let letter = eventually("the letter is kept", 150, async || {
            Some(house.get(&format!("dead-letter/{id}")).await).filter(|answer| answer.status == 200)
        })
        .await;
        assert!(letter.body.to_string().contains(reason), "{reason} in {}", letter.body);
    }
    // What others put on the queue need not even be JSON.
    house.sqs.send_message().queue_url(&queue.url).message_body("hello?").send().await.unwrap();
    house.dead_letters(&queue, 4).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_handler_goes_to_the_default_one() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    house.queue(json!({"name": "default", "default-handler": "done"})).await;
    house.publish("default", &json!({"recorder": recorder.url, "name": "none"})).await;
    house
        .publish("default", &json!({"recorder": recorder.url, "name": "unknown", "handler": "nobody"}))
        .await;
    eventually("both ran", 150, async || (recorder.told().len() == 2).then_some(())).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_in_one_group_the_rest_waits_and_other_groups_go_on() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    let queue = house.paused_queue(json!({"name": "groups", "fifo": true})).await;
    for (group, name, handler) in [
        ("a", "a1", "done"),
        ("a", "a2", "once"),
        ("a", "a3", "done"),
        ("b", "b1", "done"),
        ("b", "b2", "done"),
    ] {
        let payload = json!({"handler": handler, "recorder": recorder.url, "name": name});
        let answer =
            house.post_text("queue/a/groups/publish", &payload.to_string(), &[("ordering-key", group)]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    house.resume(&queue).await;
    house.empty(&queue).await;
    let of = |group: &str| -> Vec<String> {
        recorder.told().into_iter().filter(|t| t.contains(&format!("/{group}"))).collect()
    };
    assert_eq!(of("a"), ["done/a1", "once/a2", "once/a2", "done/a3"]);
    assert_eq!(of("b"), ["done/b1", "done/b2"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_reaches_its_handler_exactly() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    house.queue(json!({"name": "exact"})).await;
    let body = format!(
        r#"{{"handler":"echo","recorder":"{}","price":12345678901234567890.123456789,"big":9007199254740993}}"#,
        recorder.url
    );
    let answer = house.post_text("queue/a/exact/publish", &body, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let echoed = eventually("the echo", 150, async || recorder.told().pop()).await;
    for number in ["12345678901234567890.123456789", "9007199254740993"] {
        assert!(echoed.contains(number), "{echoed}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_received_twenty_times_and_never_settled_goes_to_the_dead_letter_queue() {
    let house = TestHouse::start().await;
    let queue = house.queue(json!({"name": "crashing", "worker": "none"})).await;
    house.publish("crashing", &json!({"n": 1})).await;
    let receive = async || {
        let request = house.sqs.receive_message().queue_url(&queue.url).visibility_timeout(0);
        request.send().await.unwrap().messages.unwrap_or_default().len()
    };
    for turn in 1..=20 {
        assert_eq!(receive().await, 1, "receive {turn}");
    }
    assert_eq!(receive().await, 0, "the redrive policy has taken it");
    assert_eq!(house.dead_letters(&queue, 1).await[0].body, json!({"n": 1}).to_string());
    house.stop().await;
}
